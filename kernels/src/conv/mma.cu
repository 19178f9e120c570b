// conv/mma: convolution as an implicit GEMM on tensor cores.
//
// y[n,p,q,k] = epilogue( Σ_{r,s,c} x[n, p·stride + r·dilation - pad, q·.. + s·.. - pad, c] · w[k,r,s,c] )
//
// Shapes     x (N,H,W,C) s8 for PRECISION=Int8, f16 for Fp16, f32 for Tf32; w [groups][k_pad][R·S][c_pad] of the same
//            type, with c_pad whole vectors; y (N,P,Q,K) and residual f32, f16 or s8. Sums are f32, those of s8 s32.
// Requires   sm_75 for Int8 and Fp16 (without cp.async, four m8n8k16 for one m16n8k32, two m16n8k8 for one m16n8k16),
//            sm_80 for Tf32; 16-byte aligned pixels; where there are several groups, channels of a group in whole
//            vectors and filters of a group a multiple of 8.
// Grid       x: column tiles of filters (fastest), row tiles of pixels, groups; y: shares of K (split-K), of
//            one cluster where IN_CLUSTERS.
// Block      32·WARPS_M·WARPS_N threads.
// Shared     STAGES · (BLOCK_M + BLOCK_N) · BLOCK_K elements, reused for the way out.
// Work       2·N·P·Q·K·R·S·C/groups operations; x is read about once per row of column tiles, w once per row tile
//            (both mostly from L2), y once.
// Sources    Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning" (2014), §3.2: the implicit GEMM;
//            NVIDIA, CUTLASS: multistage pipelines and swizzled tiles; PTX ISA for the fragments.
#include "conv/implicit.cuh"
#include "include/fragment.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
conv_mma(const uint4* x, const uint4* __restrict__ w, const float* __restrict__ bias,
         const float* __restrict__ scales, const void* residual, void* __restrict__ y,
         void* __restrict__ partial, const ConvParams p, const EpilogueParams epilogue, const Ahead ahead) {
    DYNAMIC_SHARED(uint4, shared);
    convolve<PRECISION, MmaWarp<PRECISION, false>>(p, epilogue, x, w, {bias, scales, residual, y}, partial, ahead,
                                                   shared);
}
