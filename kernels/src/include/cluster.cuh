// The way out of a tile, and the one of a tile whose K the blocks of a cluster share: split-K in a single launch, without
// a workspace, from sm_90 on.
//
// The tile is divided into as many parts as the cluster has blocks. Each block sends its sums of each part to the part's
// block, which adds them up in the order of their senders, so that the answer is the same every time, and finishes them:
//
//     sums of block 0   [ part 0 | part 1 | part 2 | part 3 ]
//                   1   [ part 0 | part 1 | part 2 | part 3 ]
//                   2   [ part 0 | part 1 | part 2 | part 3 ]
//                   3   [ part 0 | part 1 | part 2 | part 3 ]
//                            +        +        +        +
//     received by block      0        1        2        3      -> epilogue -> y
//
// What is sent tells the receiver's mbarrier of itself, so nobody waits for more than the sums it needs: a barrier of the
// cluster behind the main loop would first wait until all that was written is seen. Clusters are of 2, 4 or 8 blocks, one
// above the other in y.
#pragma once
#include "include/tile.cuh"

#if IN_CLUSTERS
#include "include/ptx_hopper.cuh"

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

// Where a block receives its part, ahead of the stages: from each sender in turn the first halves of all items, then the
// second ones.
template <class Warp>
struct Received {
    static constexpr int SIZE = 2 * TILE_ITEMS + 16;  // with the mbarrier; stages begin at multiples of 16
    uint4* halves;
    uint64_t* full;  // all have come

    __device__ __forceinline__ explicit Received(uint4* shared) {
        halves = shared;
        full = reinterpret_cast<uint64_t*>(halves + 2 * TILE_ITEMS);
    }

    // First thing, by all threads; `barrier_cluster_wait` is left for those who send.
    __device__ __forceinline__ void open() const {
        if (threadIdx.x == 0) {
            mbarrier_init(full, 1);
            fence_mbarrier_init();
            mbarrier_arrive_expect_tx(full, 32 * TILE_ITEMS);
        }
        barrier_cluster_arrive();
    }

    // Item `i` of the block's `part`, from the first BLOCKS blocks, added up in their order.
    template <int BLOCKS, typename Sum>
    __device__ __forceinline__ void add_up(int i, int part, Sum (&sums)[8]) const {
        Sum shares[BLOCKS][8];
#pragma unroll
        for (int rank = 0; rank < BLOCKS; ++rank) {
            const uint4* const low = halves + (2 * rank * part + i);
            load_halves_8(reinterpret_cast<const Sum*>(low), reinterpret_cast<const Sum*>(low + part), shares[rank]);
        }
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            sums[i] = shares[0][i];
#pragma unroll
            for (int rank = 1; rank < BLOCKS; ++rank) sums[i] += shares[rank][i];
        }
    }
};

template <class Warp>
struct WayOut {
    typedef typename Warp::Sum Sum;
    typedef TileItem<Warp> Item;

    const BlockWork& work;
    int blocks, rank, part;  // of the cluster, among them, items of each
    Item item;               // this thread's first

    __device__ __forceinline__ explicit WayOut(const BlockWork& work_)
        : work(work_), blocks(cluster_nctarank()), rank(cluster_ctarank()),
          part(TILE_ITEMS / blocks), item(work_, rank * part + threadIdx.x) {}

    template <class Out>
    __device__ __forceinline__ Addends<Sum> first(const Out& output) const {
        return {output.template terms<Sum>(item.column), output.residual(item.row, item.column)};
    }

    // Sends all sums to the blocks they belong to.
    __device__ __forceinline__ void send(const Warp& warp, const Received<Warp>& received, uint4* shared) const {
        const int lane = threadIdx.x % 32, first_slab = threadIdx.x / 32 * Warp::SLABS;
        uint4* const slab = shared + threadIdx.x / 32 * (2 * Item::ITEMS);
#pragma unroll
        for (int k = 0; k < Warp::SLABS; ++k) {
            warp.stage(k, slab);
            __syncwarp();
            for (int i = lane; i < Item::ITEMS; i += 32) {
                const int number = (first_slab + k) * Item::ITEMS + i, to = number * blocks / TILE_ITEMS;
                uint4* const there = mapa(received.halves + (2 * rank * part + number - to * part), to);
                uint64_t* const full = mapa(received.full, to);
                const int at = Slab::place(2 * i);
                st_async(there, slab[at], full);
                st_async(there + part, slab[at ^ 1], full);
            }
            __syncwarp();
        }
    }

    template <class Out>
    __device__ __forceinline__ void bring(const Warp& warp, const Out& output, Addends<Sum> addends, uint4* shared) {
        const Received<Warp> received(shared);
        // Every block has begun, and its mbarrier counts.
        barrier_cluster_wait();
        send(warp, received, shared + Received<Warp>::SIZE);
        if (threadIdx.x < part) mbarrier_wait(received.full, 0);
#pragma unroll 1
        for (int i = threadIdx.x; i < part; i += THREADS) {
            if (i >= THREADS) {
                item = Item(work, rank * part + i);
                addends = first(output);
            }
            Sum sums[8];
            if (blocks == 2) {
                received.template add_up<2>(i, part, sums);
            } else if (blocks == 4) {
                received.template add_up<4>(i, part, sums);
            } else {
                received.template add_up<8>(i, part, sums);
            }
            output.store(addends.terms, item.row, item.column, sums, addends.residual);
        }
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

// Multiplies and brings the sums out by what `output()` makes. `meanwhile()` is called when the first copies are on their
// way. Where the grid runs `beside` the one before, that one is waited for in the end.
template <bool B_IS_CONSTANT, class Warp, class A, class B, class MakeOutput, class Meanwhile>
__device__ __forceinline__ void multiply_and_finish(Warp& warp, const A& a, const B& b, const BlockWork& work,
                                                    const MakeOutput& output, uint4* shared, bool beside,
                                                    const Meanwhile& meanwhile) {
#if IN_CLUSTERS
    Received<Warp>(shared).open();
    uint4* const stages = shared + Received<Warp>::SIZE;
#else
    uint4* const stages = shared;
#endif
    if constexpr (FIRST_EARLY) {
        WayOut<Warp> way_out(work);
        Addends<typename Warp::Sum> first;
        accumulate<B_IS_CONSTANT>(warp, a, b, work.steps, stages, beside, [&] {
            first = way_out.first(output());
            meanwhile();
        });
        way_out.bring(warp, output(), first, shared);
    } else {
        accumulate<B_IS_CONSTANT>(warp, a, b, work.steps, stages, beside, meanwhile);
        WayOut<Warp> way_out(work);
        const Output out = output();
        way_out.bring(warp, out, way_out.first(out), shared);
    }
    if (beside) griddepcontrol_wait();
}
