// One kernel that is right as it stands, and with PLANT set wrong in one place each.
// It multiplies a (16x16k, f16) by b (16kx8, f16) in steps of 16 along k, two stages of cp.async ahead, two
// warps; warp w takes the steps with step%2 == w, and the two sums meet in shared memory.
#include "include/ptx.cuh"

#define NONE 0
#define MISSING_BARRIER 1      // the stage is overwritten while others still read it
#define MISSING_WAIT 2         // a stage is read before it has come
#define MISSING_LANES 3        // half a warp enters the shuffle
#define DIVERGENT_BARRIER 4    // one warp returns early
#define LOOP_TOO_LONG 5        // one step too many: reads behind a
#define WRONG_ROW 6            // ldmatrix rows shifted by one
#define MISALIGNED 7           // ldmatrix at 8 bytes
#define UNINITIALISED 8        // accumulators that start as they are
#define OUT_OF_SHARED 9        // one row behind the dynamic shared memory
#define NO_REDUCTION_BARRIER 10  // the sums are read before they are there
#define MISALIGNED_LOAD 11     // a 16-byte load at an odd multiple of 8
#define LOST_PART 12           // the second warp's sum is not written
#define OUT_OF_Y 13            // writes one row too many

constexpr int kStage = 16 * 16 + 16 * 8;  // f16s of one stage

__device__ __forceinline__ void load(f16* stage, const f16* a, const f16* b, int step, int steps) {
    const int t = threadIdx.x;
    if (t < 32) cp_async_16(stage + t * 8, a + (t / 2) * steps * 16 + step * 16 + t % 2 * 8, true);
    if (t >= 32 && t < 48) cp_async_16(stage + 256 + (t - 32) * 8, b + step * 128 + (t - 32) * 8, true);
}

extern "C" __global__ void __launch_bounds__(64)
    planted(const f16* __restrict__ a, const f16* __restrict__ b, float* __restrict__ y, int steps) {
    DYNAMIC_SHARED(f16, shared);
    __shared__ float part[2][16][8];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int last = PLANT == LOOP_TOO_LONG ? steps + 1 : steps;
#if PLANT == UNINITIALISED
    float sums[4];
#else
    float sums[4] = {};
#endif
    load(shared, a, b, 0, steps);
    cp_async_commit_group();
    for (int step = 0; step < last; ++step) {
        if (step + 1 < last) load(shared + (step + 1) % 2 * kStage, a, b, step + 1, steps);
        cp_async_commit_group();
        cp_async_wait_group<PLANT == MISSING_WAIT ? 2 : 1>();
        __syncthreads();
        const f16* stage = shared + step % 2 * kStage;
        if (step % 2 == warp) {
            uint32_t fragment_a[4], fragment_b[2];
            int row = lane % 16, shift = 0;
            if (PLANT == WRONG_ROW) row = (row + 1) % 16;
            if (PLANT == MISALIGNED) shift = 4;
            if (PLANT == OUT_OF_SHARED && step % 2 == 1) row += 16;
            ldmatrix_x4(fragment_a, stage + row * 16 + lane / 16 * 8 + shift);
            ldmatrix_x2_trans(fragment_b, stage + 256 + row * 8);
            mma_m16n8k16_f16(sums, fragment_a, fragment_b);
        }
        if (PLANT != MISSING_BARRIER) __syncthreads();
    }
    if (PLANT == DIVERGENT_BARRIER && warp == 1) return;
    if (PLANT == MISSING_LANES && lane >= 16) sums[0] += 0.0f;
    else sums[0] = __shfl_sync(0xffffffffu, sums[0], lane);
    for (int i = 0; i < 4; ++i) {
        if (PLANT == LOST_PART && warp == 1) break;
        part[warp][lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2] = sums[i];
    }
    if (PLANT != NO_REDUCTION_BARRIER) __syncthreads();
    const int row = threadIdx.x / 4 + (PLANT == OUT_OF_Y ? 1 : 0), column = threadIdx.x % 4 * 2;
    for (int i = 0; i < 2; ++i) y[row * 8 + column + i] = part[0][row % 16][column + i] + part[1][row % 16][column + i];
    if (PLANT == MISALIGNED_LOAD) {
        const uint4 v = *reinterpret_cast<const uint4*>(a + 4 + threadIdx.x);
        y[threadIdx.x] = __uint_as_float(v.x ^ v.w);
    }
}
