// Depthwise convolution of any window: y[n,p,q,k] = epilogue( Σ_r,s x[n, p·s_h + r·d_h - pad_h, …, k / M] · w[r,s,k] ),
// M filters a channel (the channel multiplier).
//
// Shapes     x NHWC of X_TYPE, w [R·S][k_pad] of W_TYPE, y NHWC of f16, f32 or s8. Sums in f32, those of s8 exact.
// Grid       one thread per 8 channels of one output pixel, channels fastest; fewer than 2^31 threads.
// Traffic    x, y and the residual once (overlapping windows meet in L1 and L2); 2·R·S operations an output.
//
// Parameters MULTIPLIER      1: one filter a channel, x moves in vectors; 0: any number, x is read lane by lane
//            X_TYPE, W_TYPE  f16 or float, f16 weights wanting f16 inputs; or both int8_t

#include "depthwise/finish.cuh"
#include "include/index.cuh"
#include "include/vector.cuh"

struct DirectParams {
    int64_t x_pitch;
    int32_t x_h, x_w;
    int32_t x_lanes;  // channels of x, padding included
    int32_t y_h, y_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_h, pad_w;
    int32_t weight_pitch;
    uint32_t threads;
    Divisor multiplier;  // filters a channel
    Divisor channel_vectors;
    Divisor columns;  // of y
    Divisor rows;
    EpilogueParams epilogue;
};

// The inputs of the filters `filter` … `filter + 7` at one pixel.
__device__ __forceinline__ void load_inputs(float (&v)[CHANNELS], const X_TYPE* pixel, int filter,
                                            const DirectParams& p) {
    if (MULTIPLIER == 1) {
        // An f32 image may end after four of the eight lanes.
        constexpr int VECTOR = sizeof(X_TYPE) == 4 ? 4 : CHANNELS;
#pragma unroll
        for (int i = 0; i < CHANNELS; i += VECTOR) {
            Vector<X_TYPE, VECTOR> part = {};
            if (filter + i < p.x_lanes) part = load_vector<VECTOR>(pixel + filter + i);
#pragma unroll
            for (int j = 0; j < VECTOR; ++j) v[i + j] = to_f32(part.lane[j]);
        }
    } else {
#pragma unroll
        for (int i = 0; i < CHANNELS; ++i) {
            v[i] = filter + i < p.epilogue.columns ? to_f32(pixel[divide(filter + i, p.multiplier)]) : 0.0f;
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 1)
    depthwise_direct(const X_TYPE* x, const W_TYPE* __restrict__ weights, const float* __restrict__ bias,
                     const float* __restrict__ scales, const void* residual, void* __restrict__ y,
                     const DirectParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    if (thread_number() >= p.threads) return;
    uint32_t n = thread_number();
    const int filter = static_cast<int>(take_index(n, p.channel_vectors)) * CHANNELS;
    const int64_t pixel = n;
    const int column = static_cast<int>(take_index(n, p.columns)) * p.stride_w - p.pad_w;
    const int row = static_cast<int>(take_index(n, p.rows)) * p.stride_h - p.pad_h;

    float sum[CHANNELS] = {};
    for (int r = 0; r < p.kernel_h; ++r) {
        const int h = row + r * p.dilation_h;
        if (h < 0 || h >= p.x_h) continue;
        const int64_t line = (static_cast<int64_t>(n) * p.x_h + h) * p.x_w;
        for (int s = 0; s < p.kernel_w; ++s) {
            const int w = column + s * p.dilation_w;
            if (w < 0 || w >= p.x_w) continue;
            float v[CHANNELS], f[CHANNELS];
            load_inputs(v, x + (line + w) * p.x_pitch, filter, p);
            load(f, weights + (r * p.kernel_w + s) * p.weight_pitch + filter);
#pragma unroll
            for (int i = 0; i < CHANNELS; ++i) sum[i] = fmaf(v[i], f[i], sum[i]);
        }
    }
    finish(p.epilogue, {bias, scales, residual, y}, pixel, filter, sum);
}
