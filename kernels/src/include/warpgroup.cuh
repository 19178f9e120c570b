// The block tile of the Hopper kernels: BLOCK_M x BLOCK_N sums, multiplied by `wgmma` out of the ring (ring.cuh) and
// finished in registers.
//
// A tile belongs to a team of warpgroups, each of which holds BLOCK_M / TEAM rows of it. One team of two shares large
// tiles; several teams of one take tiles in turn, and one multiplies while the others' sums are on their way out
// ("ping-pong" in CUTLASS).
//
// For the way out, rows of b are packed in an order (`Packing::Warpgroup`) in which a lane's sums, pairs of columns 8
// apart by wgmma's layout, become eight neighbours. With g = lane/4, t = lane%4, it holds of
// rows g and g + 8 of its warp's 16 the columns 8t to 8t + 7 of every 32:
//
//     row b of 32:   8u + 2t + e     column of y:   8t + 2u + e       u < 4, t < 4, e < 2
#pragma once
#include "include/epilogue.cuh"
#include "include/ring.cuh"

// What is known of a product besides its operands.
struct ProductParams {
    int64_t stride_y;   // elements from one product of the batch to the next
    WorkGrid grid;
    int rows, columns;  // of y
};

// ---- The main loop -------------------------------------------------------------------------------------------

template <class Math>
struct Sums {
    typedef typename Math::Sum Sum;
    static constexpr int ROWS = BLOCK_M / TEAM;  // of a warpgroup
    static constexpr int TILES_M = ROWS / 64;
    static_assert(ROWS % 64 == 0, "wgmma multiplies 64 rows");
    Sum d[TILES_M][BLOCK_N / 2];

    __device__ __forceinline__ void hold() {
#pragma unroll
        for (int m = 0; m < TILES_M; ++m) wgmma_hold(d[m]);
    }

    // Starts the products of `steps` stages from `place` on, and waits for all but those of the last, whose stage it
    // returns. A stage goes back to the producer as soon as its products are done: behind the start of the next.
    __device__ __forceinline__ int multiply(const Ring& ring, Place& place, int steps, int warpgroup) {
        const unsigned char* const rows = ring.stages + warpgroup * ROWS * ROW_BYTES;
        const uint64_t a = wgmma_descriptor(rows, 16, 8 * ROW_BYTES, SWIZZLE);
        const uint64_t b = wgmma_descriptor(ring.stages + A_BYTES, 16, 8 * ROW_BYTES, SWIZZLE);
        int last = 0;
#pragma unroll 1
        for (int step = 0; step < steps; ++step) {
            mbarrier_wait(ring.full + place.stage, place.parity);
            // Descriptors count in units of 16 bytes.
            const int stage = place.stage * (STAGE_BYTES / 16);
            if constexpr (Math::ROUNDS) {
                Fragments fragments;
                fragments.load(rows + place.stage * STAGE_BYTES);
                // The registers that the products before are read from are written next.
                if (step > 0) finish(ring, last);
                fragments.round();
                hold();
                wgmma_fence();
#pragma unroll
                for (int k = 0; k < STEPS; ++k) {
#pragma unroll
                    for (int m = 0; m < TILES_M; ++m) {
                        Math::multiply(d[m], fragments.a[k][m], b + stage + 2 * k, step > 0 || k > 0);
                    }
                }
                wgmma_commit_group();
                hold();
            } else {
                hold();
                wgmma_fence();
#pragma unroll
                for (int k = 0; k < STEPS; ++k) {
#pragma unroll
                    for (int m = 0; m < TILES_M; ++m) {
                        Math::multiply(d[m], a + stage + m * (64 * ROW_BYTES / 16) + 2 * k, b + stage + 2 * k,
                                       step > 0 || k > 0);
                    }
                }
                wgmma_commit_group();
                hold();
                wgmma_wait_group<1>();
                if (step > 0) release(ring, last);
            }
            last = place.stage;
            place.advance();
        }
        return last;
    }

    // Waits for the products of the last stage, and gives it back.
    __device__ __forceinline__ void finish(const Ring& ring, int last) {
        wgmma_wait_group<0>();
        hold();
        release(ring, last);
    }

    // The eight of rows 8h and columns 8t of the q-th 32; see above.
    __device__ __forceinline__ void eight(int m, int h, int q, Sum (&x)[8]) const {
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = d[m][16 * q + 4 * (i / 2) + 2 * h + i % 2];
    }

