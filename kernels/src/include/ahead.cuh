// Weights and bias of a kernel behind this one, brought into the second-level cache by this one: a network's do not stay
// there from one inference to the next, small kernels leave memory idle most of the time, and no kernel writes them.
#pragma once
#include "include/ptx.cuh"

// Mirrored by `Arg::Ahead` in `kernels/src/launch.rs`.
struct Ahead {
    const unsigned char* constants;
    uint32_t bytes;   // 0: nothing
    uint32_t each;    // of them for a block, whole lines
    uint32_t beside;  // 1: the grid before has nothing that this one reads, and is waited for last
    uint32_t nothing;
};

// By all threads of a block; nothing waits for it.
__device__ __forceinline__ void prefetch_ahead(const Ahead& ahead) {
    const uint64_t first = static_cast<uint64_t>(blockIdx.y * gridDim.x + blockIdx.x) * ahead.each;
    if (first >= ahead.bytes) return;
    const uint32_t left = ahead.bytes - static_cast<uint32_t>(first), bytes = left < ahead.each ? left : ahead.each;
#if __CUDA_ARCH__ >= 900
    if (threadIdx.x == 0) cp_async_bulk_prefetch_l2(ahead.constants + first, bytes);
#else
#pragma unroll 1
    for (uint32_t at = 128 * threadIdx.x; at < bytes; at += 128 * blockDim.x) prefetch_l2(ahead.constants + first + at);
#endif
}
