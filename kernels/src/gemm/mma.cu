// gemm/mma: matrix products on tensor cores.
//
// y[i] = epilogue( a[i] · b[i] ), i < batch
//
// Shapes     a (M,K) row-major; b (N,K) row-major (packed weights), or (K,N) row-major with B_BY_ROWS=1 (activations);
//            s8 for PRECISION=Int8, f16 for Fp16, f32 for Tf32. With A_IS_REAL=1 a is f32 whatever the precision, and
//            is rounded to f16 or quantized to s8 on its way from shared memory. y (M,N) and residual f32, f16 or s8.
//            Sums are f32, those of s8 s32.
// Requires   sm_75 for Int8, whose b is weights, and Fp16 (without cp.async, four m8n8k16 for one m16n8k32, two m16n8k8
//            for one m16n8k16), sm_80 for Tf32. ALIGNED=1: pitches and strides in whole 16-byte vectors, K (and N, if
//            b is (K,N)) too; ALIGNED=0: anything.
// Grid       x: column tiles (fastest), row tiles, batch; y: shares of K (split-K), of
//            one cluster where IN_CLUSTERS.
// Block      32·WARPS_M·WARPS_N threads.
// Shared     STAGES · (BLOCK_M + BLOCK_N) · BLOCK_K elements, a's of its own type, reused for the way out.
// Work       2·M·N·K operations a product; a is read about once per column tile, b once per row tile (from L2 where
//            it fits), y once.
// Sources    NVIDIA, CUTLASS, "Efficient GEMM in CUDA"; PTX ISA for the fragments.
#include "gemm/gemm.cuh"
#include "include/fragment.cuh"
#if A_IS_REAL
#include "include/real_left.cuh"
#endif

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
gemm_mma(const void* a, const void* b, const float* __restrict__ bias,
         const float* __restrict__ scales, const void* residual, void* __restrict__ y,
         void* __restrict__ partial, const GemmParams p, const EpilogueParams epilogue, const Ahead ahead) {
    DYNAMIC_SHARED(uint4, shared);
#if A_IS_REAL
    typedef Reals Left;
    MmaWarp<PRECISION, B_BY_ROWS, RealLeft<PRECISION>> warp(RealLeft<PRECISION>{p.inv_scale_a});
#else
    typedef PRECISION Left;
    MmaWarp<PRECISION, B_BY_ROWS> warp;
#endif
    multiply_matrices<PRECISION, B_BY_ROWS, Left>(warp, p, epilogue, a, b, {bias, scales, residual, y}, partial, ahead,
                                                  shared);
}
