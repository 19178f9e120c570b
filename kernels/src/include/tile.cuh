// The block tile of every matrix-like kernel: who computes what, how tiles come into shared memory, the main loop,
// and the way of the sums back out.
//
// A block computes BLOCK_M x BLOCK_N sums and walks along K in steps of BLOCK_K; WARPS_M x WARPS_N warps share
// the block tile. All movement is in vectors of 16 bytes. Three things are left to the including kernel:
//
//   Math    the element type: `Element`, and `WIDTH`, its count in a vector
//   Source  where a tile comes from: `Layout`, `valid(j)`, `address(j)`, `read(j)`, `advance()`
//   Warp    what a warp does with the tiles at shared + a and shared + b: `start(shared, a, b)`, which may load
//           ahead, `multiply(shared, a, b)`, and `stage(slab, out)` at the end, SLAB_ROWS rows a slab; `Sum` is
//           what it sums up in
//
// Defined on the command line: BLOCK_M, BLOCK_N, BLOCK_K (elements), WARPS_M, WARPS_N, STAGES, PRECISION (the name
// of Math), ALIGNED (0 where rows of an operand do not start at multiples of 16 bytes) and MIN_BLOCKS, the blocks that
// are to fit on a multiprocessor together: it bounds the registers; IN_CLUSTERS, 1 where the blocks of a cluster share K
// (cluster.cuh).
#pragma once
#include "include/epilogue.cuh"
#include "include/index.cuh"
#include "include/ptx.cuh"

constexpr int THREADS = 32 * WARPS_M * WARPS_N;
constexpr int WARP_M = BLOCK_M / WARPS_M;
constexpr int WARP_N = BLOCK_N / WARPS_N;

// Copies run behind the threads' backs where the chip can do it and whole vectors can be copied.
#if __CUDA_ARCH__ >= 800 && ALIGNED
#define ASYNC_COPY 1
#else
#define ASYNC_COPY 0
static_assert(STAGES == 2, "copies through registers alternate between two buffers");
#endif

#include "include/copies.cuh"

// ---- Layout of a tile in shared memory -----------------------------------------------------------------------

// ROWS rows of ROW_VECTORS vectors. Vector v of row r lies at `slot(r, v)`: rows follow one another, and inside
// a row the vectors are permuted by XOR so that the eight vectors (r..r+7, v), which an ldmatrix or a quarter of
// a warp reads at once, lie in eight different groups of four banks:
//
//      4 vectors a row                 8 or more vectors a row
//      rows 0,1   0 1 2 3 | 0 1 2 3    row 0   0 1 2 3 4 5 6 7
//      rows 2,3   1 0 3 2 | 1 0 3 2    row 1   1 0 3 2 5 4 7 6
//      rows 4,5   2 3 0 1 | 2 3 0 1    row 2   2 3 0 1 6 7 4 5
//      rows 6,7   3 2 1 0 | 3 2 1 0    ...
//
// For copying, thread t takes the vectors t, t + THREADS, ...: always the same v, in rows ROW_STEP apart. SPREAD is
// how many neighbouring vectors of a row are read together with those of other rows: 1 by ldmatrix.
template <int ROWS, int ROW_VECTORS, int SPREAD = 1>
struct TileLayout {
    static_assert((THREADS & (THREADS - 1)) == 0 && (ROW_VECTORS & (ROW_VECTORS - 1)) == 0, "powers of two");
    static_assert(THREADS % ROW_VECTORS == 0, "a row of threads covers whole rows of the tile");
    static_assert(SPREAD == 1 || ROW_VECTORS >= 8, "rows share no permutation");
    static constexpr int VECTORS = ROW_VECTORS;
    static constexpr int SIZE = ROWS * ROW_VECTORS;
    static constexpr int ROW_STEP = THREADS / ROW_VECTORS;
    static constexpr int COPIES = (SIZE + THREADS - 1) / THREADS;
    static constexpr int PERIOD = ROW_VECTORS < 8 ? ROW_VECTORS : 8;  // different permutations
    static constexpr int REPEAT = 8 / PERIOD;                         // rows that share one

    static __device__ __forceinline__ int permutation(int row) { return (row / REPEAT * SPREAD) % PERIOD; }
    static __device__ __forceinline__ int slot(int row, int vector) {
        return row * ROW_VECTORS + (vector ^ permutation(row));
    }
    // Where slot(row + rows, vector + vectors) lies, from `at`, the slot (row, vector) with the tile's own place (a
    // multiple of 16) added. `rows` is a multiple of 8 or has no bit in common with `row`, and `vectors` none with
    // `vector`: there XOR is linear. With constants that leaves one XOR for each pattern, and the rest goes into the
    // instruction's offset, instead of a register and an addition for every slot.
    static __device__ __forceinline__ const uint4* shifted(const uint4* shared, int at, int rows, int vectors) {
        return shared + (at ^ (permutation(rows) ^ vectors)) + rows * ROW_VECTORS;
    }

