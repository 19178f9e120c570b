// The ring between the thread that copies and the warpgroups that multiply, and the work that goes through it.
//
//     producer --tensor copies--> stage s --full[s]--> a team of warpgroups --wgmma--> sums --> y
//         ^---------------------- empty[s] -----------------'
//
// A stage holds one step along K of both operands: BLOCK_M rows of a, then BLOCK_N rows of b, ROW_BYTES of K each, in the
// swizzle of that many bytes. Blocks stay on their multiprocessor and take one share of the work after another
// ("persistent grid"), so that the producer fetches the next tile while the sums of the last are on their way out.
//
// Defined on the command line: BLOCK_M, BLOCK_N, ROW_BYTES, STAGES, WARPGROUPS (that multiply), TEAMS, PRECISION (the
// name of Math). The structs are mirrored in `kernels/src/tile/warpgroup.rs`.
#pragma once
#include "include/ptx_wgmma.cuh"

constexpr int TEAM = WARPGROUPS / TEAMS;     // warpgroups that share a tile
constexpr int CONSUMERS = 128 * WARPGROUPS;  // threads that multiply
constexpr int THREADS = CONSUMERS + 128;     // and the producer's warpgroup
constexpr int A_BYTES = BLOCK_M * ROW_BYTES;
constexpr int STAGE_BYTES = A_BYTES + BLOCK_N * ROW_BYTES;
static_assert(ROW_BYTES == 128 || ROW_BYTES == 64, "a row is as long as the swizzle's");
static_assert(A_BYTES % 1024 == 0 && STAGE_BYTES % 1024 == 0, "operands begin where the swizzle's pattern does");

// A multiprocessor gives each thread of the block the same share of its registers. The one thread that copies needs few,
// so its warpgroup passes what it can on to those that hold sums.
constexpr int EVEN_REGISTERS = 65536 / THREADS / 8 * 8;
constexpr int PRODUCER_REGISTERS = 24;
constexpr int CONSUMER_REGISTERS = (EVEN_REGISTERS * (WARPGROUPS + 1) - PRODUCER_REGISTERS) / WARPGROUPS / 8 * 8;
static_assert(WARPGROUPS >= 2 && CONSUMER_REGISTERS > EVEN_REGISTERS, "a warpgroup of its own pays from two others on");

constexpr WgmmaSwizzle SWIZZLE = ROW_BYTES == 128 ? WgmmaSwizzle::B128 : WgmmaSwizzle::B64;

// How work is numbered: column tiles fastest, then row tiles, batches, shares of K. Blocks that run at the same time so
// read few rows of a and most of b, and both stay in L2.
struct WorkGrid {
    int tiles_m, tiles_n, batches;
    int works;            // tiles_m · tiles_n · batches · shares of K
    int steps;            // of ROW_BYTES along K
    int steps_per_split;  // `steps` where K is not split
};

struct Work {
    int row, column;  // of the tile's first sum
    int batch, split;
    int first_step, steps;

    __device__ __forceinline__ Work(const WorkGrid& grid, int index) {
        const int line = index / grid.tiles_n, tile = line / grid.tiles_m;
        column = (index - line * grid.tiles_n) * BLOCK_N;
        row = (line - tile * grid.tiles_m) * BLOCK_M;
        split = tile / grid.batches;
        batch = tile - split * grid.batches;
        first_step = split * grid.steps_per_split;
        const int left = grid.steps - first_step;
        steps = left < grid.steps_per_split ? left : grid.steps_per_split;
    }
};

// A stage and the parity of its barrier's phase, which turns with every round.
struct Place {
    int stage = 0;
    uint32_t parity = 0;

    __device__ __forceinline__ void advance() {
        if (++stage == STAGES) stage = 0, parity ^= 1;
    }
    // Past the stages of work that another team does; see `Ring::turns`.
    __device__ __forceinline__ void skip(int steps) {
        const int rounds = (stage + steps) / STAGES;
        stage += steps - rounds * STAGES;
        parity ^= rounds & 1;
    }
};

struct Ring {
    unsigned char* stages;
    uint64_t* full;   // the copies have come
    uint64_t* empty;  // every warp of the team has multiplied it
    // One for each team: the team before has seen all stages of its work. Parity tells a phase from the one before and
    // the one behind, and no further. A team that came to a stage's barrier before the round in which another team
    // waits there would take the phase before that for its own, and read what has not come; so teams come in turn.
    uint64_t* turns;

    __device__ __forceinline__ explicit Ring(unsigned char* shared) : stages(shared) {
        full = reinterpret_cast<uint64_t*>(shared + STAGES * STAGE_BYTES);
        empty = full + STAGES;
        turns = empty + STAGES;
    }

    // By all threads of the block.
    __device__ __forceinline__ void initialise() const {
        if (threadIdx.x == 0) {
            for (int i = 0; i < STAGES; ++i) {
                mbarrier_init(full + i, 1);
                mbarrier_init(empty + i, 4 * TEAM);
            }
            for (int i = 0; i < TEAMS; ++i) mbarrier_init(turns + i, 4 * TEAM);
            fence_mbarrier_init();
        }
        __syncthreads();
    }
};

// The steps of all of a block's work, as the producer goes through them.
struct Steps {
    const WorkGrid& grid;
    int index;
    Work work;
    int done = 0;  // of the work

    __device__ __forceinline__ explicit Steps(const WorkGrid& grid_)
        : grid(grid_), index(blockIdx.x), work(grid_, blockIdx.x) {}
    __device__ __forceinline__ bool any() const { return index < grid.works; }
    __device__ __forceinline__ int step() const { return work.first_step + done; }
    __device__ __forceinline__ void advance() {
        if (++done < work.steps) return;
        done = 0;
        index += gridDim.x;
        work = Work(grid, index);
    }
};

// One thread keeps the ring filled. A source has `load_b(shared, work, step, barrier)`; for a, `Start`, what a tile's
// copies have in common, `start(work)`, and `load_a(shared, start, step, barrier)`.
template <class Source>
__device__ __forceinline__ void produce(const Source& source, const WorkGrid& grid, const Ring& ring) {
    const auto begin = [&](int stage, const Steps& steps) {
        mbarrier_arrive_expect_tx(ring.full + stage, STAGE_BYTES);
        source.load_b(ring.stages + stage * STAGE_BYTES + A_BYTES, steps.work, steps.step(), ring.full + stage);
    };
    // No kernel writes weights: they need not wait until the grid before has ended.
    int early = 0;
    for (Steps ahead(grid); ahead.any() && early < STAGES; ahead.advance()) begin(early++, ahead);
    griddepcontrol_wait();
    Place place;
    typename Source::Start start;
    for (Steps steps(grid); steps.any(); steps.advance()) {
        if (early > 0) {
            --early;
        } else {
            mbarrier_wait(ring.empty + place.stage, place.parity ^ 1);
            begin(place.stage, steps);
        }
        if (steps.done == 0) start = source.start(steps.work);
        source.load_a(ring.stages + place.stage * STAGE_BYTES, start, steps.step(), ring.full + place.stage);
        place.advance();
    }
    griddepcontrol_launch_dependents();
}
