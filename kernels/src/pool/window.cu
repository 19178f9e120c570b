// Max and average pooling: y[n,p,q,c] = reduce over the window of x[n, p·s_h + r·d_h - pad_h, …, c].
//
// Shapes     x and y NHWC, of the same floats, or x of s8 and y of anything. The average divides by the elements inside the input, or, if padding counts, by
//            those inside the padded input (what ceil_mode adds beyond it never counts).
// Grid       one thread per vector of one output pixel, channels fastest; fewer than 2^31 threads.
// Traffic    x and y once (overlapping windows meet in L1 and L2); R·S operations an output.
//
// Parameters X_TYPE, Y_TYPE  f16 or float; int8_t
//            AVERAGE         1: the mean; 0: the largest; see pool/fold.cuh
// Source     https://onnx.ai/onnx/operators/onnx__MaxPool.html, onnx__AveragePool.html

#include "include/index.cuh"
#include "pool/fold.cuh"

struct PoolParams {
    int64_t x_pitch;
    int64_t y_pitch;
    int32_t x_h, x_w;
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
    Divisor rows;
    PoolScales scales;
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

extern "C" __global__ void __launch_bounds__(512, 1)
    pool(const X_TYPE* x, Y_TYPE* __restrict__ y, const PoolParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    uint32_t n = thread_number();
    if (n >= p.threads) return;
    const int channel = static_cast<int>(take_index(n, p.channel_vectors)) * VECTOR;
    const int64_t pixel = n;
    const int w0 = static_cast<int>(take_index(n, p.columns)) * p.stride_w - p.pad_w;
    const int h0 = static_cast<int>(take_index(n, p.rows)) * p.stride_h - p.pad_h;

    Fold fold = nothing();
    for (int r = 0; r < p.kernel_h; ++r) {
        const int h = h0 + r * p.dilation_h;
        if (h < 0 || h >= p.x_h) continue;
        const X_TYPE* line = x + (static_cast<int64_t>(n) * p.x_h + h) * p.x_w * p.x_pitch + channel;
        for (int s = 0; s < p.kernel_w; ++s) {
            const int w = w0 + s * p.dilation_w;
            if (w < 0 || w >= p.x_w) continue;
            join(fold, load_vector<VECTOR>(line + w * p.x_pitch));
        }
    }
    float result[VECTOR];
    finish(result, fold, AVERAGE ? divisor(h0, w0, p) : 1.0f, p.scales);
    clear_from(result, p.channels - channel);
    store(y + pixel * p.y_pitch + channel, result);
}