    static __device__ __forceinline__ int thread_row() { return threadIdx.x / ROW_VECTORS; }
    static __device__ __forceinline__ int thread_vector() { return threadIdx.x % ROW_VECTORS; }
    static __device__ __forceinline__ bool thread_copies(int j) {
        return SIZE % THREADS == 0 || thread_row() + j * ROW_STEP < ROWS;
    }
    static __device__ __forceinline__ int thread_slot() { return slot(thread_row(), thread_vector()); }
    // The thread's j-th vector of the tile at `at`, which lies where its first one does.
    static __device__ __forceinline__ uint4* thread_target(uint4* shared, int at, int j) {
        return const_cast<uint4*>(shifted(shared, at + thread_slot(), j * ROW_STEP, 0));
    }
};

// ---- The main loop -------------------------------------------------------------------------------------------

// warp.sums += A·B over `steps` steps of K, `steps` >= 1. `shared` holds STAGES pairs of tiles. Waits for the grids
// before (griddepcontrol) unless it runs `beside` them, though not with the first tiles of B where B_IS_CONSTANT: no grid
// writes weights. Ends with a barrier, after which `shared` may be used for something else. `meanwhile()` is called when
// the first copies are on their way; when the last are, the grid behind has leave to start.
template <bool B_IS_CONSTANT, class Warp, class A, class B, class Meanwhile>
__device__ __forceinline__ void accumulate(Warp& warp, A a, B b, int steps, uint4* shared, bool beside,
                                           const Meanwhile& meanwhile) {
    constexpr int SIZE_A = A::Layout::SIZE, STAGE = SIZE_A + B::Layout::SIZE;
    static_assert(SIZE_A % 16 == 0 && STAGE % 16 == 0, "tiles start where the swizzle does");
#if ASYNC_COPY
    // All stages are filled ahead of the first product, so that short work waits for memory once; later on STAGES-1 tiles
    // are under way while one is multiplied. A group is committed at every step, empty or not, so that "all but the
    // youngest STAGES-2 groups" always means: this step's tiles are there.
    // The first group takes all of B's first tiles along, the last one the tiles of the last stage.
    if (!B_IS_CONSTANT && !beside) griddepcontrol_wait();
#pragma unroll(FILL_AT_ONCE)
    for (int step = 0; step < STAGES && step < steps; ++step) start_copy(shared, step * STAGE + SIZE_A, b);
    const FirstCopies<A, STAGES> first(a, steps);
    if (B_IS_CONSTANT && !beside) griddepcontrol_wait();
#pragma unroll(FILL_AT_ONCE)
    for (int step = 0; step < STAGES; ++step) {
        if (step < steps) first.start(shared, step * STAGE, step, a);
        if (step != STAGES - 2) cp_async_commit_group();
    }
    // Blocks that wait would take shared memory and places from those at work, and come to lie where these have left room
    // instead of one to a multiprocessor: they may start with the last copies, not earlier. Not later either: a grid takes
    // a while to start.
    if (steps <= STAGES) griddepcontrol_launch_dependents();
    meanwhile();
    int reading = 0;
    for (int step = 0; step < steps; ++step) {
        cp_async_wait_group<STAGES - 2>();
        // Everyone's copies have arrived, and everyone has done reading the stage before, which is filled next.
        __syncthreads();
        // The first fragments are on their way while the next copies are worked out.
        const int stage = reading * STAGE;
        warp.start(shared, stage, stage + SIZE_A);
        if (step > 0 && step + STAGES - 1 < steps) {
            const int filling = (reading == 0 ? STAGES - 1 : reading - 1) * STAGE;
            start_copy(shared, filling, a);
            start_copy(shared, filling + SIZE_A, b);
            if (step + STAGES == steps) griddepcontrol_launch_dependents();
        }
        cp_async_commit_group();
        warp.multiply(shared, stage, stage + SIZE_A);
        reading = reading + 1 == STAGES ? 0 : reading + 1;
    }
    cp_async_wait_group<0>();
    __syncthreads();
#else
    // The next tile's loads are started before the multiplication and stored after it.
    Staged<A> staged_a;
    Staged<B> staged_b;
    if (!B_IS_CONSTANT && !beside) griddepcontrol_wait();
    staged_b.fetch(b);
    if (B_IS_CONSTANT && !beside) griddepcontrol_wait();
    staged_a.fetch(a);
    meanwhile();
    for (int step = 0; step < steps; ++step) {
        const int stage = step % 2 * STAGE;
        staged_a.put(shared, stage);
        staged_b.put(shared, stage + SIZE_A);
        // One barrier a step is enough: whoever fills this buffer again has passed the next step's barrier,
        // and everyone reaches that only after this step's multiplication.
        __syncthreads();
        warp.start(shared, stage, stage + SIZE_A);
        if (step + 1 < steps) {
            staged_a.fetch(a);
            staged_b.fetch(b);
        }
        warp.multiply(shared, stage, stage + SIZE_A);
    }
    __syncthreads();
    griddepcontrol_launch_dependents();
#endif
}

