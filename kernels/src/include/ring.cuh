// The ring between the thread that copies and the warpgroups that multiply, and the work that goes through it.
//
//     producer --tensor copies--> stage s --full[s]--> a team of warpgroups --wgmma--> sums --> y
//         ^---------------------- empty[s] -----------------'
//
// A stage holds one step along K of both operands: BLOCK_M rows of a, then BLOCK_N rows of b, ROW_BYTES of K each, in the
// swizzle of that many bytes. Behind the last of them the residual goes the same way, a chunk of its columns at a time
// (way_out.cuh), and so is there when the sums are. Blocks stay on their multiprocessor and take one share of the work after another
// ("persistent grid"), so that the producer fetches the next tile while the sums of the last are on their way out.
//
// Defined on the command line: BLOCK_M, BLOCK_N, ROW_BYTES, STAGES, WARPGROUPS (that multiply), TEAMS, PRECISION (the
// name of a struct of wgmma_math.cuh), WAY_OUT (a name of way_out.cuh). The structs are mirrored in `kernels/src/tile/warpgroup/tiling.rs`.
#pragma once
#include "include/wgmma_math.cuh"

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
constexpr int PRODUCER_REGISTERS = 40;
constexpr int CONSUMER_REGISTERS = (EVEN_REGISTERS * (WARPGROUPS + 1) - PRODUCER_REGISTERS) / WARPGROUPS / 8 * 8;
static_assert(WARPGROUPS >= 2 && CONSUMER_REGISTERS > EVEN_REGISTERS, "a warpgroup of its own pays from two others on");

// The residual comes, and what is finished leaves, in chunks of columns, of the type of the operands. Chunks of the
// residual fit into a stage; those that leave are whole lines of memory where the tile is that wide.
constexpr int ELEMENT_BYTES = 16 / PRECISION::WIDTH;
constexpr int TILE_ROW_BYTES = BLOCK_N * ELEMENT_BYTES;
constexpr int RESIDUAL_BYTES = TILE_ROW_BYTES < ROW_BYTES ? TILE_ROW_BYTES : ROW_BYTES;  // of a chunk's row
constexpr int RESIDUAL_COLUMNS = RESIDUAL_BYTES / ELEMENT_BYTES;
constexpr int RESIDUAL_CHUNKS = BLOCK_N / RESIDUAL_COLUMNS;
constexpr int CHUNK_BYTES = TILE_ROW_BYTES < 128 ? TILE_ROW_BYTES : 128;
constexpr int CHUNK = CHUNK_BYTES / ELEMENT_BYTES;  // columns
static_assert(RESIDUAL_COLUMNS % 32 == 0, "a lane holds eight of every 32 columns");
static_assert(TEAMS == 1 || RESIDUAL_CHUNKS <= STAGES, "a team waits for a tile's whole residual before it goes on");
// A warp's two chunks of 16 rows, or 32 columns of as many rows of sums.
constexpr int WAY_OUT_BYTES = 32 * CHUNK_BYTES < 2048 ? 2048 : 32 * CHUNK_BYTES;

constexpr WgmmaSwizzle SWIZZLE = ROW_BYTES == 128 ? WgmmaSwizzle::B128 : WgmmaSwizzle::B64;

// How work is numbered: column tiles fastest, then row tiles, batches, shares of K. Blocks that run at the same time so
// read few rows of a and most of b, and both stay in L2.
struct WorkGrid {
    int tiles_m, tiles_n, batches;
    int works;            // tiles_m · tiles_n · batches · shares of K
    int steps;            // of ROW_BYTES along K
    int steps_per_split;  // `steps` where K is not split
    int tail;             // steps of a tile behind those along K, which bring the residual; 0 or RESIDUAL_CHUNKS
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
    // One for each team: the team before has seen all stages of its work fill. Parity tells a phase from the one before and
    // the one behind, and no further. A team that came to a stage's barrier before the round in which another team
    // waits there would take the phase before that for its own, and read what has not come; so teams come in turn.
    uint64_t* turns;
    unsigned char* ways_out;  // WAY_OUT_BYTES of each warp that multiplies

    __device__ __forceinline__ explicit Ring(unsigned char* shared) : stages(shared) {
        ways_out = shared + STAGES * STAGE_BYTES;
        full = reinterpret_cast<uint64_t*>(ways_out + 4 * WARPGROUPS * WAY_OUT_BYTES);
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
    __device__ __forceinline__ int chunk() const { return done - work.steps; }  // of the residual, if it is not negative
    __device__ __forceinline__ void advance() {
        if (++done < work.steps + grid.tail) return;
        done = 0;
        index += gridDim.x;
        work = Work(grid, index);
    }
};

// One thread keeps the ring filled. A source has `load_b(shared, work, step, barrier)`; for a, `Start`, what a tile's
// copies have in common, `start(work)`, and `load_a(shared, start, step, barrier)`.
template <class Source>
__device__ __forceinline__ void produce(const Source& source, const TensorMap& residual, const WorkGrid& grid,
                                        const Ring& ring) {
    const auto begin = [&](int stage, const Steps& steps) {
        uint64_t* const barrier = ring.full + stage;
        if (steps.chunk() >= 0) {
            mbarrier_arrive_expect_tx(barrier, BLOCK_M * RESIDUAL_BYTES);
        } else {
            mbarrier_arrive_expect_tx(barrier, STAGE_BYTES);
            source.load_b(ring.stages + stage * STAGE_BYTES + A_BYTES, steps.work, steps.step(), barrier);
        }
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
        unsigned char* const stage = ring.stages + place.stage * STAGE_BYTES;
        if (steps.chunk() >= 0) {
            const int at[3] = {steps.work.column + steps.chunk() * RESIDUAL_COLUMNS, steps.work.row, steps.work.batch};
            cp_async_bulk_tensor_load(stage, &residual, at, ring.full + place.stage);
        } else {
            source.load_a(stage, start, steps.step(), ring.full + place.stage);
        }
        place.advance();
    }
    griddepcontrol_launch_dependents();
}
