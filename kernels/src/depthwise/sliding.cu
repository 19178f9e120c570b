// Depthwise convolution by threads that slide down their columns:
// y[n,p,q,c] = epilogue( Σ_r,s x[n, p·S+r-pad, q·S+s-pad, c] · w[r,s,c] ).
//
// Shapes     see `window.cuh`; y NHWC of f16, f32 or s8. Sums in f32, those of s8 exact.
// Grid       one thread per 8 channels of `rows` x TILE_W output pixels, TILE_W = 1; fewer than 2^31 threads.
// Method     a thread keeps its filters in registers, and the sums of the output rows that the input row at hand is part
//            of: three of them for 3x3 at stride 1, two at stride 2. It reads a row of pixels, adds them to all those
//            sums, asks for the row after it, and stores the output row that is now complete. Every row is read once a
//            column of threads, (rows + 2)/rows times in all, where tiles of one row read it three times.
// Traffic    x, y and the residual once; 2·R·S operations an output: memory speed decides.
//
//      rows of x    0   1   2   3   4           stride 1: row 2 belongs to outputs 1 (r=2), 2 (r=1) and 3 (r=0), so
//      output 1     ×   ×   ×                   when it has been added, output 1 is complete
//      output 2         ×   ×   ×

#include "depthwise/window.cuh"

constexpr int LIVE = (KERNEL_H - 1) / STRIDE + 1;  // output rows in the making

// Adds input pixel v, row `j` of this step and column `i` under the tile, to the sums of every window that holds it.
// sums[k] began k steps ago.
__device__ __forceinline__ void scatter(float (&sums)[LIVE][TILE_W][CHANNELS], const float (&v)[CHANNELS],
                                        const float (&w)[KERNEL_H][KERNEL_W][CHANNELS], int j, int i) {
#pragma unroll
    for (int k = 0; k < LIVE; ++k) {
        const int r = k * STRIDE + j;
        if (r >= KERNEL_H) continue;
#pragma unroll
        for (int tw = 0; tw < TILE_W; ++tw) {
            const int s = i - tw * STRIDE;
            if (s < 0 || s >= KERNEL_W) continue;
#pragma unroll
            for (int c = 0; c < CHANNELS; ++c) sums[k][tw][c] = fmaf(v[c], w[r][s][c], sums[k][tw][c]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(128, MIN_BLOCKS)
    depthwise_sliding(const X_TYPE* x, const X_TYPE* __restrict__ weights,
                      const float* __restrict__ bias, const float* __restrict__ scales,
                      const void* residual, void* __restrict__ y, const DepthwiseParams p) {
    if (thread_number() >= p.threads) {
        griddepcontrol_wait();
        return;
    }
    const WindowWork work(p, thread_number());
    const int rows = min(p.rows, p.y_h - work.p);
    const int left = work.q * STRIDE - p.pad_w, lanes = p.x_lanes - work.channel;
    int h = work.p * STRIDE - p.pad_h;  // of the row that is loaded next
    const int bottom = min(p.x_h, h + (rows - 1) * STRIDE + KERNEL_H);
    const int64_t line = p.x_w * p.x_pitch;
    const X_TYPE* row = x + (static_cast<int64_t>(work.picture) * p.x_h + h) * line + left * p.x_pitch + work.channel;
    const auto there = [&](int j) { return h + j >= 0 && h + j < bottom; };

    // Filters are constants: they come while the kernel before is still making x.
    float w[KERNEL_H][KERNEL_W][CHANNELS];
#pragma unroll
    for (int r = 0; r < KERNEL_H; ++r) {
#pragma unroll
        for (int s = 0; s < KERNEL_W; ++s) {
            load(w[r][s], weights + (r * KERNEL_W + s) * p.weight_pitch + work.channel);
        }
    }

    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    PixelRow next[STRIDE];
#pragma unroll
    for (int j = 0; j < STRIDE; ++j) {
#pragma unroll
        for (int i = 0; i < COLUMNS; ++i) next[j].load(i, row + j * line, there(j), left, lanes, p);
    }

    const EpilogueTensors tensors = {bias, scales, residual, y};
    int64_t pixel = (static_cast<int64_t>(work.picture) * p.y_h + work.p) * p.y_w + work.q;
    float sums[LIVE][TILE_W][CHANNELS] = {};
#pragma unroll 1
    for (int step = 0; step < rows + LIVE - 1; ++step) {
        h += STRIDE, row += STRIDE * line;
#pragma unroll
        for (int j = 0; j < STRIDE; ++j) {
#pragma unroll
            for (int i = 0; i < COLUMNS; ++i) {
                float v[CHANNELS];
                unpack_8(next[j].pixels[i], X_ELEMENT, v);
                next[j].load(i, row + j * line, there(j), left, lanes, p);
                scatter(sums, v, w, j, i);
            }
        }
        if (step >= LIVE - 1) {
#pragma unroll
            for (int tw = 0; tw < TILE_W; ++tw) {
                if (work.q + tw < p.y_w) finish(p.epilogue, tensors, pixel + tw, work.channel, sums[LIVE - 1][tw]);
            }
            pixel += p.y_w;
        }
        // Every sum is a step older, and a new one begins.
#pragma unroll
        for (int k = LIVE - 1; k >= 0; --k) {
#pragma unroll
            for (int tw = 0; tw < TILE_W; ++tw) {
#pragma unroll
                for (int c = 0; c < CHANNELS; ++c) sums[k][tw][c] = k > 0 ? sums[k - 1][tw][c] : 0.0f;
            }
        }
    }
}