// ---- What a block does, and the way out ----------------------------------------------------------------------

// How the grid covers the work: x runs over column tiles, then row tiles, then batches (or groups), so that blocks
// which share a tile of A run side by side and find it in L2; y runs over the shares of K.
struct TileGrid {
    Divisor tiles_m;
    Divisor tiles_n;
    int share;   // steps of BLOCK_K along K that a block takes
    int longer;  // the first so many shares have one more
};

struct BlockWork {
    int batch, row, column;  // of the block tile's first sum
    int first_step, steps;

    __device__ __forceinline__ explicit BlockWork(const TileGrid& grid) {
        // Worked out here and not again where it is wanted: large tiles have no registers for that.
        uint32_t left = made_here(blockIdx.x);
        column = take_index(left, grid.tiles_n) * BLOCK_N;
        row = take_index(left, grid.tiles_m) * BLOCK_M;
        batch = left;
        const int share = blockIdx.y;
        first_step = share * grid.share + min(share, grid.longer);
        steps = grid.share + (share < grid.longer);
    }
    // The number of its batch among those of all shares.
    __device__ __forceinline__ int partial(const TileGrid& grid) const {
        return blockIdx.y * (gridDim.x / (grid.tiles_m.value * grid.tiles_n.value)) + batch;
    }
};

// Asks for the residual of a block's tile, the bias and the scales, so that they lie in L2 when the sums are there: on the
// way out there are few loads at a time, and each would wait for memory. `columns` are the group's, from `first_column` on.
__device__ __forceinline__ void prefetch_addends(const EpilogueParams& p, const EpilogueTensors& t,
                                                  const BlockWork& work, int rows, int columns, int first_column) {
    const int size = 4 >> p.residual_type;
    const int column = work.column + threadIdx.x % (BLOCK_N / 8) * 8;
    if (threadIdx.x < BLOCK_N / 8 && column < columns) {
        if (t.bias) prefetch_l2(t.bias + first_column + column);
        if (t.scales) prefetch_l2(t.scales + first_column + column);
    }
    if (!t.residual || column >= columns || column * size % 32) return;  // or another thread's 32 bytes
    const char* const first = static_cast<const char*>(t.residual) + static_cast<int64_t>(first_column + column) * size;
    const int end = min(work.row + BLOCK_M, rows);
#pragma unroll 1
    for (int row = work.row + threadIdx.x / (BLOCK_N / 8); row < end; row += THREADS / (BLOCK_N / 8)) {
        prefetch_l2(first + static_cast<int64_t>(row) * p.residual_pitch * size);
    }
}

// Takes eight sums of a row. With K split, partial sums go to the workspace as [split][batch][row][pitch],
// pitch = columns rounded up to 8, and `gemm/split_k.cu` finishes them; otherwise the epilogue follows at once.
struct Output {
    const EpilogueParams& epilogue;
    EpilogueTensors tensors;
    void* partial;        // null: K is not split
    int64_t partial_row;  // of this block's share and batch
    int rows, columns;    // of this batch or group
    int first_column;     // of this group among the columns of y

    __device__ __forceinline__ bool inside(int row, int column) const { return row < rows && column < columns; }

    template <typename Sum>
    __device__ __forceinline__ typename Real<Sum>::Terms terms(int column) const {
        if (partial || column >= columns) return {};
        return load_terms_8<Sum>(epilogue, tensors, first_column + column);
    }

    __device__ __forceinline__ RawRow8 residual(int row, int column) const {
        if (partial || !inside(row, column)) return {zero_vector(), zero_vector()};
        return load_residual_8(epilogue, tensors, row, first_column + column);
    }

    template <typename Sum>
    __device__ __forceinline__ void store(const typename Real<Sum>::Terms& terms, int row, int column,
                                          const Sum (&x)[8], const RawRow8& residual) const {
        if (!inside(row, column)) return;
        if (partial) {
            const int pitch = (columns + 7) / 8 * 8;
            store_row_8(static_cast<Sum*>(partial) + (partial_row + row) * pitch + column, x);
        } else {
            epilogue_any_8(epilogue, tensors, terms, row, first_column + column, first_column + columns, x, residual);
        }
    }
};

