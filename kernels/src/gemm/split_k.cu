// gemm/split_k: the second launch of a product whose K was split: adds the partial sums, in the order of the shares
// (so the answer is the same every time), and does the epilogue.
//
// y[i, row, column] = epilogue( Σ_s partial[s, i, row, column] )
//
// Shapes     partial SUM [splits][batches][rows][pitch], pitch = columns rounded up to 8; y as the kernel before left
//            it out: batch i starts `stride_y` elements or, for groups of a convolution, `column_step` columns
//            further on.
// Grid       one thread for eight neighbouring columns of a row, 256 threads a block.
// Work       splits · batches · rows · columns additions; every partial sum is read once.
//
// Defined on the command line: SUM (float, or int for INT8).
#include "include/epilogue.cuh"

struct SplitKParams {
    int64_t stride_y;
    int splits, batches, rows, columns;
    int column_step;
};

extern "C" __global__ void __launch_bounds__(256, 2)
split_k(const SUM* partial, const float* __restrict__ bias, const float* __restrict__ scales,
        const void* residual, void* __restrict__ y, const SplitKParams p, const EpilogueParams epilogue) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    const int eighths = (p.columns + 7) / 8;
    const int64_t item = static_cast<int64_t>(blockIdx.x) * 256 + threadIdx.x;
    const int64_t any_row = item / eighths;  // of any batch
    const int batch = static_cast<int>(any_row / p.rows);
    if (batch >= p.batches) return;
    const int row = static_cast<int>(any_row - static_cast<int64_t>(batch) * p.rows);
    const int column = static_cast<int>(item - any_row * eighths) * 8;
    const int first_column = batch * p.column_step;
    const EpilogueTensors tensors =
        tensors_of_batch(epilogue, {bias, scales, residual, y}, p.column_step ? 0 : batch, p.stride_y, p.rows);

    const int64_t split_stride = static_cast<int64_t>(p.batches) * p.rows * eighths * 8;
    const SUM* const mine = partial + (any_row * eighths * 8 + column);
    const RawRow8 addend = load_residual_8(epilogue, tensors, row, first_column + column);
    const auto terms = load_terms_8<SUM>(epilogue, tensors, first_column + column);
    SUM sums[8];
    load_row_8(mine, sums);
#pragma unroll 4
    for (int s = 1; s < p.splits; ++s) {
        SUM share[8];
        load_row_8(mine + s * split_stride, share);
#pragma unroll
        for (int i = 0; i < 8; ++i) sums[i] += share[i];
    }
    epilogue_any_8(epilogue, tensors, terms, row, first_column + column, first_column + p.columns, sums, addend);
}