    // This warp has read the stage.
    static __device__ __forceinline__ void release(const Ring& ring, int stage) {
        if (threadIdx.x % 32 == 0) mbarrier_arrive(ring.empty + stage);
    }

  private:
    static constexpr int STEPS = ROW_BYTES / 32;  // of 32 bytes along K, a wgmma's

    // This warp's 16 rows of every 64, as mma's fragments.
    struct Fragments {
        uint32_t a[STEPS][TILES_M][4];

        // Lane l points at row l%16 and the 16 bytes l/16 of every 32, where the swizzle has put them.
        __device__ __forceinline__ void load(const unsigned char* rows) {
            const int lane = threadIdx.x % 32, row = threadIdx.x / 32 % 4 * 16 + lane % 16;
            const int scattered = ROW_BYTES == 128 ? row % 8 : row / 2 % 4;
#pragma unroll
            for (int k = 0; k < STEPS; ++k) {
#pragma unroll
                for (int m = 0; m < TILES_M; ++m) {
                    const int at = (64 * m + row) * ROW_BYTES + ((2 * k + lane / 16) ^ scattered) * 16;
                    ldmatrix_x4(a[k][m], rows + at);
                }
            }
        }
        __device__ __forceinline__ void round() {
#pragma unroll
            for (int k = 0; k < STEPS; ++k) {
#pragma unroll
                for (int m = 0; m < TILES_M; ++m) {
#pragma unroll
                    for (int i = 0; i < 4; ++i) a[k][m][i] = Math::round(a[k][m][i]);
                }
            }
        }
    };

};

#include "include/way_out.cuh"

// ---- The whole kernel ----------------------------------------------------------------------------------------

// A team's part: every work of the block whose turn is its own.
template <class Math>
__device__ __forceinline__ void consume(const Ring& ring, const ProductParams& p, const EpilogueParams& epilogue,
                                        const EpilogueTensors& tensors, const TensorMap& y, void* partial) {
    const int warpgroup = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0);
    const int team = warpgroup / TEAM;
    WayOut<Math> way_out(ring, p, epilogue, tensors, y, partial);
    griddepcontrol_wait();
    Place place;
    uint32_t parity = team == 0;  // the first team begins, as if a phase had ended before
    int turn = 0;
#pragma unroll 1
    for (int index = blockIdx.x; index < p.grid.works; index += gridDim.x) {
        const Work work(p.grid, index);
        const bool mine = turn == team;
        turn = turn + 1 == TEAMS ? 0 : turn + 1;
        if (!mine) {
            place.skip(work.steps + (ADDS ? RESIDUAL_CHUNKS : 0));
            continue;
        }
        if (TEAMS > 1) mbarrier_wait(ring.turns + team, parity);
        parity ^= 1;
        const auto pass_turn = [&] {
            if (TEAMS > 1 && threadIdx.x % 32 == 0) mbarrier_arrive(ring.turns + (team + 1) % TEAMS);
        };
        way_out.begin(work);
        Sums<Math> sums;
        const int last = sums.multiply(ring, place, work.steps, warpgroup % TEAM);
        if (!ADDS) pass_turn();
        sums.finish(ring, last);
        if constexpr (ADDS) {
            Place seen = place;
            for (int chunk = 0; TEAMS > 1 && chunk < RESIDUAL_CHUNKS; ++chunk, seen.advance()) {
                mbarrier_wait(ring.full + seen.stage, seen.parity);
            }
            pass_turn();
        }
        way_out.store(sums, work, place);
    }
    way_out.finish();
}

// `y` and `residual` are the output and the residual as tensor copies see them, where `p` says that they do.
template <class Math, class Source>
__device__ __forceinline__ void multiply_tiles(const Source& source, const ProductParams& p,
                                               const EpilogueParams& epilogue, const EpilogueTensors& tensors,
                                               const TensorMap& y, const TensorMap& residual, void* partial,
                                               unsigned char* shared) {
    const Ring ring(shared);
    ring.initialise();
    if (threadIdx.x >= CONSUMERS) {
        setmaxnreg_dec<PRODUCER_REGISTERS>();
        if (threadIdx.x == CONSUMERS) {
            produce(source, residual, p.grid, ring);
        } else {
            griddepcontrol_wait();  // as every thread has to, before it ends
        }
    } else {
        setmaxnreg_inc<CONSUMER_REGISTERS>();
        consume<Math>(ring, p, epilogue, tensors, y, partial);
    }
}
