// conv_transpose/mma: transposed convolution on tensor cores.
//
// y[n,o,k] = epilogue( Σ over taps r that meet o, Σ_c x[n,i,c] · w[c,k,r] ),   o = stride·i + r·dilation - pad
//
// Shapes     x (N,H,W,C) s8 for PRECISION=Int8, f16 for Fp16, f32 for Tf32; w [groups][R·S][K/groups][c_pad] of the
//            same type, c_pad whole vectors; y (N,P,Q,K) and residual f32, f16 or s8. Sums are f32, of s8 s32.
// Requires   sm_75 for Int8 and Fp16, sm_80 for Tf32; 16-byte aligned pixels; where there are several groups, channels of a
//            group in whole vectors and filters of a group a multiple of 8.
// Grid       x: column tiles of filters (fastest), row tiles of a phase's pixels, groups, phases.
// Block      32·WARPS_M·WARPS_N threads.
// Shared     STAGES · (BLOCK_M + BLOCK_N) · BLOCK_K elements, reused for the way out.
// Work       2·N·H·W·C·K·R·S/groups operations; x is read about once a phase (mostly from L2), w once a row tile,
//            y once.
// Sources    Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016), chapter 4; the tiles
//            are those of conv/mma.cu.
#include "conv_transpose/phase.cuh"
#include "include/fragment.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
conv_transpose_mma(const uint4* x, const uint4* __restrict__ w, const float* __restrict__ bias,
                   const float* __restrict__ scales, const void* residual, void* __restrict__ y,
                   const PhaseParams p, const EpilogueParams epilogue) {
    DYNAMIC_SHARED(uint4, shared);
    convolve_transposed<MmaWarp<PRECISION, false>>(p, epilogue, x, w, {bias, scales, residual, y}, shared);
}
