// The maximum and the sum of exponentials of a line, found in one pass.
//
// Source: Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018, algorithm 3.
#pragma once

#include "include/reduce.cuh"

struct Normalizer {
    float most;  // of the numbers seen
    float sum;   // of e^(x - most)

    static __device__ __forceinline__ Normalizer none() { return {minus_infinity(), 0.0f}; }

    // e^(x - most), where two equal infinities differ by 0: lines may begin with -inf.
    static __device__ __forceinline__ float scale(float x, float most) { return x == most ? 1.0f : expf(x - most); }

    __device__ __forceinline__ void take(float x) {
        const float grown = larger(most, x);
        sum = sum * scale(most, grown) + scale(x, grown);
        most = grown;
    }

    __device__ __forceinline__ void join(const Normalizer& other) {
        const float grown = larger(most, other.most);
        sum = sum * scale(most, grown) + other.sum * scale(other.most, grown);
        most = grown;
    }

    // Softmax of one number of the line, or its logarithm.
    __device__ __forceinline__ float result(float x, bool logarithm) const {
        return logarithm ? x - most - logf(sum) : expf(x - most) / sum;
    }
};

// The normalizer of all THREADS threads of a block; `shared` holds one a warp.
template <int THREADS_OF_BLOCK>
__device__ __forceinline__ Normalizer block_normalizer(Normalizer own, Normalizer* shared) {
#pragma unroll
    for (int offset = WARP / 2; offset > 0; offset /= 2) {
        Normalizer other;
        other.most = __shfl_xor_sync(ALL_LANES, own.most, offset);
        other.sum = __shfl_xor_sync(ALL_LANES, own.sum, offset);
        own.join(other);
    }
    if (threadIdx.x % WARP == 0) shared[threadIdx.x / WARP] = own;
    __syncthreads();
    Normalizer all = shared[0];
    for (int warp = 1; warp < THREADS_OF_BLOCK / WARP; ++warp) all.join(shared[warp]);
    return all;
}
