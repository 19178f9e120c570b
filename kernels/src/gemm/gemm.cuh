// What both matrix multiplications share; the struct is mirrored in `kernels/src/gemm/tiled.rs`.
#pragma once
#include "include/ahead.cuh"
#include "include/cluster.cuh"
#include "include/matrix.cuh"

struct GemmParams {
    int64_t stride_a, stride_b, stride_y;  // elements from one product of the batch to the next
    TileGrid grid;
    int m, n, k;
    int pitch_a, pitch_b;
    int columns_b;  // of a row of b that may be read: k (padded, for weights) or n
    float inv_scale_a;  // what a is quantized by, where it is reals and the product of integers
};

// y[i] = epilogue(a[i] · b[i]ᵀ), b given as (N,K), or as (K,N) if B_BY_ROWS. The residual's batch is dense: m rows.
// MathA is what a is stored as: Math, or what `warp` makes it from.
template <class Math, bool B_IS_K_BY_N, class MathA, class Warp>
__device__ __forceinline__ void multiply_matrices(Warp& warp, const GemmParams& p, const EpilogueParams& epilogue,
                                                  const void* a, const void* b, const EpilogueTensors& tensors,
                                                  void* partial, const Ahead& ahead, uint4* shared) {
    typedef typename Math::Element Element;
    const BlockWork work(p.grid);
    const EpilogueTensors mine = tensors_of_batch(epilogue, tensors, work.batch, p.stride_y, p.m);
    if (!partial && blockIdx.y == 0) prefetch_addends(epilogue, mine, work, p.m, p.n, 0);
    const int k0 = work.first_step * BLOCK_K;
    const auto* const matrix_a = static_cast<const typename MathA::Element*>(a) + work.batch * p.stride_a;
    const Element* const matrix_b = static_cast<const Element*>(b) + work.batch * p.stride_b;

    // Packed weights always come in whole vectors.
    const MatrixSource<MathA, typename Warp::TileA, false, ALIGNED> source_a(matrix_a, p.pitch_a, p.m, p.k, work.row,
                                                                             k0);
    const MatrixSource<Math, typename Warp::TileB, B_IS_K_BY_N, ALIGNED || !B_IS_K_BY_N> source_b(
        matrix_b, p.pitch_b, B_IS_K_BY_N ? p.k : p.n, p.columns_b, B_IS_K_BY_N ? k0 : work.column,
        B_IS_K_BY_N ? work.column : k0);
    const auto output = [&]() -> Output {
        const int64_t partial_row = partial ? static_cast<int64_t>(work.partial(p.grid)) * p.m : 0;
        return {epilogue, mine, partial, partial_row, p.m, p.n, 0};
    };
    // Activations are never given as (N,K).
    multiply_and_finish<!B_IS_K_BY_N>(warp, source_a, source_b, work, output, shared, ahead.beside,
                                      [&] { prefetch_ahead(ahead); });
}
