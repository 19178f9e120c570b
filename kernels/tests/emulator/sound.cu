// Kernels that do right: what the emulator must carry out as a GPU does.
#include "include/ptx.cuh"

struct Scale {
    int count;
    float factor;
};

// y[i] = sum over the warp of factor·x, reversed within the block through shared memory.
extern "C" __global__ void __launch_bounds__(64)
    warp_sum(const float* __restrict__ x, float* __restrict__ y, const __grid_constant__ Scale p) {
    __shared__ float tile[64];
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    tile[threadIdx.x] = i < p.count ? x[i] * p.factor : 0.0f;
    __syncthreads();
    float sum = tile[63 - threadIdx.x];
    for (int step = 16; step; step >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    const unsigned votes = __ballot_sync(0xffffffffu, threadIdx.x % 2);
    if (__syncthreads_count(votes == 0xaaaaaaaau) != 64) sum = -1.0f;
    if (i < p.count) y[i] = sum;
}

// y (16x8) = a (16x16, f16, row-major) · b (16x8, f16, row-major): cp.async, ldmatrix, mma on one warp.
extern "C" __global__ void __launch_bounds__(32)
    matrix(const f16* __restrict__ a, const f16* __restrict__ b, float* __restrict__ y) {
    DYNAMIC_SHARED(f16, shared);
    f16* const shared_b = shared + 256;
    const int lane = threadIdx.x;
    cp_async_16(shared + lane * 8, a + lane * 8, true);
    if (lane < 16) cp_async_16(shared_b + lane * 8, b + lane * 8, true);
    cp_async_commit_group();
    cp_async_wait_group<0>();
    __syncthreads();
    uint32_t fragment_a[4], fragment_b[2];
    // Matrices 0 and 1 are the upper and lower half of columns 0-7, matrices 2 and 3 those of columns 8-15.
    ldmatrix_x4(fragment_a, shared + (lane % 16) * 16 + (lane / 16) * 8);
    ldmatrix_x2_trans(fragment_b, shared_b + (lane % 16) * 8);
    float sums[4] = {};
    mma_m16n8k16_f16(sums, fragment_a, fragment_b);
    for (int i = 0; i < 4; ++i) y[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sums[i];
}

// The number of times each of 16 values occurs: atomics in shared and in global memory.
extern "C" __global__ void __launch_bounds__(128) histogram(const int* __restrict__ x, int* __restrict__ y, int count) {
    __shared__ int bins[16];
    if (threadIdx.x < 16) bins[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * 128 + threadIdx.x; i < count; i += gridDim.x * 128) atomicAdd(&bins[x[i]], 1);
    __syncthreads();
    if (threadIdx.x < 16) atomicAdd(&y[threadIdx.x], bins[threadIdx.x]);
}
