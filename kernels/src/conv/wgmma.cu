// conv/wgmma: convolution as an implicit GEMM by Hopper's means.
//
// y[n,p,q,k] = epilogue( Σ_{r,s,c} x[n, p·stride + r·dilation - pad, q·.. + s·.. - pad, c] · w[k,r,s,c] )
//
// Shapes     x (N,H,W,C) s8 for PRECISION=Int8, f16 for Fp16, f32 for Tf32; w [k_pad][R·S][c_pad] of the same type, rows of
//            filters in the order of `Packing::Warpgroup`; y (N,P,Q,K) and residual f32, f16 or s8. Sums are f32, those of s8 s32.
// Requires   sm_90a; one group; 16-byte aligned pixels; strides to 8, padding to 128, dilation·(kernel-1) to 255.
// Grid       persistent: a block on each multiprocessor, over tiles of filters (fastest) and pixels, then shares of K.
// Block      128·WARPGROUPS threads that multiply, and a warpgroup of which one thread copies.
// Shared     STAGES · (BLOCK_M + BLOCK_N) · ROW_BYTES, two mbarriers a stage, one a team.
// Work       2·N·P·Q·K·R·S·C operations; x is read once a tap and column tile, w once a row tile (both mostly from L2), y
//            once.
// Sources    Chetlur et al., "cuDNN: Efficient Primitives for Deep Learning" (2014), §3.2: the implicit GEMM; PTX ISA,
//            "im2col mode": the copy that gathers it; NVIDIA, CUTLASS: warp specialisation, persistent ping-pong.
//
// A step along K is ROW_BYTES of channels of one tap. The tensor copy walks the output pixels of a tile through x by
// itself, adds the tap's offset, and brings zeros for padding, for channels beyond C and for pixels beyond the last image.
#include "include/warpgroup.cuh"

// Mirrored in `kernels/src/conv/wgmma.rs`.
struct WindowParams {
    int im2col;         // 0: output pixel i is made of input pixel i alone, and x is a matrix
    int channel_steps;  // steps of one tap
    int kernel_width;
    int out_height, out_width;
    int stride_h, stride_w;
    int pad_h, pad_w;
    int dilation_h, dilation_w;
};

struct Pixels {
    const TensorMap& x;
    const TensorMap& w;
    const WindowParams& window;
    static constexpr int CHANNELS = ROW_BYTES / 16 * PRECISION::WIDTH;  // of a step

    // The first pixel's: its window's corner in x, or its number.
    struct Start {
        int left, top, image, pixel;
    };

    __device__ __forceinline__ Start start(const Work& work) const {
        const int line = work.row / window.out_width, image = line / window.out_height;
        return {(work.row - line * window.out_width) * window.stride_w - window.pad_w,
                (line - image * window.out_height) * window.stride_h - window.pad_h, image, work.row};
    }
    __device__ __forceinline__ void load_a(void* shared, const Start& start, int step, uint64_t* barrier) const {
        const int tap = step / window.channel_steps, channel = (step - tap * window.channel_steps) * CHANNELS;
        if (window.im2col) {
            const int r = tap / window.kernel_width, s = tap - r * window.kernel_width;
            const int at[4] = {channel, start.left, start.top, start.image};
            const uint16_t offset[2] = {static_cast<uint16_t>(s * window.dilation_w),
                                        static_cast<uint16_t>(r * window.dilation_h)};
            cp_async_bulk_tensor_im2col(shared, &x, at, offset, barrier);
        } else {
            const int at[2] = {channel, start.pixel};
            cp_async_bulk_tensor_load(shared, &x, at, barrier);
        }
    }
    __device__ __forceinline__ void load_b(void* shared, const Work& work, int step, uint64_t* barrier) const {
        const int tap = step / window.channel_steps;
        const int at[3] = {(step - tap * window.channel_steps) * CHANNELS, tap, work.column};
        cp_async_bulk_tensor_load(shared, &w, at, barrier);
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, 1)
conv_wgmma(const __grid_constant__ TensorMap x, const __grid_constant__ TensorMap w,
           const __grid_constant__ TensorMap y_map, const __grid_constant__ TensorMap residual_map, const float* __restrict__ bias,
           const float* __restrict__ scales, const void* residual, void* __restrict__ y,
           void* __restrict__ partial, const __grid_constant__ ProductParams p,
           const __grid_constant__ WindowParams window, const __grid_constant__ EpilogueParams epilogue) {
    DYNAMIC_SHARED_1024(unsigned char, shared);
    multiply_tiles<PRECISION>(Pixels{x, w, window}, p, epilogue, {bias, scales, residual, y}, y_map, residual_map, partial,
                              shared);
}
