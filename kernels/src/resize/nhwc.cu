// Resize: y[n,p,q,c] = x[n,:,:,c] at (a_h·p + b_h, a_w·q + b_w), by the nearest pixel or linear in each axis.
//
// Shapes     x and y NHWC of TYPE. Neighbours beyond the border are the border's pixel; with `extrapolate`, points
//            outside the input take a given value instead. Interpolated in f32, rounded once.
// Grid       one thread per vector of 16 bytes of one output pixel, channels fastest; fewer than 2^31 threads.
// Traffic    x and y once (neighbours share pixels through L1 and L2).
//
// Parameters TYPE    f16 or float
//            LINEAR  1: linear; 0: nearest
// Source     https://onnx.ai/onnx/operators/onnx__Resize.html

#include "include/index.cuh"
#include "include/vector.cuh"

constexpr int VECTOR = 16 / sizeof(TYPE);

enum Nearest { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL };

struct ResizeParams {
    int64_t x_pitch;
    int64_t y_pitch;
    int32_t x_h, x_w;
    float a_h, a_w;
    float b_h, b_w;
    int32_t nearest;
    int32_t extrapolate;
    float extrapolation;
    int32_t channels;  // lanes from here on are zero
    uint32_t threads;
    Divisor channel_vectors;
    Divisor columns;  // of y
    Divisor rows;
};

__device__ __forceinline__ int inside(int at, int extent) { return min(max(at, 0), extent - 1); }

// The fraction is exact, so a tie is one whatever the size of the coordinate.
__device__ __forceinline__ int nearest(float at, int mode) {
    const float below = floorf(at), fraction = at - below;
    const bool up = mode == ROUND_PREFER_FLOOR  ? fraction > 0.5f
                    : mode == ROUND_PREFER_CEIL ? fraction >= 0.5f
                    : mode == CEIL              ? fraction > 0.0f
                                                : false;
    return static_cast<int>(below) + up;
}

// a + (b - a)·share for all lanes.
__device__ __forceinline__ void blend(float (&a)[VECTOR], const float (&b)[VECTOR], float share) {
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) a[i] = a[i] * (1.0f - share) + b[i] * share;
}

// One row of the picture at column `w`.
__device__ __forceinline__ void linear_in_row(float (&v)[VECTOR], const TYPE* row, float w, const ResizeParams& p) {
    const float left = floorf(w);
    float other[VECTOR];
    load(v, row + inside(static_cast<int>(left), p.x_w) * p.x_pitch);
    load(other, row + inside(static_cast<int>(left) + 1, p.x_w) * p.x_pitch);
    blend(v, other, w - left);
}

__device__ __forceinline__ void sample(float (&v)[VECTOR], const TYPE* picture, float h, float w,
                                       const ResizeParams& p) {
    const int64_t line = p.x_w * p.x_pitch;
    if (LINEAR) {
        const float top = floorf(h);
        float other[VECTOR];
        linear_in_row(v, picture + inside(static_cast<int>(top), p.x_h) * line, w, p);
        linear_in_row(other, picture + inside(static_cast<int>(top) + 1, p.x_h) * line, w, p);
        blend(v, other, h - top);
    } else {
        const int row = inside(nearest(h, p.nearest), p.x_h);
        const int column = inside(nearest(w, p.nearest), p.x_w);
        load(v, picture + row * line + column * p.x_pitch);
    }
}

extern "C" __global__ void __launch_bounds__(512, 1)
    resize(const TYPE* __restrict__ x, TYPE* __restrict__ y, const ResizeParams p) {
    uint32_t n = thread_number();
    if (n >= p.threads) return;
    const int channel = static_cast<int>(take_index(n, p.channel_vectors)) * VECTOR;
    const int64_t pixel = n;
    const float w = fmaf(p.a_w, static_cast<float>(take_index(n, p.columns)), p.b_w);
    const float h = fmaf(p.a_h, static_cast<float>(take_index(n, p.rows)), p.b_h);

    float v[VECTOR];
    const bool outside = h < 0.0f || h > static_cast<float>(p.x_h - 1) || w < 0.0f || w > static_cast<float>(p.x_w - 1);
    if (p.extrapolate && outside) {
        splat(v, p.extrapolation);
    } else {
        sample(v, x + static_cast<int64_t>(n) * p.x_h * p.x_w * p.x_pitch + channel, h, w, p);
    }
    clear_from(v, p.channels - channel);
    store(y + pixel * p.y_pitch + channel, v);
}
