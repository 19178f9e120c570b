// How tiles come into shared memory: by copies behind the threads' backs, or through registers. Part of tile.cuh, which
// has the definitions and says what a `Source` is.
#pragma once
#include "include/ptx.cuh"

#if ASYNC_COPY
// Stages whose first copies are written out one after the other: all, or a loop where registers are scarce.
constexpr int FILL_AT_ONCE = MIN_BLOCKS == 1 ? STAGES : 1;

// Starts the copies of this thread's share of the tile at shared + at, and moves the source on by one step of K.
template <class Source>
__device__ __forceinline__ void start_copy(uint4* shared, int at, Source& source) {
    typedef typename Source::Layout Layout;
#pragma unroll
    for (int j = 0; j < Layout::COPIES; ++j) {
        if (Layout::thread_copies(j)) {
            cp_async_16(Layout::thread_target(shared, at, j), source.address(j), source.valid(j));
        }
    }
    source.advance();
}

// The same of a source's first COUNT tiles, with the addresses worked out beforehand, while the grids before are still at
// work, where there are registers for them: where warps hold few sums.
template <class Source, int COUNT>
struct FirstCopies {
    typedef typename Source::Layout Layout;
    static constexpr bool BEFOREHAND = COUNT * Layout::COPIES <= 8 && WARP_M * WARP_N <= 32 * 32 && FILL_AT_ONCE > 1;
    const void* from[BEFOREHAND ? COUNT : 1][Layout::COPIES];
    uint32_t valid;  // a bit each

    __device__ __forceinline__ FirstCopies(Source& source, int steps) : from{}, valid(0) {
        if constexpr (BEFOREHAND) {
#pragma unroll
            for (int step = 0; step < COUNT; ++step) {
                if (step >= steps) continue;
#pragma unroll
                for (int j = 0; j < Layout::COPIES; ++j) {
                    from[step][j] = made_here(source.address(j));
                    valid |= static_cast<uint32_t>(source.valid(j)) << (step * Layout::COPIES + j);
                }
                source.advance();
            }
            valid = made_here(valid);
        }
    }

    __device__ __forceinline__ void start(uint4* shared, int at, int step, Source& source) const {
        if constexpr (BEFOREHAND) {
#pragma unroll
            for (int j = 0; j < Layout::COPIES; ++j) {
                if (!Layout::thread_copies(j)) continue;
                const bool there = valid >> (step * Layout::COPIES + j) & 1;
                cp_async_16(Layout::thread_target(shared, at, j), from[step][j], there);
            }
        } else {
            start_copy(shared, at, source);
        }
    }
};
#else
// This thread's share of a tile, on its way through registers.
template <class Source>
struct Staged {
    typedef typename Source::Layout Layout;
    uint4 vectors[Layout::COPIES];

    __device__ __forceinline__ void fetch(Source& source) {
#pragma unroll
        for (int j = 0; j < Layout::COPIES; ++j) {
            vectors[j] = Layout::thread_copies(j) ? source.read(j) : zero_vector();
        }
        source.advance();
    }
    __device__ __forceinline__ void put(uint4* shared, int at) const {
#pragma unroll
        for (int j = 0; j < Layout::COPIES; ++j) {
            if (Layout::thread_copies(j)) *Layout::thread_target(shared, at, j) = vectors[j];
        }
    }
};
#endif
