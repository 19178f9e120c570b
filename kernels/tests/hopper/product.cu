// One warpgroup multiplies a (64xK) by b (KxN) as a Hopper kernel does: a producer warp fills a ring of two stages by
// tensor copies, wgmma reads them there, mbarriers hand the stages to and fro. Right as it stands for every element type,
// N, swizzle and major-ness; with PLANT set it is wrong in one place.
//
// a and b lie K-major (rows of K), or with A_MAJOR, B_MAJOR = 1 as K rows of M or N. A stage holds 128 bytes of K of each
// row (64 rows of k for M/N-major), in boxes of SPAN bytes, which is the swizzle's row; 16 without swizzle.
#include "include/ptx_wgmma.cuh"

#define NONE 0
#define K_LOOP_TOO_LONG 1    // consumes a stage that was never filled
#define WRONG_PHASE 2        // waits for the parity that has passed
#define MISSING_WAIT 3       // reads a stage that has not come
#define WRONG_SWIZZLE 4      // a's descriptor says another swizzle than its tensor copy
#define WRONG_STRIDE 5       // a's descriptor skips every other 8 rows
#define UNINITIALISED 6      // accumulates from the first product on
#define EARLY_READ 7         // reads accumulators before they are there
#define NO_FENCE 8           // touches accumulators, then multiplies without wgmma.fence
#define NO_EMPTY_WAIT 9      // overwrites a stage that is still read
#define TOO_FEW_BYTES 10     // expects less than is copied
#define TOO_MANY_BYTES 11    // expects more: nobody ever goes on
#define NO_INIT_FENCE 12     // mbarriers the asynchronous proxy does not know
#define EARLY_RELEASE 13     // gives a stage back before wgmma is done with it
#define ONE_WARP_LESS 14     // a warp of the warpgroup leaves its products out
#define IGNORED_TRY 15       // takes try_wait's first answer for yes
#ifndef PLANT
#define PLANT NONE
#endif

constexpr int kStages = 2, kSteps = 4;
constexpr int kRowsA = 64, kRowsB = (COLUMNS * 2 + SPAN - 1) / SPAN * SPAN / 2;  // M/N-major: whole boxes
constexpr int kStageA = A_MAJOR ? 64 * 128 : kRowsA * 128, kStageB = B_MAJOR ? 64 * kRowsB * 2 : COLUMNS * 128;
constexpr int kStageBytes = kStageA + (kStageB + 1023) / 1024 * 1024;

#if SPAN == 16
constexpr WgmmaSwizzle kSwizzle = WgmmaSwizzle::None;
#elif SPAN == 32
constexpr WgmmaSwizzle kSwizzle = WgmmaSwizzle::B32;
#elif SPAN == 64
constexpr WgmmaSwizzle kSwizzle = WgmmaSwizzle::B64;
#else
constexpr WgmmaSwizzle kSwizzle = WgmmaSwizzle::B128;
#endif

#if TYPE == 0
typedef float Sum;
constexpr int kSize = 2;
#elif TYPE == 1
typedef float Sum;
constexpr int kSize = 4;
#else
typedef int32_t Sum;
constexpr int kSize = 1;
#endif

// One operand of one stage: `rows` of M or N.
template <bool mn_major>
__device__ __forceinline__ void fill(unsigned char* stage, const TensorMap& map, int rows, int step, uint64_t* full) {
    if (mn_major) {
        for (int block = 0; block * SPAN < rows * kSize; ++block) {
            const int at[2] = {block * SPAN / kSize, step * 64};
            cp_async_bulk_tensor_load(stage + block * SPAN * 64, &map, at, full);
        }
    } else {
        for (int box = 0; box < 128 / SPAN; ++box) {
            const int at[2] = {(step * 128 + box * SPAN) / kSize, 0};
            cp_async_bulk_tensor_load(stage + box * SPAN * rows, &map, at, full);
        }
    }
}

// Of the 32 bytes of K (16 rows of k for M/N-major) that one wgmma takes.
template <bool mn_major>
__device__ __forceinline__ uint64_t descriptor(const unsigned char* stage, int rows, int step, WgmmaSwizzle swizzle) {
    if (mn_major && SPAN == 16) return wgmma_descriptor(stage + step * 256, 128, 64 * 16, swizzle);
    if (mn_major) return wgmma_descriptor(stage + step * 16 * SPAN, 64 * SPAN, 8 * SPAN, swizzle);
    if (SPAN == 16) return wgmma_descriptor(stage + 2 * step * rows * 16, rows * 16, 128, swizzle);
    const int at = step * 32 / SPAN * SPAN * rows + step * 32 % SPAN;
    return wgmma_descriptor(stage + at, 16, 8 * SPAN, swizzle);
}

__device__ __forceinline__ void multiply(Sum (&d)[COLUMNS / 2], uint64_t a, uint64_t b, bool accumulate) {
#if TYPE == 0
    wgmma_m64k16_f16<COLUMNS, A_MAJOR, B_MAJOR>(d, a, b, accumulate);
#elif TYPE == 1
    wgmma_m64k8_tf32<COLUMNS>(d, a, b, accumulate);
#else
    wgmma_m64k32_s8<COLUMNS>(d, a, b, accumulate);
#endif
}

