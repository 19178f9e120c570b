// A reduction along a strided axis: y[o,n] = Σ x[o,:,n], say, or the place of the largest of x[o,:,n].
//
// Shapes     `length` elements x_axis apart; the last of the other dims is the columns', best with stride 1: the
//            mean of a picture's pixels, say, has channels as columns. Columns [extent, padded) of y are
//            written as zeros. Computed in f32, rounded once; an index is int64_t.
// Grid       x: slabs of COLUMNS vectors of columns, y: the remaining dims (a loop, should there be more than
//            65535). A block is COLUMNS vectors by SLICES slices of the axis; the slices meet in shared memory.
// Traffic    x once, y once.
//
// Parameters FOLD             one of reduce/fold.cuh
//            VECTOR           columns of a thread: 16 bytes of x, or 1 for unaligned columns
//            COLUMNS, SLICES  of a block; SLICES is a power of two
//            X_TYPE, Y_TYPE   f16 or float; y of ArgMaxFold is int64_t

#include "include/axis.cuh"
#include "reduce/fold.cuh"

// This thread's slice of its columns: every SLICES-th element of the axis.
__device__ __forceinline__ void fold_slice(FOLD (&fold)[VECTOR], const X_TYPE* x, int slice, const AxisParams& p) {
#pragma unroll 4
    for (int i = slice; i < static_cast<int>(p.length); i += SLICES) {
        float v[VECTOR];
        load(v, x + i * p.x_axis);
#pragma unroll
        for (int j = 0; j < VECTOR; ++j) fold[j].take(v[j], i, p.variant);
    }
}

// Joins the slices of every column, always in the same order; slice 0 gets all of it.
__device__ __forceinline__ void join_slices(FOLD (&fold)[VECTOR], int column, int slice, bool last) {
    __shared__ FOLD shared[SLICES][COLUMNS][VECTOR];
#pragma unroll
    for (int j = 0; j < VECTOR; ++j) shared[slice][column][j] = fold[j];
    __syncthreads();
    for (int half = SLICES / 2; half > 0; half /= 2) {
        if (slice < half) {
#pragma unroll
            for (int j = 0; j < VECTOR; ++j) {
                fold[j].join(shared[slice + half][column][j], last);
                shared[slice][column][j] = fold[j];
            }
        }
        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(COLUMNS * SLICES, 1)
    reduce_columns(const X_TYPE* x, Y_TYPE* __restrict__ y, const AxisParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    const int column = threadIdx.x % COLUMNS;
    const int slice = threadIdx.x / COLUMNS;
    const int last = static_cast<int>(p.rank) - 1;
    const int extent = static_cast<int>(p.outer[last].value);
    const int first = (static_cast<int>(blockIdx.x) * COLUMNS + column) * VECTOR;
    const uint32_t groups = p.lines / p.outer[last].value;
    for (uint32_t group = blockIdx.y; group < groups; group += gridDim.y) {
        int64_t from = first * p.x_outer[last], to = first * p.y_outer[last];
        line_start(p, group, last, from, to);

        FOLD fold[VECTOR];
#pragma unroll
        for (int j = 0; j < VECTOR; ++j) fold[j] = FOLD::none(p.variant);
        // A vector that begins inside ends inside too: the image's padding holds zeros.
        if (first < extent) fold_slice(fold, x + from, slice, p);
        join_slices(fold, column, slice, p.variant);

        if (slice != 0) continue;
#pragma unroll
        for (int j = 0; j < VECTOR; ++j) {
            if (first + j >= static_cast<int>(p.padded)) continue;
            y[to + j * p.y_outer[last]] = first + j < extent ? fold[j].finish<Y_TYPE>(p.length) : Y_TYPE{};
        }
    }
}
