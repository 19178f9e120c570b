// Depthwise convolution, one filter a channel: y[n,p,q,c] = epilogue( Σ_r,s x[n, p·S+r-pad, q·S+s-pad, c] · w[r,s,c] ).
//
// Shapes     see `window.cuh`; y NHWC of f16, f32 or s8. Sums in f32, those of s8 exact.
// Grid       one thread per 8 channels of TILE_W output pixels, side by side; fewer than 2^31 threads.
// Method     a thread walks down the input rows under its pixels. Of each it asks for every pixel at once and adds it to
//            all outputs the pixel is part of, so 3x3 at stride 1 with TILE_W = 4 reads 4.5 pixels an output
//            instead of 9, and the reads that neighbouring threads share come from L1.
// Traffic    x, y and the residual once; 2·R·S operations an output: memory speed decides up to 5x5.

#include "depthwise/window.cuh"

// Rows under way at once; those of a large window, or of f32, would take too many registers.
constexpr int ROWS_AHEAD = KERNEL_H > 3 || sizeof(X_TYPE) == 4 ? 1 : KERNEL_H;

// Adds input pixel v, in column `j` under the tile, to every output whose window holds it. All indices are known to
// the compiler; what is left is the multiply-adds.
__device__ __forceinline__ void scatter(float (&sum)[TILE_W][CHANNELS], const float (&v)[CHANNELS],
                                        const float (&w)[KERNEL_W][CHANNELS], int j) {
#pragma unroll
    for (int tw = 0; tw < TILE_W; ++tw) {
        const int s = j - tw * STRIDE;
        if (s < 0 || s >= KERNEL_W) continue;
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) sum[tw][c] = fmaf(v[c], w[s][c], sum[tw][c]);
    }
}

extern "C" __global__ void __launch_bounds__(128, MIN_BLOCKS)
    depthwise(const X_TYPE* x, const X_TYPE* __restrict__ weights, const float* __restrict__ bias,
              const float* __restrict__ scales, const void* residual, void* __restrict__ y,
              const DepthwiseParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    if (thread_number() >= p.units) return;
    const WindowWork work(p, thread_number(), 1, TILE_W);
    const int top = work.p * STRIDE - p.pad_h, left = work.q * STRIDE - p.pad_w;

    float sum[TILE_W][CHANNELS] = {};
#pragma unroll(ROWS_AHEAD)
    for (int r = 0; r < KERNEL_H; ++r) {
        const int h = top + r;
        const bool there = static_cast<uint32_t>(h) < static_cast<uint32_t>(p.x_h);
        const int64_t first = (static_cast<int64_t>(work.picture) * p.x_h + h) * p.x_w + left;
        PixelRow row;
#pragma unroll
        for (int j = 0; j < COLUMNS; ++j) {
            row.load(j, x + first * p.x_pitch + work.channel, there, left, p.x_lanes - work.channel, p);
        }
        float w[KERNEL_W][CHANNELS];
#pragma unroll
        for (int s = 0; s < KERNEL_W; ++s) load(w[s], weights + (r * KERNEL_W + s) * p.weight_pitch + work.channel);
#pragma unroll
        for (int j = 0; j < COLUMNS; ++j) {
            float v[CHANNELS];
            unpack_8(row.pixels[j], X_ELEMENT, v);
            scatter(sum, v, w, j);
        }
    }

    const EpilogueTensors tensors = {bias, scales, residual, y};
    const int64_t line = static_cast<int64_t>(work.picture) * p.y_h + work.p;
#pragma unroll
    for (int tw = 0; tw < TILE_W; ++tw) {
        if (work.q + tw < p.y_w) finish(p.epilogue, tensors, line * p.y_w + work.q + tw, work.channel, sum[tw]);
    }
}
