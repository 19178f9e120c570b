// benches/micro/peak: how many products the tensor cores form, on random numbers: zeros would draw less power, and the
// clock would stay higher than in any real product.
//
// `mma_peak`: operands stay in registers, four of a and four of b a warp, each with each. `wgmma_peak`: two warpgroups
// multiply 64 x 256 each from shared memory, STAGES tiles of 128 bytes a row in turn, as a GEMM without loads would.
// KIND: 0 f16, 1 s8, 2 tf32 (wgmma only).
#include "include/ptx.cuh"

#if KIND == 1
typedef int Sum;
#else
typedef float Sum;
#endif

constexpr int TILES = 4;

__device__ __forceinline__ void multiply(Sum (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if KIND == 1
    mma_m16n8k32_s8(d, a, b);
#elif KIND == 0
    mma_m16n8k16_f16(d, a, b);
#endif
}

extern "C" __global__ void __launch_bounds__(256)
mma_peak(const uint32_t* __restrict__ x, Sum* __restrict__ y, const uint32_t steps) {
    uint32_t a[TILES][4], b[TILES][2];
    const uint32_t* mine = x + threadIdx.x * (6 * TILES);
#pragma unroll
    for (int i = 0; i < TILES; ++i) {
#pragma unroll
        for (int j = 0; j < 4; ++j) a[i][j] = mine[6 * i + j];
        b[i][0] = mine[6 * i + 4], b[i][1] = mine[6 * i + 5];
    }
    Sum sums[TILES][TILES][4] = {};
#pragma unroll 1
    for (uint32_t step = 0; step < steps; ++step) {
#pragma unroll
        for (int i = 0; i < TILES; ++i) {
#pragma unroll
            for (int j = 0; j < TILES; ++j) multiply(sums[i][j], a[i], b[j]);
        }
    }
    Sum sum = 0;
#pragma unroll
    for (int i = 0; i < TILES * TILES * 4; ++i) sum += sums[i / 16][i / 4 % 4][i % 4];
    y[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}

#ifdef STAGES
#include "include/ptx_wgmma.cuh"

constexpr int N = 256, ROW = 128, GROUPS = 2;
constexpr int A_BYTES = 64 * ROW, B_BYTES = N * ROW, STAGE = GROUPS * A_BYTES + B_BYTES;

__device__ __forceinline__ void multiply(Sum (&d)[N / 2], uint64_t a, uint64_t b) {
#if KIND == 0
    wgmma_m64k16_f16<N>(d, a, b, true);
#elif KIND == 1
    wgmma_m64k32_s8<N>(d, a, b, true);
#else
    wgmma_m64k8_tf32<N>(d, a, b, true);
#endif
}

extern "C" __global__ void __launch_bounds__(128 * GROUPS, 1)
wgmma_peak(const uint4* __restrict__ x, Sum* __restrict__ y, const uint32_t steps) {
    DYNAMIC_SHARED_1024(unsigned char, shared);
    uint4* const vectors = reinterpret_cast<uint4*>(shared);
    for (int i = threadIdx.x; i < STAGES * STAGE / 16; i += 128 * GROUPS) vectors[i] = x[i];
    fence_proxy_async();
    __syncthreads();

    Sum sums[N / 2];
#pragma unroll
    for (int i = 0; i < N / 2; ++i) sums[i] = 0;
    wgmma_hold(sums);
    int stage = 0;
#pragma unroll 1
    for (uint32_t step = 0; step < steps; ++step) {
        const unsigned char* const a = shared + stage * STAGE + threadIdx.x / 128 * A_BYTES;
        const unsigned char* const b = shared + stage * STAGE + GROUPS * A_BYTES;
        wgmma_fence();
#pragma unroll
        for (int at = 0; at < ROW; at += 32) {
            multiply(sums, wgmma_descriptor(a + at, 0, 8 * ROW, WgmmaSwizzle::B128),
                     wgmma_descriptor(b + at, 0, 8 * ROW, WgmmaSwizzle::B128));
        }
        wgmma_commit_group();
        wgmma_wait_group<1>();
        stage = stage + 1 == STAGES ? 0 : stage + 1;
    }
    wgmma_wait_group<0>();
    wgmma_hold(sums);
    Sum sum = 0;
#pragma unroll
    for (int i = 0; i < N / 2; ++i) sum += sums[i];
    y[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
#endif
