// A warp's share of a block tile, multiplied on tensor cores.
//
// A warp multiplies WARP_M x WARP_N sums in pieces of 16x8. Fragments come from shared memory by ldmatrix, in
// units of 32 bytes along K: 32 numbers of s8, 16 of f16, 8 of tf32. Because ldmatrix only sees 8 rows of 16 bytes,
// all precisions read their fragments the same way:
//
//      a[0] = (rows 0-7,  vector 0)   a[2] = (rows 0-7,  vector 1)        b[0] = (columns 0-7, vector 0)
//      a[1] = (rows 8-15, vector 0)   a[3] = (rows 8-15, vector 1)        b[1] = (columns 0-7, vector 1)
//
// which gives lane (g = lane/4, t = lane%4) bytes 4t to 4t+3 of row g: of 32-bit numbers number t, the layout of
// m16n8k8 tf32; of s8 the four from 4t on, that of m16n8k32.
#pragma once
#include "include/product.cuh"
#include "include/tile.cuh"

// A's tile as its numbers are multiplied.
template <class Math>
struct StoredLeft {
    typedef TileLayout<BLOCK_M, BLOCK_K / Math::WIDTH> Tile;

    // Fragments of 16 rows each, the first of them `row`, at a step of 32 bytes along K. Lane l points to row l%8 of
    // matrix l/8 of the four that an ldmatrix_x4 loads; see the picture above.
    template <int COUNT>
    __device__ __forceinline__ void load(uint32_t (&fragments)[COUNT][4], const uint4* shared, int tile, int row,
                                         int step) const {
        const int lane = threadIdx.x % 32;
        const int at = tile + Tile::slot(row + lane % 16, lane / 16);
#pragma unroll
        for (int m = 0; m < COUNT; ++m) ldmatrix_x4(fragments[m], Tile::shifted(shared, at, 16 * m, 2 * step));
    }
};

// A's tile is [BLOCK_M][BLOCK_K]. B's is [BLOCK_N][BLOCK_K], or [BLOCK_K][BLOCK_N] if B_IS_K_BY_N.
template <class Math, bool B_IS_K_BY_N, class Left = StoredLeft<Math>>
struct MmaWarp {
    typedef typename Math::Sum Sum;
    static constexpr int VECTORS = BLOCK_K / Math::WIDTH;
    typedef typename Left::Tile TileA;
    typedef TileLayout<B_IS_K_BY_N ? BLOCK_K : BLOCK_N, B_IS_K_BY_N ? BLOCK_N / Math::WIDTH : VECTORS> TileB;

    static constexpr int STEPS = VECTORS / 2;
    static constexpr int TILES_M = WARP_M / 16, TILES_N = WARP_N / 8;
    static_assert(!B_IS_K_BY_N || sizeof(typename Math::Element) > 1, "nothing transposes single bytes");
    static_assert(TILES_M >= 1 && TILES_N % 2 == 0 && STEPS >= 1, "a warp needs 16x16 sums and 32 bytes of K");

    // On the way out; see `Slab`.
    static constexpr int SLABS = TILES_M, SLAB_ROWS = 16;

    struct Fragments {
        uint32_t a[TILES_M][4];
        uint32_t b[TILES_N][2];
    };
    Sum sums[TILES_M][TILES_N][4];
    Fragments fragments[2];  // being multiplied, being loaded
    int lane, row, column;  // the warp's first sum in the block tile
    Left left;

    __device__ __forceinline__ explicit MmaWarp(const Left& left_ = {}) : left(left_) {
        lane = threadIdx.x % 32;
        row = threadIdx.x / 32 / WARPS_N * WARP_M;
        column = threadIdx.x / 32 % WARPS_N * WARP_N;
#pragma unroll
        for (int m = 0; m < TILES_M; ++m) {
#pragma unroll
            for (int n = 0; n < TILES_N; ++n) {
#pragma unroll
                for (int i = 0; i < 4; ++i) sums[m][n][i] = 0;
            }
        }
    }

