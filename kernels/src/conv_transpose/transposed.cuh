// The geometry of a transposed convolution, y[s·i + r·d - pad] += x[i]·w[r], turned round: which inputs and which
// taps make one output.
//
// Output o gets tap r of input i = (o + pad - r·d) / s where that divides and lies inside x. So the taps that
// count depend only on o mod s, the output's phase: outputs of one phase form a grid of their own on which the
// whole is an ordinary convolution of stride 1 with every s-th tap.
#pragma once

#include "include/epilogue.cuh"
#include "include/index.cuh"

// Mirrored by `TransposedParams` in conv_transpose/geometry.rs.
struct TransposedParams {
    int64_t x_pitch;
    int32_t pictures;
    int32_t x_h, x_w;
    int32_t y_h, y_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_h, pad_w;
    int32_t channels;        // of x in a group
    int32_t filters;         // channels of y in a group
    int32_t groups;
    int32_t weight_channels;  // c_pad of the packing
    int32_t weight_filters;   // k_pad
    EpilogueParams epilogue;
    uint32_t reserved;
};

// Whether tap `r` reaches output coordinate `o`, and which input coordinate it then meets.
__device__ __forceinline__ bool tap_meets(int o, int r, int stride, int dilation, int pad, int extent, int& i) {
    const int distance = o + pad - r * dilation;
    if (distance < 0) return false;
    i = distance / stride;
    return i * stride == distance && i < extent;
}
