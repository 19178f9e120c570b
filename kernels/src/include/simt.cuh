// A warp's share of a block tile, multiplied in plain f32: one fused multiply-add per product, no tensor cores.
//
// A warp is 8x4 lanes; a lane owns LANE_M x LANE_N sums, rows 8 apart and columns in runs of four:
//
//      rows    lane/2%8 + 8·i          columns    4·(lane%2 + lane/16·2) + 16·j .. +3
//
// Shared memory serves half a warp's vectors at once where lanes l and l^1, or l and l^2, ask for the same ones, and a
// quarter's if not. Here neighbours share a row of A and every second lane a vector of B: sixteen lanes read eight rows of A
// (eight different banks, thanks to the tile's swizzle) and two vectors of B.
//
// A lane multiplies a row's vector, four k, by a run's four. The next run's vectors are on their way meanwhile; a row's own
// next vector is asked for as soon as its last product is formed.
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

    // Four vectors of B: of four columns each its four k, or of four k each its four columns.
    struct Run {
        float4 vectors[4];

        __device__ __forceinline__ float at(int k, int column) const {
            return B_IS_K_BY_N ? part(vectors[k], column) : part(vectors[column], k);
        }
    };

    float sums[LANE_M][LANE_N];
    float4 rows[LANE_M];
    Run runs[RUNS == 1 ? 1 : 2];  // being multiplied, being loaded
    int first_a, first_b;         // bytes from a tile to the lane's first vectors

    __device__ __forceinline__ FmaWarp() {
        const int lane = threadIdx.x % 32;
        const int row = threadIdx.x / 32 / WARPS_N * WARP_M + lane_row(lane);
        const int column = threadIdx.x / 32 % WARPS_N * WARP_N + lane_run(lane) * 4;
        first_a = 16 * TileA::slot(row, 0);
        first_b = 16 * (B_IS_K_BY_N ? TileB::slot(0, column / 4) : TileB::slot(column, 0));
        settle(first_a);
        settle(first_b);
#pragma unroll
        for (int i = 0; i < LANE_M; ++i) {
#pragma unroll
            for (int j = 0; j < LANE_N; ++j) sums[i][j] = 0.0f;
        }
    }

    // Loads the first vectors of a tile.
    __device__ __forceinline__ void start(const uint4* shared, int a, int b) {
#pragma unroll
        for (int i = 0; i < LANE_M; ++i) rows[i] = load_row(shared, 16 * a + first_a, i);
        load_run(runs[0], shared, 16 * b + first_b, 0);
    }

    // sums += A·B over one step of BLOCK_K, four k at a time.
    __device__ __forceinline__ void multiply(const uint4* shared, int a, int b) {
        int at_a = 16 * a + first_a, at_b = 16 * b + first_b;
        settle(at_a);
        settle(at_b);
        // Rolled, to stay in the instruction cache nearest to the multipliers.
#pragma unroll 1
        for (int v = 0; v < 16 * VECTORS; v += 16) {
            // Behind the last come the first again, which nobody needs: a condition would double the text.
            const int next = (v + 16) % (16 * VECTORS);
            const int next_a = at_a ^ next, this_b = of_vector(at_b, v), next_b = of_vector(at_b, next);
#pragma unroll
            for (int run = 0; run < RUNS; ++run) {
                const bool last = run + 1 == RUNS;
                if (!last) load_run(runs[(run + 1) % 2], shared, this_b, run + 1);
                if (last && RUNS > 1) load_run(runs[0], shared, next_b, 0);
#pragma unroll
                for (int i = 0; i < LANE_M; ++i) {
                    multiply_run(sums[i] + 4 * run, rows[i], runs[run % 2]);
                    if (last) rows[i] = load_row(shared, next_a, i);
                }
                if (last && RUNS == 1) load_run(runs[0], shared, next_b, 0);
            }
        }
    }

    // Writes rows [8·slab, 8·slab+8) of the warp's sums as a `Slab`.
    __device__ __forceinline__ void stage(int slab, uint4* out) const {
        const int lane = threadIdx.x % 32;
        const int at = Slab::place(lane_row(lane) * Slab::ROW_VECTORS + lane_run(lane));
#pragma unroll
        for (int run = 0; run < RUNS; ++run) {
            const float* const s = sums[slab] + 4 * run;
            *reinterpret_cast<float4*>(Slab::shifted(out, at, 4 * run)) = make_float4(s[0], s[1], s[2], s[3]);
        }
    }

  private:
    static __device__ __forceinline__ int lane_row(int lane) { return lane / 2 % 8; }
    static __device__ __forceinline__ int lane_run(int lane) { return lane % 2 + lane / 16 * 2; }
    static __device__ __forceinline__ float part(const float4& x, int k) {
        return k == 0 ? x.x : k == 1 ? x.y : k == 2 ? x.z : x.w;
    }

    // Where the lane's vectors of B lie, `v` bytes along K from those at `at`.
    static __device__ __forceinline__ int of_vector(int at, int v) {
        return B_IS_K_BY_N ? (at ^ 16 * TileB::permutation(v / 4)) + 4 * v * TileB::VECTORS : at ^ v;
    }
    static __device__ __forceinline__ float4 load_row(const uint4* shared, int at, int i) {
        return load<TileA>(shared, at, 8 * i, 0);
    }
    static __device__ __forceinline__ void load_run(Run& run, const uint4* shared, int at, int index) {
#pragma unroll
        for (int n = 0; n < 4; ++n) {
            run.vectors[n] = B_IS_K_BY_N ? load<TileB>(shared, at, n, 4 * index) : load<TileB>(shared, at, 16 * index + n, 0);
        }
    }
    // `TileLayout::shifted` in bytes, which are what an address is made of.
    template <class Layout>
    static __device__ __forceinline__ float4 load(const uint4* shared, int at, int rows, int vectors) {
        const int flipped = at ^ 16 * (Layout::permutation(rows) ^ vectors % 8);
        const char* const from = reinterpret_cast<const char*>(shared) + flipped;
        return *reinterpret_cast<const float4*>(from + 16 * (rows * Layout::VECTORS + vectors / 8 * 8));
    }

    // Four sums of a row. Registers lie in two banks by their number's last bit, and three of one bank take a cycle more:
    // both factors are of k's, the sum of its column's, so even columns begin with k = 1 and odd ones with k = 0, and the
    // compiler keeps every second partial sum in the other bank.
    static __device__ __forceinline__ void multiply_run(float* sums, const float4& row, const Run& run) {
#pragma unroll
        for (int step = 0; step < 4; ++step) {
#pragma unroll
            for (int c = 0; c < 4; ++c) {
                const int k = c % 2 == 0 ? step ^ 1 : step;
                sums[c] += part(row, k) * run.at(k, c);
            }
        }
    }
};