// A few rows of a warp's sums on their way out: vectors of four, WARP_N/4 a row, row after row. Lanes write what they
// hold, of eight rows at once, and read eight neighbours in a row, two vectors; the place of a vector is permuted so
// that either meets every bank once. With v the vector's number, bits 0-2 of its place, which choose four banks, are
//
//      bit 0: v0 + v3      bit 1: v1 + v3 + v4      bit 2: v2 + v4 + v5       (+ is XOR)
//
// Lanes that are served together differ in three of the bits v0..v5 (which, depends on WARP_N), and each of those
// triples gives eight different places.
struct Slab {
    static constexpr int ROW_VECTORS = WARP_N / 4;
    static_assert((ROW_VECTORS & (ROW_VECTORS - 1)) == 0 && ROW_VECTORS >= 4, "vectors are permuted by their bits");

    static __device__ __forceinline__ constexpr int place(int vector) {
        return vector ^ ((vector / 8 ^ vector / 8 * 2) & 7);
    }
    // Vector number v + `vectors`, from `at`, the place of v, where the two have no bit in common.
    static __device__ __forceinline__ uint4* shifted(uint4* slab, int at, int vectors) {
        const int by = place(vectors);
        return slab + (at ^ by % 8) + by / 8 * 8;
    }
};

// What eight sums meet in the epilogue. That of a lane's first ones is asked for while the main loop runs, where registers
// are left (`FIRST_EARLY`), else behind it.
template <typename Sum>
struct Addends {
    typename Real<Sum>::Terms terms;
    RawRow8 residual;
};
// With 16x16 sums a warp the compiler makes a slower main loop of it: 8 steps 3.1 -> 3.5 us on an H200.
constexpr bool FIRST_EARLY = WARP_M * WARP_N == 16 * 32;
// Whether registers are left to ask for each row's residual while the row before it is finished.
constexpr bool ROWS_EARLY = WARP_M * WARP_N <= 32 * 32;

// Where a lane's first sums of the way out belong.
template <class Warp>
struct FirstPlace {
    static constexpr int EIGHTHS = WARP_N / 8;
    int row, column;

    __device__ __forceinline__ explicit FirstPlace(const BlockWork& work) {
        const int lane = threadIdx.x % 32, index = threadIdx.x / 32;
        row = work.row + (index / WARPS_N) * WARP_M + lane / EIGHTHS;
        column = work.column + (index % WARPS_N) * WARP_N + lane % EIGHTHS * 8;
    }
};

// Brings a warp's sums out: slab by slab through shared memory, where lanes exchange their scattered numbers for
// eight neighbours in a row, so that memory is read and written in full 16-byte vectors. The loops are rolled,
// with a selection where registers cannot be indexed: an epilogue is long, and this way exists once.
// `first` are the first row's addends.
// `Out` is `Output`, or what puts rows elsewhere.
template <class Warp, class Out>
__device__ __forceinline__ void store_sums(const Warp& warp, const FirstPlace<Warp>& place, const Out& output,
                                           const Addends<typename Warp::Sum>& first, uint4* shared) {
    typedef typename Warp::Sum Sum;
    constexpr int SIZE = Warp::SLAB_ROWS * Slab::ROW_VECTORS;
    constexpr int ITEMS = SIZE > 64 ? SIZE / 64 : 1;  // for each lane, two vectors each
    constexpr int STEP = Warp::SLAB_ROWS / ITEMS;     // rows from one to the next
    const int lane = threadIdx.x % 32;
    uint4* const slab = shared + threadIdx.x / 32 * SIZE;
    const bool reads = 2 * lane < SIZE;
    RawRow8 next = first.residual;
#pragma unroll 1
    for (int s = 0; s < Warp::SLABS; ++s) {
#pragma unroll
        for (int k = 0; k < Warp::SLABS; ++k) {
            if (k == s) warp.stage(k, slab);
        }
        __syncwarp();
#pragma unroll 1
        for (int i = 0; i < ITEMS; ++i) {
            const int row = place.row + s * Warp::SLAB_ROWS + i * STEP;
            const RawRow8 residual = ROWS_EARLY ? next : output.residual(row, place.column);
            if (ROWS_EARLY && s * ITEMS + i + 1 < Warp::SLABS * ITEMS) next = output.residual(row + STEP, place.column);
            if (reads) {
                const int at = Slab::place(2 * lane) + 64 * i;
                Sum x[8];
                load_halves_8(reinterpret_cast<const Sum*>(slab + at), reinterpret_cast<const Sum*>(slab + (at ^ 1)), x);
                output.store(first.terms, row, place.column, x, residual);
            }
        }
        __syncwarp();
    }
}
