// The epilogue of a depthwise sum. All kernels sum up in f32, integers too: a product of two s8 is at most 128·127,
// so a sum of up to 1032 of them stays below 2^24, is exact in any order, and goes at the rate of f32 multiply-adds,
// twice that of integers. The host refuses larger windows.
#pragma once

#include "include/epilogue.cuh"

constexpr int CHANNELS = 8;

__device__ __forceinline__ void finish(const EpilogueParams& p, const EpilogueTensors& t, int64_t pixel, int channel,
                                       const float (&sum)[CHANNELS]) {
    if constexpr (sizeof(X_TYPE) == 1) {
        Whole whole[CHANNELS];
#pragma unroll
        for (int i = 0; i < CHANNELS; ++i) whole[i].value = sum[i];
        epilogue_8(p, t, pixel, channel, whole);
    } else {
        epilogue_8(p, t, pixel, channel, sum);
    }
}