    // Loads the first fragments of a tile.
    __device__ __forceinline__ void start(const uint4* shared, int a, int b) { load(fragments[0], shared, a, b, 0); }

    // sums += A·B over one step of BLOCK_K. The next fragments are loaded while the present ones are multiplied.
    __device__ __forceinline__ void multiply(const uint4* shared, int a, int b) {
#pragma unroll
        for (int step = 0; step < STEPS; ++step) {
            if (step + 1 < STEPS) load(fragments[(step + 1) % 2], shared, a, b, step + 1);
            const Fragments& f = fragments[step % 2];
#pragma unroll
            for (int m = 0; m < TILES_M; ++m) {
#pragma unroll
                for (int n = 0; n < TILES_N; ++n) {
                    // Back and forth, so that neighbouring products share an operand.
                    const int k = m % 2 ? TILES_N - 1 - n : n;
                    Math::multiply(sums[m][k], f.a[m], f.b[k]);
                }
            }
        }
    }

    // Writes rows [16·slab, 16·slab+16) of the warp's sums as a `Slab`.
    __device__ __forceinline__ void stage(int slab, uint4* out) const {
        const int at = Slab::place(lane / 4 * Slab::ROW_VECTORS + lane % 4 / 2);
#pragma unroll
        for (int n = 0; n < TILES_N; ++n) {
            const Sum(&d)[4] = sums[slab][n];
            store_pair(Slab::shifted(out, at, 2 * n), d[0], d[1]);
            store_pair(Slab::shifted(out, at, 8 * Slab::ROW_VECTORS + 2 * n), d[2], d[3]);
        }
    }

  private:
    // Into the first half of a vector by even lanes, into the second by odd ones.
    __device__ __forceinline__ void store_pair(uint4* vector, float a, float b) const {
        reinterpret_cast<float2*>(vector)[lane % 2] = make_float2(a, b);
    }
    __device__ __forceinline__ void store_pair(uint4* vector, int a, int b) const {
        reinterpret_cast<int2*>(vector)[lane % 2] = make_int2(a, b);
    }

    __device__ __forceinline__ void load(Fragments& f, const uint4* shared, int a, int b, int step) const {
        left.load(f.a, shared, a, row, step);
#pragma unroll
        for (int n = 0; n < TILES_N; n += 2) {
            uint32_t two[4];  // fragments n and n+1
            load_b(two, shared, b, step, n);
            f.b[n][0] = two[0], f.b[n][1] = two[1];
            f.b[n + 1][0] = two[2], f.b[n + 1][1] = two[3];
        }
#pragma unroll
        for (int m = 0; m < TILES_M; ++m) {
#pragma unroll
            for (int i = 0; i < 4; ++i) f.a[m][i] = Math::operand(f.a[m][i]);
        }
#pragma unroll
        for (int n = 0; n < TILES_N; ++n) {
            f.b[n][0] = Math::operand(f.b[n][0]);
            f.b[n][1] = Math::operand(f.b[n][1]);
        }
    }

    __device__ __forceinline__ void load_b(uint32_t (&two)[4], const uint4* shared, int b, int step, int n) const {
        if constexpr (!B_IS_K_BY_N) {
            const int at = b + TileB::slot(column + lane / 16 * 8 + lane % 8, lane / 8 % 2);
            ldmatrix_x4(two, TileB::shifted(shared, at, 8 * n, 2 * step));
        } else if constexpr (sizeof(typename Math::Element) == 2) {
            // Rows are k, columns are n: `trans` turns each 8x8 matrix on the way.
            const int at = b + TileB::slot(lane % 16, column / 8 + lane / 16);
            ldmatrix_x4_trans(two, TileB::shifted(shared, at, 16 * step, n));
        } else {
            // There is no transposed ldmatrix for 32-bit numbers: one load each.
            const int at = b + TileB::slot(lane % 4, column / 4 + lane / 16);
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const uint4* const vector = TileB::shifted(shared, at, 8 * step + i % 2 * 4, 2 * n + i / 2 * 2);
                two[i] = reinterpret_cast<const uint32_t*>(vector)[lane / 4 % 4];
            }
        }
    }
};
