// conv_transpose/simt: transposed convolution in plain f32, each product and sum rounded as IEEE says.
//
// y[n,o,k] = epilogue( Σ over taps r that meet o, Σ_c x[n,i,c] · w[c,k,r] ),   o = stride·i + r·dilation - pad
//
// Shapes     x (N,H,W,C) f32; w [groups][R·S][K/groups][c_pad] f32, c_pad a multiple of 4; y (N,P,Q,K) and residual
//            f16 or f32.
// Requires   16-byte aligned pixels; where there are several groups, channels of a group a multiple of 4 and
//            filters of a group a multiple of 8.
// Grid       x: column tiles of filters (fastest), row tiles of a phase's pixels, groups, phases.
// Block      32·WARPS_M·WARPS_N threads; a lane owns WARP_M/8 x WARP_N/4 sums.
// Shared     STAGES · (BLOCK_M + BLOCK_N) · BLOCK_K floats, reused for the way out.
// Work       2·N·H·W·C·K·R·S/groups operations; x is read about once a phase (mostly from L2), w once a row tile,
//            y once.
// Sources    Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016), chapter 4; the tiles
//            are those of conv/simt.cu.
#include "conv_transpose/phase.cuh"
#include "include/simt.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
conv_transpose_simt(const uint4* x, const uint4* __restrict__ w, const float* __restrict__ bias,
                    const float* __restrict__ scales, const void* residual, void* __restrict__ y,
                    const PhaseParams p, const EpilogueParams epilogue) {
    DYNAMIC_SHARED(uint4, shared);
    convolve_transposed<FmaWarp<false>>(p, epilogue, x, w, {bias, scales, residual, y}, shared);
}
