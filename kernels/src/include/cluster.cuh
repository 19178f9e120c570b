// The way out of a tile, and the one of a tile whose K the blocks of a cluster share: split-K in a single launch, without
// a workspace, from sm_90 on.
//
// Each block leaves its sums in its own shared memory. When all have, each adds up one part of the tile, out of the shared
// memory of every block, in the order of their ranks, so that the answer is the same every time, and finishes it:
//
//     shared memory of block 0   [ part 0 | part 1 | part 2 | part 3 ]
//                            1   [ part 0 | part 1 | part 2 | part 3 ]
//                            2   [ part 0 | part 1 | part 2 | part 3 ]
//                            3   [ part 0 | part 1 | part 2 | part 3 ]
//                                     +        +        +        +
//     added up by block               0        1        2        3      -> epilogue -> y
//
// Clusters are of 2, 4 or 8 blocks, one above the other in y.
#pragma once
#include "include/tile.cuh"

#if IN_CLUSTERS
#include "include/ptx_hopper.cuh"

// Eight neighbouring sums: where they belong in y, and where they lie in shared memory. They are counted slab by slab, as
// lanes of a warp meet different banks.
template <int SLABS, int SLAB_ROWS>
struct ClusterItem {
    static constexpr int EIGHTHS = WARP_N / 8, ITEMS = SLAB_ROWS * EIGHTHS;  // of a slab
    int row, column, place;

    __device__ __forceinline__ ClusterItem(const BlockWork& work, int number) {
        const int slab = number / ITEMS, inside = number % ITEMS, warp = slab / SLABS;
        row = work.row + warp / WARPS_N * WARP_M + slab % SLABS * SLAB_ROWS + inside / EIGHTHS;
        column = work.column + warp % WARPS_N * WARP_N + inside % EIGHTHS * 8;
        place = slab * (2 * ITEMS) + Slab::place(2 * inside);
    }
};

// What lies at `place` of the first BLOCKS blocks, added up in their order. All is on its way before the first is needed.
template <int BLOCKS, typename Sum>
__device__ __forceinline__ void add_up(uint4* shared, int place, Sum (&sums)[8]) {
    Sum shares[BLOCKS][8];
#pragma unroll
    for (int rank = 0; rank < BLOCKS; ++rank) {
        const uint4* const there = mapa(shared, rank);
        load_halves_8(reinterpret_cast<const Sum*>(there + place), reinterpret_cast<const Sum*>(there + (place ^ 1)),
                      shares[rank]);
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        sums[i] = shares[0][i];
#pragma unroll
        for (int rank = 1; rank < BLOCKS; ++rank) sums[i] += shares[rank][i];
    }
}

template <class Warp>
struct WayOut {
    typedef typename Warp::Sum Sum;
    typedef ClusterItem<Warp::SLABS, Warp::SLAB_ROWS> Item;

    const BlockWork& work;
    int blocks, part, begin;  // of the cluster; items of this block, and the number of the first
    Item item;                // this thread's first

    __device__ __forceinline__ explicit WayOut(const BlockWork& work_)
        : work(work_), blocks(cluster_nctarank()), part(BLOCK_M * BLOCK_N / 8 / blocks),
          begin(cluster_ctarank() * part), item(work_, begin + threadIdx.x) {}

    template <class Out>
    __device__ __forceinline__ Addends<Sum> first(const Out& output) const {
        return {output.template terms<Sum>(item.column), output.residual(item.row, item.column)};
    }

    template <class Out>
    __device__ __forceinline__ void bring(const Warp& warp, const Out& output, Addends<Sum> addends, uint4* shared) {
#pragma unroll
        for (int k = 0; k < Warp::SLABS; ++k) {
            warp.stage(k, shared + (threadIdx.x / 32 * Warp::SLABS + k) * (2 * Item::ITEMS));
        }
        barrier_cluster_arrive();
        barrier_cluster_wait();
#pragma unroll 1
        for (int i = threadIdx.x; i < part; i += THREADS) {
            if (i >= THREADS) {
                item = Item(work, begin + i);
                addends = first(output);
            }
            Sum sums[8];
            if (blocks == 2) {
                add_up<2>(shared, item.place, sums);
            } else if (blocks == 4) {
                add_up<4>(shared, item.place, sums);
            } else {
                add_up<8>(shared, item.place, sums);
            }
            output.store(addends.terms, item.row, item.column, sums, addends.residual);
        }
        // Nobody ends while others read what it has left.
        __syncwarp();
        barrier_cluster_arrive();
        barrier_cluster_wait();
    }
};
#else
template <class Warp>
struct WayOut {
    typedef typename Warp::Sum Sum;
    FirstPlace<Warp> place;

    __device__ __forceinline__ explicit WayOut(const BlockWork& work) : place(work) {}

    template <class Out>
    __device__ __forceinline__ Addends<Sum> first(const Out& output) const {
        return {output.template terms<Sum>(place.column), output.residual(place.row, place.column)};
    }

    template <class Out>
    __device__ __forceinline__ void bring(const Warp& warp, const Out& output, const Addends<Sum>& addends,
                                          uint4* shared) {
        store_sums(warp, place, output, addends, shared);
    }
};
#endif

// Multiplies and brings the sums out. `meanwhile()` is called when the first copies are on their way.
template <bool B_IS_CONSTANT, class Warp, class A, class B, class Meanwhile>
__device__ __forceinline__ void multiply_and_finish(const A& a, const B& b, const BlockWork& work, const Output& output,
                                                    uint4* shared, const Meanwhile& meanwhile) {
    Warp warp;
    WayOut<Warp> way_out(work);
    Addends<typename Warp::Sum> first;
    accumulate<B_IS_CONSTANT>(warp, a, b, work.steps, shared, [&] {
        if constexpr (FIRST_EARLY) first = way_out.first(output);
        meanwhile();
    });
    if constexpr (!FIRST_EARLY) first = way_out.first(output);
    way_out.bring(warp, output, first, shared);
}
