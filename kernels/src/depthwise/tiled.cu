// Depthwise convolution, one filter a channel: y[n,p,q,c] = epilogue( Σ_r,s x[n, p·S+r-pad, q·S+s-pad, c] · w[r,s,c] ).
//
// Shapes     x NHWC of X_TYPE, w [R·S][c_pad] of X_TYPE, y NHWC of f16, f32 or s8. Dilation 1, the same stride
//            along both axes. Sums in f32, those of s8 exact.
// Grid       one thread per 8 channels of TILE_H x TILE_W output pixels, channels fastest, so that a warp reads
//            whole lines; fewer than 2^31 threads.
// Method     a thread walks down the input rows its tile touches. Of each it reads every pixel once and adds it to
//            all outputs the pixel is part of, so 3x3 at stride 1 with TILE_W = 4 reads 4.5 pixels an output
//            instead of 9, and the reads that neighbouring threads share come from L1.
// Traffic    x, y and the residual once; 2·R·S operations an output: memory speed decides up to 5x5.
//
// Parameters KERNEL_H, KERNEL_W, STRIDE   the window
//            TILE_H, TILE_W               output pixels of a thread
//            X_TYPE                       f16, float or int8_t

#include "depthwise/finish.cuh"
#include "include/index.cuh"
#include "include/vector.cuh"

constexpr int ROWS = (TILE_H - 1) * STRIDE + KERNEL_H;  // of x under a tile
constexpr int COLUMNS = (TILE_W - 1) * STRIDE + KERNEL_W;

struct DepthwiseParams {
    int64_t x_pitch;
    int32_t x_h, x_w;
    int32_t x_lanes;  // channels of x, padding included
    int32_t y_h, y_w;
    int32_t pad_h, pad_w;
    int32_t weight_pitch;
    uint32_t threads;
    Divisor channel_vectors;
    Divisor tiles_w;
    Divisor tiles_h;
    EpilogueParams epilogue;
    uint32_t reserved;
};

// Eight channels from `channel` on; f32 images may end after four of them.
__device__ __forceinline__ void load_channels(float (&v)[CHANNELS], const f16* from, int) { load(v, from); }
__device__ __forceinline__ void load_channels(float (&v)[CHANNELS], const int8_t* from, int) { load(v, from); }
__device__ __forceinline__ void load_channels(float (&v)[CHANNELS], const float* from, int lanes) {
    const Vector<float, 4> low = load_vector<4>(from);
    const Vector<float, 4> high = lanes > 4 ? load_vector<4>(from + 4) : Vector<float, 4>{};
#pragma unroll
    for (int i = 0; i < 4; ++i) v[i] = low.lane[i], v[4 + i] = high.lane[i];
}

// Adds input pixel v, in row `i` and column `j` under the tile, to every output whose window holds it. All indices
// are known to the compiler; what is left is the multiply-adds.
__device__ __forceinline__ void scatter(float (&sum)[TILE_H][TILE_W][CHANNELS], const float (&v)[CHANNELS],
                                        const float (&w)[TILE_H][KERNEL_W][CHANNELS], int i, int j) {
#pragma unroll
    for (int th = 0; th < TILE_H; ++th) {
        const int r = i - th * STRIDE;
        if (r < 0 || r >= KERNEL_H) continue;
#pragma unroll
        for (int tw = 0; tw < TILE_W; ++tw) {
            const int s = j - tw * STRIDE;
            if (s < 0 || s >= KERNEL_W) continue;
#pragma unroll
            for (int c = 0; c < CHANNELS; ++c) sum[th][tw][c] = fmaf(v[c], w[th][s][c], sum[th][tw][c]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 1)
    depthwise(const X_TYPE* x, const X_TYPE* __restrict__ weights, const float* __restrict__ bias,
              const float* __restrict__ scales, const void* residual, void* __restrict__ y,
              const DepthwiseParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    uint32_t n = thread_number();
    if (n >= p.threads) return;
    const int channel = static_cast<int>(take_index(n, p.channel_vectors)) * CHANNELS;
    const int q0 = static_cast<int>(take_index(n, p.tiles_w)) * TILE_W;
    const int p0 = static_cast<int>(take_index(n, p.tiles_h)) * TILE_H;
    const int picture = static_cast<int>(n);

    float sum[TILE_H][TILE_W][CHANNELS] = {};
#pragma unroll
    for (int i = 0; i < ROWS; ++i) {
        const int h = p0 * STRIDE - p.pad_h + i;
        if (h < 0 || h >= p.x_h) continue;
        // Row i meets filter row i - th·STRIDE for the tile's output row th.
        float w[TILE_H][KERNEL_W][CHANNELS];
#pragma unroll
        for (int th = 0; th < TILE_H; ++th) {
            const int r = i - th * STRIDE;
            if (r < 0 || r >= KERNEL_H) continue;
#pragma unroll
            for (int s = 0; s < KERNEL_W; ++s) {
                load(w[th][s], weights + (r * KERNEL_W + s) * p.weight_pitch + channel);
            }
        }
        const int64_t row = (static_cast<int64_t>(picture) * p.x_h + h) * p.x_w;
#pragma unroll
        for (int j = 0; j < COLUMNS; ++j) {
            const int column = q0 * STRIDE - p.pad_w + j;
            if (column < 0 || column >= p.x_w) continue;
            float v[CHANNELS];
            load_channels(v, x + (row + column) * p.x_pitch + channel, p.x_lanes - channel);
            scatter(sum, v, w, i, j);
        }
    }

    const EpilogueTensors tensors = {bias, scales, residual, y};
#pragma unroll
    for (int th = 0; th < TILE_H; ++th) {
#pragma unroll
        for (int tw = 0; tw < TILE_W; ++tw) {
            if (p0 + th >= p.y_h || q0 + tw >= p.y_w) continue;
            const int64_t pixel = (static_cast<int64_t>(picture) * p.y_h + p0 + th) * p.y_w + q0 + tw;
            finish(p.epilogue, tensors, pixel, channel, sum[th][tw]);
        }
    }
}
