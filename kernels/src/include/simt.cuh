// A warp's share of a block tile, multiplied in plain f32: one fused multiply-add per product, no tensor cores.
//
// A warp is 8x4 lanes; a lane owns LANE_M x LANE_N sums, rows 8 apart and columns in runs of four:
//
//      rows    lane%8 + 8·i            columns    4·(lane/8) + 16·j .. +3
//
// so that the eight lanes which shared memory serves at once read eight rows of A (eight different banks, thanks
// to the tile's swizzle) and one and the same vector of B.
#pragma once
#include "include/tile.cuh"

struct Fp32 {
    typedef float Element;
    static constexpr int WIDTH = 4;
};

// A's tile is [BLOCK_M][BLOCK_K]. B's is [BLOCK_N][BLOCK_K], or [BLOCK_K][BLOCK_N] if B_IS_K_BY_N.
template <bool B_IS_K_BY_N>
struct FmaWarp {
    typedef Fp32 Math;
    typedef float Sum;
    static constexpr int VECTORS = BLOCK_K / 4;
    typedef TileLayout<BLOCK_M, VECTORS> TileA;
    typedef TileLayout<B_IS_K_BY_N ? BLOCK_K : BLOCK_N, B_IS_K_BY_N ? BLOCK_N / 4 : VECTORS> TileB;

    static constexpr int LANE_M = WARP_M / 8, LANE_N = WARP_N / 4, RUNS = LANE_N / 4;
    static_assert(LANE_M >= 1 && LANE_N % 4 == 0, "a warp needs at least 8x16 sums");
    static constexpr int SLABS = LANE_M, SLAB_ROWS = 8;

    float sums[LANE_M][LANE_N];
    int lane, row, column;  // the lane's first sum in the block tile

    __device__ __forceinline__ FmaWarp() {
        lane = threadIdx.x % 32;
        row = threadIdx.x / 32 / WARPS_N * WARP_M + lane % 8;
        column = threadIdx.x / 32 % WARPS_N * WARP_N + lane / 8 * 4;
#pragma unroll
        for (int i = 0; i < LANE_M; ++i) {
#pragma unroll
            for (int j = 0; j < LANE_N; ++j) sums[i][j] = 0.0f;
        }
    }

    // Nothing is loaded ahead: there are enough warps to hide a load from shared memory.
    __device__ __forceinline__ void start(const uint4*, int, int) {}

    // sums += A·B over one step of BLOCK_K, four k at a time.
    __device__ __forceinline__ void multiply(const uint4* shared, int a, int b) {
        const int at_a = a + TileA::slot(row, 0);
        const int at_b = b + (B_IS_K_BY_N ? TileB::slot(0, column / 4) : TileB::slot(column, 0));
        // Rolled: unrolled, the swizzled addresses of every v would each take a register through the whole loop.
#pragma unroll 1
        for (int v = 0; v < VECTORS; ++v) {
            float4 rows[LANE_M];
#pragma unroll
            for (int i = 0; i < LANE_M; ++i) rows[i] = vector(TileA::shifted(shared, at_a, 8 * i, v));
            if constexpr (B_IS_K_BY_N) {
#pragma unroll
                for (int run = 0; run < RUNS; ++run) {
#pragma unroll
                    for (int k = 0; k < 4; ++k) {
                        const float4 x = vector(TileB::shifted(shared, at_b, 4 * v + k, 4 * run));
                        const float four[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
                        for (int i = 0; i < LANE_M; ++i) {
                            const float y = part(rows[i], k);
#pragma unroll
                            for (int c = 0; c < 4; ++c) sums[i][4 * run + c] += y * four[c];
                        }
                    }
                }
            } else {
#pragma unroll
                for (int j = 0; j < LANE_N; ++j) {
                    const float4 x = vector(TileB::shifted(shared, at_b, j / 4 * 16 + j % 4, v));
#pragma unroll
                    for (int i = 0; i < LANE_M; ++i) {
#pragma unroll
                        for (int k = 0; k < 4; ++k) sums[i][j] += part(rows[i], k) * part(x, k);
                    }
                }
            }
        }
    }

    // Writes rows [8·slab, 8·slab+8) of the warp's sums as a `Slab`.
    __device__ __forceinline__ void stage(int slab, uint4* out) const {
        const int at = Slab::place(lane % 8 * Slab::ROW_VECTORS + lane / 8);
#pragma unroll
        for (int run = 0; run < RUNS; ++run) {
            const float* const s = sums[slab] + 4 * run;
            *reinterpret_cast<float4*>(Slab::shifted(out, at, 4 * run)) = make_float4(s[0], s[1], s[2], s[3]);
        }
    }

  private:
    static __device__ __forceinline__ float4 vector(const uint4* at) { return *reinterpret_cast<const float4*>(at); }
    static __device__ __forceinline__ float part(const float4& x, int k) {
        return k == 0 ? x.x : k == 1 ? x.y : k == 2 ? x.z : x.w;
    }
};
