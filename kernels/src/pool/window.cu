// Max and average pooling: y[n,p,q,c] = reduce over the window of x[n, p·s_h + r·d_h - pad_h, …, c].
//
// Shapes     x and y NHWC, of the same floats, or x of s8 and y of anything. The average divides by the elements inside
//            the input, or, if padding counts, by those inside the padded input (what ceil_mode adds beyond it never
//            counts).
// Grid       one thread per vector of TILE_H output pixels, one below the other, channels fastest; fewer than 2^31.
// Method     Of a window that the compiler knows, a thread asks for all pixels before it folds any: one after the other
//            it would wait most of the time. Rows are folded first, since windows one below the other may share them.
// Traffic    x and y once (overlapping windows meet in L1 and L2); R·S operations an output.
//
// Parameters X_TYPE, Y_TYPE  f16 or float; int8_t
//            AVERAGE         1: the mean; 0: the largest; see pool/fold.cuh
//            KERNEL, STRIDE  of a square window without dilation; 0, 0: any window, with TILE_H = 1
//            TILE_H          output pixels of a thread
// Source     https://onnx.ai/onnx/operators/onnx__MaxPool.html, onnx__AveragePool.html

#include "include/index.cuh"
#include "pool/fold.cuh"

struct PoolParams {
    int64_t x_pitch;
    int64_t y_pitch;
    int32_t x_h, x_w;
    int32_t y_h;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_h, pad_w;
    int32_t pad_end_h, pad_end_w;
    int32_t channels;       // lanes from here on are zero
    int32_t count_padding;  // nonzero: AverageIncludePad
    uint32_t threads;
    Divisor channel_vectors;
    Divisor columns;  // of y
    Divisor tiles_h;
    PoolScales scales;
    uint32_t reserved;
};

// How many of the window's elements from `start` on lie below `end`, which is past the input or its padding.
__device__ __forceinline__ int inside(int start, int kernel, int dilation, int low, int end) {
    int count = 0;
    for (int i = 0; i < kernel; ++i) {
        const int at = start + i * dilation;
        count += at >= low && at < end;
    }
    return count;
}

// What the sum is divided by. A dilated window may meet nothing but padding; its mean is 0.
__device__ __forceinline__ float divisor(int h0, int w0, const PoolParams& p) {
    const bool padding = p.count_padding;
    const int h = inside(h0, p.kernel_h, p.dilation_h, padding ? -p.pad_h : 0, p.x_h + (padding ? p.pad_end_h : 0));
    const int w = inside(w0, p.kernel_w, p.dilation_w, padding ? -p.pad_w : 0, p.x_w + (padding ? p.pad_end_w : 0));
    return static_cast<float>(max(h * w, 1));
}

#if KERNEL > 0
// Folds the windows that begin at row h0 and STRIDE below each other, column w0; `x` points at a picture.
__device__ __forceinline__ void fold_windows(Fold (&folds)[TILE_H], const X_TYPE* x, int h0, int w0,
                                             const PoolParams& p) {
    constexpr int ROWS = (TILE_H - 1) * STRIDE + KERNEL;
    const int64_t line = p.x_w * p.x_pitch;
    const X_TYPE* row = x + h0 * line + w0 * p.x_pitch;
    Words pixels[ROWS][KERNEL];
#pragma unroll
    for (int r = 0; r < ROWS; ++r, row += line) {
        const bool there = static_cast<uint32_t>(h0 + r) < static_cast<uint32_t>(p.x_h);
#pragma unroll
        for (int s = 0; s < KERNEL; ++s) {
            pixels[r][s] = absent();
            if (there && static_cast<uint32_t>(w0 + s) < static_cast<uint32_t>(p.x_w)) {
                pixels[r][s] = load_words(row + s * p.x_pitch);
            }
        }
    }
    Fold rows[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; ++r) {
        rows[r] = Folding::of(pixels[r][0]);
#pragma unroll
        for (int s = 1; s < KERNEL; ++s) Folding::join(rows[r], Folding::of(pixels[r][s]));
    }
#pragma unroll
    for (int t = 0; t < TILE_H; ++t) {
        folds[t] = rows[t * STRIDE];
#pragma unroll
        for (int r = 1; r < KERNEL; ++r) Folding::join(folds[t], rows[t * STRIDE + r]);
    }
}
#else
// Folds a window that the compiler does not know.
__device__ __forceinline__ void fold_windows(Fold (&fold)[1], const X_TYPE* x, int h0, int w0, const PoolParams& p) {
    fold[0] = Folding::of(absent());
    for (int r = 0; r < p.kernel_h; ++r) {
        const int h = h0 + r * p.dilation_h;
        if (h < 0 || h >= p.x_h) continue;
        const X_TYPE* line = x + static_cast<int64_t>(h) * p.x_w * p.x_pitch;
        for (int s = 0; s < p.kernel_w; ++s) {
            const int w = w0 + s * p.dilation_w;
            if (w < 0 || w >= p.x_w) continue;
            Folding::join(fold[0], Folding::of(load_words(line + w * p.x_pitch)));
        }
    }
}
#endif

extern "C" __global__ void __launch_bounds__(256, 1)
    pool(const X_TYPE* x, Y_TYPE* __restrict__ y, const PoolParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    uint32_t n = thread_number();
    if (n >= p.threads) return;
    const int channel = static_cast<int>(take_index(n, p.channel_vectors)) * VECTOR;
    const int column = static_cast<int>(take_index(n, p.columns));
    const int row = static_cast<int>(take_index(n, p.tiles_h)) * TILE_H;
    const int w0 = column * p.stride_w - p.pad_w, h0 = row * p.stride_h - p.pad_h;
    const X_TYPE* const picture = x + static_cast<int64_t>(n) * p.x_h * p.x_w * p.x_pitch + channel;

    Fold folds[TILE_H];
    fold_windows(folds, picture, h0, w0, p);
    Y_TYPE* to = y + ((static_cast<int64_t>(n) * p.y_h + row) * p.columns.value + column) * p.y_pitch + channel;
#pragma unroll
    for (int t = 0; t < TILE_H; ++t, to += p.columns.value * p.y_pitch) {
        if (row + t >= p.y_h) break;
        const float count = AVERAGE ? divisor(h0 + t * p.stride_h, w0, p) : 1.0f;
        store_fold(to, folds[t], count, p.channels - channel, p.scales);
    }
}
