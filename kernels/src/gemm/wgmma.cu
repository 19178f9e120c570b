// gemm/wgmma: matrix products by Hopper's means.
//
// y[i] = epilogue( a[i] · bᵀ ), i < batch
//
// Shapes     a (M,K) row-major, s8 for PRECISION=Int8, f16 for Fp16, f32 for Tf32; b (N,K) packed weights of the same type, rows
//            in the order of `Packing::Warpgroup`; y (M,N) and residual f32, f16 or s8. Sums are f32, those of s8 s32.
// Requires   sm_90a; rows of a, and products of a batch, in whole 16-byte vectors.
// Grid       persistent: a block on each multiprocessor, over tiles of columns (fastest) and rows, the batch, then shares of K.
// Block      128·WARPGROUPS threads that multiply, and a warpgroup of which one thread copies.
// Shared     STAGES · (BLOCK_M + BLOCK_N) · ROW_BYTES, two mbarriers a stage, one a team.
// Work       2·M·N·K operations a product; a is read about once per column tile, b once per row tile (from L2 where it
//            fits), y once.
// Sources    PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Operations"; NVIDIA, CUTLASS: warp
//            specialisation, persistent ping-pong.
#include "include/warpgroup.cuh"

struct Matrices {
    const TensorMap& a;
    const TensorMap& b;
    static constexpr int NUMBERS = ROW_BYTES / 16 * PRECISION::WIDTH;  // of a step

    struct Start {
        int row, batch;
    };

    __device__ __forceinline__ Start start(const Work& work) const { return {work.row, work.batch}; }
    __device__ __forceinline__ void load_a(void* shared, const Start& start, int step, uint64_t* barrier) const {
        const int at[3] = {step * NUMBERS, start.row, start.batch};
        cp_async_bulk_tensor_load(shared, &a, at, barrier);
    }
    __device__ __forceinline__ void load_b(void* shared, const Work& work, int step, uint64_t* barrier) const {
        const int at[3] = {step * NUMBERS, work.column, 0};
        cp_async_bulk_tensor_load(shared, &b, at, barrier);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, 1)
gemm_wgmma(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap b,
           const __grid_constant__ TensorMap y_map, const __grid_constant__ TensorMap residual_map, const float* __restrict__ bias,
           const float* __restrict__ scales, const void* residual, void* __restrict__ y,
           void* __restrict__ partial, const __grid_constant__ ProductParams p,
           const __grid_constant__ EpilogueParams epilogue) {
    DYNAMIC_SHARED_1024(unsigned char, shared);
    multiply_tiles<PRECISION>(Matrices{a, b}, p, epilogue, {bias, scales, residual, y}, y_map, residual_map, partial,
                              shared);
}
