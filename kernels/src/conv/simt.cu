// conv/simt: convolution as an implicit GEMM in plain f32, each product and sum rounded as IEEE says.
//
// y[n,p,q,k] = epilogue( Σ_{r,s,c} x[n, p·stride + r·dilation - pad, q·.. + s·.. - pad, c] · w[k,r,s,c] )
//
// Shapes     x (N,H,W,C) f32; w [groups][k_pad][R·S][c_pad] f32, c_pad a multiple of 4; y (N,P,Q,K) and residual
//            f32, f16 or s8.
// Requires   16-byte aligned pixels; where there are several groups, channels of a group a multiple of 4 and
//            filters of a group a multiple of 8.
// Grid       x: column tiles of filters (fastest), row tiles of pixels, groups; y: shares of K (split-K), of
//            one cluster where IN_CLUSTERS.
// Block      32·WARPS_M·WARPS_N threads; a lane owns WARP_M/8 x WARP_N/4 sums.
// Shared     STAGES · (BLOCK_M + BLOCK_N) · BLOCK_K floats, reused for the way out.
// Work       2·N·P·Q·K·R·S·C/groups operations; with 8x16 sums a lane, 24 vector loads from shared memory feed 512
//            multiply-adds.
// Sources    Nath, Tomov, Dongarra, "An Improved MAGMA GEMM for Fermi GPUs" (2010): blocking for registers.
#include "conv/implicit.cuh"
#include "include/simt.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
conv_simt(const uint4* x, const uint4* __restrict__ w, const float* __restrict__ bias,
          const float* __restrict__ scales, const void* residual, void* __restrict__ y,
          void* __restrict__ partial, const ConvParams p, const EpilogueParams epilogue, const Ahead ahead) {
    DYNAMIC_SHARED(uint4, shared);
    convolve<Fp32, FmaWarp<false>>(p, epilogue, x, w, {bias, scales, residual, y}, partial, ahead, shared);
}
