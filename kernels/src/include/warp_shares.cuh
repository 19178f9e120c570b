// The sums of a tile as items, and how the warps add theirs up that share K inside a block (WARPS_K > 1): all put their
// sums down, and every thread takes items from there, added up in the order of their warps, so that the answer is the same
// every time.
//
// With few rows there are few tiles, a block or two on each multiprocessor, and a warp or two on each of its four
// schedulers, which wait for shared memory and for products one after the other. More warps on the same sums wait side by
// side.
#pragma once
#include "include/tile.cuh"

constexpr int TILE_ITEMS = BLOCK_M * BLOCK_N / 8;

// Eight neighbouring sums: where they belong in y. They are counted slab by slab, in two halves of 16 bytes.
template <class Warp>
struct TileItem {
    static constexpr int EIGHTHS = WARP_N / 8, ITEMS = Warp::SLAB_ROWS * EIGHTHS;  // of a slab
    int row, column;

    __device__ __forceinline__ TileItem(const BlockWork& work, int number) {
        const int slab = number / ITEMS, inside = number % ITEMS, warp = slab / Warp::SLABS;
        row = work.row + warp / WARPS_N * WARP_M + slab % Warp::SLABS * Warp::SLAB_ROWS + inside / EIGHTHS;
        column = work.column + warp % WARPS_N * WARP_N + inside % EIGHTHS * 8;
    }
};

#if WARPS_K > 1
template <class Warp>
struct WarpShares {
    typedef typename Warp::Sum Sum;
    static constexpr int ITEMS = TileItem<Warp>::ITEMS;
    static_assert(Warp::SLABS == 1, "a warp's sums are put down at once");
    const uint4* slabs;  // those of the first share of K, then those of the second, ...

    // By all threads, once nobody reads `shared` any more.
    __device__ __forceinline__ WarpShares(const Warp& warp, uint4* shared) : slabs(shared) {
        warp.stage(0, shared + threadIdx.x / 32 * (2 * ITEMS));
        __syncthreads();
    }

    __device__ __forceinline__ void add_up(int number, Sum (&sums)[8]) const {
        const uint4* const slab = slabs + number / ITEMS * (2 * ITEMS);
        const int at = Slab::place(2 * (number % ITEMS));
#pragma unroll
        for (int k = 0; k < WARPS_K; ++k) {
            const uint4* const share = slab + k * (2 * TILE_ITEMS);
            Sum x[8];
            load_halves_8(reinterpret_cast<const Sum*>(share + at), reinterpret_cast<const Sum*>(share + (at ^ 1)), x);
#pragma unroll
            for (int i = 0; i < 8; ++i) sums[i] = k ? sums[i] + x[i] : x[i];
        }
    }
};

// Four sums as they lie in memory.
__device__ __forceinline__ uint4 words(float a, float b, float c, float d) {
    return make_uint4(__float_as_uint(a), __float_as_uint(b), __float_as_uint(c), __float_as_uint(d));
}
__device__ __forceinline__ uint4 words(int a, int b, int c, int d) { return make_uint4(a, b, c, d); }
#endif
