// y = x where x and y disagree on which dim varies fastest, NCHW to NHWC and back above all; casts, quantizes
// or dequantizes on the way.
//
// Shapes     batch dims (up to 4, merged by the caller), `rows` along which x is contiguous, `columns` along which
//            y is contiguous. x[b, column, row] lies at x_batch + column·x_pitch + row, y[b, row, column] at
//            y_batch + row·y_pitch + column. Columns [columns, padded) of y are written as zeros.
// Grid       x: tiles of rows, y: tiles of columns, z: batches (a loop, should there be more than 65535).
// Method     a tile goes through shared memory: read along x's rows, written along y's columns, both in vectors
//            of 16 bytes. A tile row is TILE elements of y in chunks of one vector; chunk j of row r lies at
//            j ^ (r / VECTOR_X), which spreads the transposed, element-wise stores over all 32 banks. (A padded
//            row, the customary cure, would break the alignment of the vector loads.)
// Traffic    x once, y once.
// Source     Ruetsch and Micikevicius, "Optimizing Matrix Transpose in CUDA", NVIDIA 2009.
//
// Parameters TILE            rows and columns of a tile
//            X_TYPE, Y_TYPE  element types
//            SCALED          1: numbers are scaled on the way; see layout/convert.cuh
//            THREADS         of a block
//            MIN_BLOCKS      blocks that registers are limited for

#include "include/index.cuh"
#include "layout/convert.cuh"

constexpr int VECTOR_X = 16 / sizeof(X_TYPE);
constexpr int VECTOR_Y = 16 / sizeof(Y_TYPE);
constexpr int CHUNKS = TILE / VECTOR_Y;

struct TransposeParams {
    int64_t x_strides[4];  // of the batch dims
    int64_t y_strides[4];
    int64_t x_offset;
    int64_t y_offset;
    int64_t x_pitch;  // from one column to the next in x
    int64_t y_pitch;  // from one row to the next in y
    Divisor batch[4];
    uint32_t batches;
    uint32_t rows;
    uint32_t columns;
    uint32_t padded;
    uint32_t x_whole;  // nonzero: vectors of x are aligned
    uint32_t y_whole;
    float factor;  // of `converted`
    uint32_t reserved;
};

// Where element (row, column) of the tile lies.
__device__ __forceinline__ uint32_t swizzled(uint32_t row, uint32_t column) {
    const uint32_t chunk = (column / VECTOR_Y) ^ (row / VECTOR_X % CHUNKS);
    return row * TILE + chunk * VECTOR_Y + column % VECTOR_Y;
}

// A thread always has the same rows of the tile, in columns STEP apart, all of which are under way at once.
__device__ __forceinline__ void read_tile(Y_TYPE* tile, const X_TYPE* x, int row0, int column0,
                                          const TransposeParams& p) {
    constexpr uint32_t VECTORS = TILE / VECTOR_X, STEP = THREADS / VECTORS, LOADS = TILE / STEP;
    static_assert(THREADS % VECTORS == 0 && TILE % STEP == 0, "whole columns of the tile for all threads");
    const uint32_t row = threadIdx.x % VECTORS * VECTOR_X, first = threadIdx.x / VECTORS;
    const int rows = static_cast<int>(p.rows) - row0 - static_cast<int>(row);
    const X_TYPE* from = x + (column0 + static_cast<int>(first)) * p.x_pitch + row0 + static_cast<int>(row);
    Vector<X_TYPE, VECTOR_X> v[LOADS] = {};
#pragma unroll
    for (uint32_t k = 0; k < LOADS; ++k, from += STEP * p.x_pitch) {
        // Columns beyond the last are zeros, which become y's padding.
        if (column0 + static_cast<int>(first + k * STEP) >= static_cast<int>(p.columns)) continue;
        if (p.x_whole && rows >= VECTOR_X) {
            v[k] = load_vector<VECTOR_X>(from);
        } else {
#pragma unroll
            for (int j = 0; j < VECTOR_X; ++j) {
                if (j < rows) v[k].lane[j] = from[j];
            }
        }
    }
#pragma unroll
    for (uint32_t k = 0; k < LOADS; ++k) {
#pragma unroll
        for (uint32_t j = 0; j < VECTOR_X; ++j) {
            tile[swizzled(row + j, first + k * STEP)] = converted<Y_TYPE>(v[k].lane[j], p.factor);
        }
    }
}

__device__ __forceinline__ void write_tile(Y_TYPE* y, const Y_TYPE* tile, int row0, int column0,
                                           const TransposeParams& p) {
    constexpr uint32_t STEP = THREADS / CHUNKS;
    static_assert(THREADS % CHUNKS == 0 && TILE % STEP == 0, "whole rows of the tile for all threads");
    const uint32_t column = threadIdx.x % CHUNKS * VECTOR_Y, first = threadIdx.x / CHUNKS;
    const int written = min(VECTOR_Y, static_cast<int>(p.padded) - column0 - static_cast<int>(column));
    Y_TYPE* to = y + (row0 + static_cast<int>(first)) * p.y_pitch + column0 + static_cast<int>(column);
#pragma unroll
    for (uint32_t row = first; row < first + TILE; row += STEP, to += STEP * p.y_pitch) {
        if (written <= 0 || row0 + static_cast<int>(row) >= static_cast<int>(p.rows)) continue;
        const Vector<Y_TYPE, VECTOR_Y> v = load_vector<VECTOR_Y>(tile + swizzled(row, column));
        if (p.y_whole && written == VECTOR_Y) {
            *reinterpret_cast<Vector<Y_TYPE, VECTOR_Y>*>(to) = v;
        } else {
#pragma unroll
            for (int j = 0; j < VECTOR_Y; ++j) {
                if (j < written) to[j] = v.lane[j];
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
    transpose(const X_TYPE* x, Y_TYPE* __restrict__ y, const TransposeParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    __align__(16) __shared__ Y_TYPE tile[TILE * TILE];
    const int row0 = static_cast<int>(blockIdx.x) * TILE;
    const int column0 = static_cast<int>(blockIdx.y) * TILE;
    for (uint32_t batch = blockIdx.z; batch < p.batches; batch += gridDim.z) {
        int64_t from = p.x_offset, to = p.y_offset;
        uint32_t n = batch;
        for (int d = 3; d >= 0; --d) {
            const int64_t index = take_index(n, p.batch[d]);
            from += index * p.x_strides[d];
            to += index * p.y_strides[d];
        }
        read_tile(tile, x + from, row0, column0, p);
        __syncthreads();
        write_tile(y + to, tile, row0, column0, p);
        __syncthreads();
    }
}
