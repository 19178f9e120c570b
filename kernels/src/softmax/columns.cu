// Softmax and its logarithm along a strided axis.
//
//     y = e^(x-m) / s   or   y = x - m - ln s,    m = max x,  s = Σ e^(x-m)
//
// Shapes     lines of `length` elements x_axis apart; the last of the other dims is the columns', best with stride
//            1, so that neighbouring threads read neighbouring elements. Columns [extent, padded) of y are
//            written as zeros. Computed in f32, rounded once.
// Grid       x: slabs of COLUMNS columns, y: the remaining dims (a loop, should there be more than 65535). A block
//            is COLUMNS columns by SLICES slices of the axis; the slices meet in shared memory.
// Method     as softmax/block.cu: one pass for maximum and sum, one to write.
// Traffic    x twice (the second time mostly from L2), y once.
//
// Parameters X_TYPE, Y_TYPE   f16 or float
//            COLUMNS, SLICES  of a block

#include "include/axis.cuh"
#include "softmax/online.cuh"

// Joins the slices of each column; every slice gets the result.
__device__ __forceinline__ Normalizer join_slices(Normalizer own, int column, int slice) {
    __shared__ Normalizer shared[SLICES][COLUMNS];
    shared[slice][column] = own;
    __syncthreads();
    Normalizer all = shared[0][column];
    for (int other = 1; other < SLICES; ++other) all.join(shared[other][column]);
    __syncthreads();
    return all;
}

extern "C" __global__ void __launch_bounds__(COLUMNS * SLICES, 1)
    softmax_columns(const X_TYPE* x, Y_TYPE* __restrict__ y, const AxisParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    const int column = threadIdx.x % COLUMNS;
    const int slice = threadIdx.x / COLUMNS;
    const int last = static_cast<int>(p.rank) - 1;
    const uint32_t index = blockIdx.x * COLUMNS + column;
    const bool inside = index < p.outer[last].value;
    const uint32_t groups = p.lines / p.outer[last].value;
    for (uint32_t group = blockIdx.y; group < groups; group += gridDim.y) {
        int64_t from = index * p.x_outer[last], to = index * p.y_outer[last];
        line_start(p, group, last, from, to);

        Normalizer own = Normalizer::none();
        if (inside) {
#pragma unroll 4
            for (uint32_t i = slice; i < p.length; i += SLICES) own.take(to_f32(x[from + i * p.x_axis]));
        }
        const Normalizer all = join_slices(own, column, slice);

        if (index >= p.padded) continue;
        for (uint32_t i = slice; i < p.length; i += SLICES) {
            const float value = inside ? all.result(to_f32(x[from + i * p.x_axis]), p.variant) : 0.0f;
            y[to + i * p.y_axis] = from_f32<Y_TYPE>(value);
        }
    }
}