#if A_REGISTERS
// a's fragment of 32 bytes of K from global memory: registers 0 and 2 of row 16w + lane/4, 1 and 3 of 8 rows below.
__device__ __forceinline__ void load_fragment(uint32_t (&a)[4], const unsigned char* x, int k_bytes, int at) {
    const int row = threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
    for (int i = 0; i < 4; ++i) {
        const int byte = at + threadIdx.x % 4 * 4 + i / 2 * 16;
        a[i] = *reinterpret_cast<const uint32_t*>(x + (row + i % 2 * 8) * k_bytes + byte);
    }
}
__device__ __forceinline__ void multiply(Sum (&d)[COLUMNS / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
#if TYPE == 0
    wgmma_m64k16_f16<COLUMNS, B_MAJOR>(d, a, b, accumulate);
#elif TYPE == 1
    wgmma_m64k8_tf32<COLUMNS>(d, a, b, accumulate);
#else
    wgmma_m64k32_s8<COLUMNS>(d, a, b, accumulate);
#endif
}
#endif

extern "C" __global__ void __launch_bounds__(256)
    product(const __grid_constant__ TensorMap map_a, const __grid_constant__ TensorMap map_b,
            const unsigned char* __restrict__ a, Sum* __restrict__ y, int stages) {
    DYNAMIC_SHARED_1024(unsigned char, shared);
    uint64_t* const full = reinterpret_cast<uint64_t*>(shared + kStages * kStageBytes);
    uint64_t* const empty = full + kStages;
    if (threadIdx.x == 0) {
        for (int i = 0; i < kStages; ++i) {
            mbarrier_init(full + i, 1);
            mbarrier_init(empty + i, 128);
        }
        if (PLANT != NO_INIT_FENCE) fence_mbarrier_init();
        prefetch_tensormap(&map_a);
    }
    __syncthreads();
    if (threadIdx.x >= 128) {
        setmaxnreg_dec<40>();
        if (threadIdx.x != 128) return;
        for (int i = 0; i < stages; ++i) {
            unsigned char* const stage = shared + i % kStages * kStageBytes;
            if (i >= kStages && PLANT != NO_EMPTY_WAIT) mbarrier_wait(empty + i % kStages, (i / kStages - 1) % 2);
            const int bytes = PLANT == TOO_FEW_BYTES ? -16 : PLANT == TOO_MANY_BYTES ? 16 : 0;
            mbarrier_arrive_expect_tx(full + i % kStages, (A_REGISTERS ? 0 : kStageA) + kStageB + bytes);
            if (!A_REGISTERS) fill<A_MAJOR>(stage, map_a, kRowsA, i, full + i % kStages);
            fill<B_MAJOR>(stage + kStageA, map_b, COLUMNS, i, full + i % kStages);
        }
        return;
    }
    setmaxnreg_inc<216>();
#if PLANT == UNINITIALISED
    Sum d[COLUMNS / 2];
#else
    Sum d[COLUMNS / 2] = {};
#endif
    const int last = PLANT == K_LOOP_TOO_LONG ? stages + 1 : stages;
    for (int i = 0; i < last; ++i) {
        const unsigned char* const stage = shared + i % kStages * kStageBytes;
        const int parity = i / kStages % 2 ^ (PLANT == WRONG_PHASE ? 1 : 0);
        if (PLANT == IGNORED_TRY) mbarrier_try_wait_parity(full + i % kStages, parity);
        else if (PLANT != MISSING_WAIT) mbarrier_wait(full + i % kStages, parity);
        wgmma_hold(d);
        if (PLANT != NO_FENCE || i == 0) wgmma_fence();
        WgmmaSwizzle swizzle_a = kSwizzle;
        if (PLANT == WRONG_SWIZZLE) swizzle_a = WgmmaSwizzle::B64;
        for (int step = 0; step < kSteps; ++step) {
            const bool accumulate = PLANT == UNINITIALISED || i > 0 || step > 0;
            if (PLANT == ONE_WARP_LESS && threadIdx.x / 32 == 2 && step == 3) continue;
            const uint64_t b = descriptor<B_MAJOR>(stage + kStageA, COLUMNS, step, kSwizzle);
#if A_REGISTERS
            uint32_t fragment[4];
            load_fragment(fragment, a, stages * 128, i * 128 + step * 32);
            wgmma_fence();
            multiply(d, fragment, b, accumulate);
            wgmma_commit_group();
            wgmma_wait_group<0>();
#else
            uint64_t left = descriptor<A_MAJOR>(stage, kRowsA, step, swizzle_a);
            if (PLANT == WRONG_STRIDE) left += static_cast<uint64_t>(8 * SPAN >> 4) << 32;
            multiply(d, left, b, accumulate);
#endif
        }
        wgmma_commit_group();
        if (PLANT == EARLY_RELEASE) mbarrier_arrive(empty + i % kStages);
        if (PLANT == EARLY_READ && d[0] == Sum(3)) y[0] = d[0];
        wgmma_wait_group<0>();
        wgmma_hold(d);
        if (PLANT == NO_FENCE) d[0] += 1;
        if (PLANT != EARLY_RELEASE) mbarrier_arrive(empty + i % kStages);
    }
    const int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, column = threadIdx.x % 4 * 2;
    for (int i = 0; i < COLUMNS / 2; ++i) y[(row + i % 4 / 2 * 8) * COLUMNS + i / 4 * 8 + column + i % 2] = d[i];
}
