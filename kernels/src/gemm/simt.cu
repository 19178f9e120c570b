// gemm/simt: matrix products in plain f32, each product and sum rounded as IEEE says.
//
// y[i] = epilogue( a[i] · b[i] ), i < batch
//
// Shapes     a (M,K) f32 row-major; b (N,K) f32 row-major (packed weights), or (K,N) row-major with B_BY_ROWS=1
//            (activations); y (M,N) and residual f32, f16 or s8.
// Requires   ALIGNED=1: pitches and strides in multiples of 4, K (and N, if b is (K,N)) too; ALIGNED=0: anything.
// Grid       x: column tiles (fastest), row tiles, batch; y: shares of K (split-K), of
//            one cluster where IN_CLUSTERS.
// Block      32·WARPS_M·WARPS_N threads; a lane owns WARP_M/8 x WARP_N/4 sums.
// Shared     STAGES · (BLOCK_M + BLOCK_N) · BLOCK_K floats, reused for the way out.
// Work       2·M·N·K operations a product; with 8x16 sums a lane, 24 vector loads from shared memory feed 512
//            multiply-adds.
// Sources    Nath, Tomov, Dongarra, "An Improved MAGMA GEMM for Fermi GPUs" (2010): blocking for registers.
#include "gemm/gemm.cuh"
#include "include/simt.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
gemm_simt(const void* a, const void* b, const float* __restrict__ bias,
          const float* __restrict__ scales, const void* residual, void* __restrict__ y,
          void* __restrict__ partial, const GemmParams p, const EpilogueParams epilogue, const Ahead ahead) {
    DYNAMIC_SHARED(uint4, shared);
    FmaWarp<B_BY_ROWS> warp;
    multiply_matrices<Fp32, B_BY_ROWS, Fp32>(warp, p, epilogue, a, b, {bias, scales, residual, y}, partial, ahead,
                                             shared);
}
