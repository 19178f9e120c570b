// Reductions over the threads of a warp and of a block.
//
// `Combine` is a functor with `T operator()(T, T) const`, associative up to rounding. Every reduction takes the
// same tree each time, so results do not vary from run to run.
#pragma once

#include "include/ptx.cuh"

constexpr int WARP = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;

// Below every number: where a search for the largest starts.
__device__ __forceinline__ float minus_infinity() { return __uint_as_float(0xff800000u); }

// The larger of two; NaN wins, as ONNX's MaxPool and ReduceMax have it. (fmaxf would drop it.)
__device__ __forceinline__ float larger(float a, float b) { return a > b || a != a ? a : b; }

struct Larger {
    __device__ __forceinline__ float operator()(float a, float b) const { return larger(a, b); }
};

struct Add {
    template <typename T>
    __device__ __forceinline__ T operator()(T a, T b) const {
        return a + b;
    }
};

// Reduces over groups of GROUP neighbouring lanes (a power of two up to 32); all of them get the result. Every
// lane of the warp takes part.
template <int GROUP, typename T, typename Combine>
__device__ __forceinline__ T lanes_reduce(T x, Combine combine) {
#pragma unroll
    for (int offset = GROUP / 2; offset > 0; offset /= 2) x = combine(x, __shfl_xor_sync(ALL_LANES, x, offset));
    return x;
}

// Reduces over a block of whole warps; all threads get the result. `shared` has one float a warp and may be used
// again after the call without a barrier in between.
template <typename Combine>
__device__ __forceinline__ float block_reduce(float x, Combine combine, float* shared) {
    const int warps = static_cast<int>(blockDim.x) / WARP;
    x = lanes_reduce<WARP>(x, combine);
    if (threadIdx.x % WARP == 0) shared[threadIdx.x / WARP] = x;
    __syncthreads();
    x = shared[0];
    for (int warp = 1; warp < warps; ++warp) x = combine(x, shared[warp]);
    __syncthreads();
    return x;
}
