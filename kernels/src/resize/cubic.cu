// Resize by cubic convolution: y[n,p,q,c] = Σ u_i v_j x[n, h+i, w+j, c] over the four by four pixels around
// (a_h·p + b_h, a_w·q + b_w).
//
// Shapes     x and y NHWC, of the same floats. Pixels beyond the border are the border's, or count nothing where
//            `exclude_outside` says so; with `extrapolate`, points outside the input take a given value instead.
// Numbers    weights are Keys', of distances 1+t, t, 1-t, 2-t; sums in f32 along w, then along h, rounded once.
// Grid       one thread per vector of one output pixel, channels fastest; fewer than 2^31 threads.
// Traffic    x and y once (neighbours share pixels through L1 and L2).
//
// Parameters TYPE  f16 or float
// Source     Keys, "Cubic convolution interpolation for digital image processing", 1981;
//            https://onnx.ai/onnx/operators/onnx__Resize.html

#include "resize/points.cuh"

// Channels of a thread.
constexpr int VECTOR = 16 / sizeof(TYPE);

struct CubicParams {
    Points points;
    float coefficient;  // Keys' a
    int32_t exclude_outside;
};

// The four neighbours of a coordinate along one axis, and what they count.
struct Taps {
    int index[4];
    float weight[4];
};

// The weight at distance 1 to 2, and at distance 0 to 1.
__device__ __forceinline__ float far(float d, float a) { return ((a * d - 5.0f * a) * d + 8.0f * a) * d - 4.0f * a; }
__device__ __forceinline__ float near(float d, float a) { return ((a + 2.0f) * d - (a + 3.0f)) * d * d + 1.0f; }

__device__ __forceinline__ Taps taps_of(float at, int extent, const CubicParams& p) {
    const float below = floorf(at), t = __fsub_rn(at, below);
    const float a = p.coefficient;
    Taps taps = {{}, {far(1.0f + t, a), near(t, a), near(1.0f - t, a), far(2.0f - t, a)}};
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int index = static_cast<int>(below) + i - 1;
        taps.index[i] = min(max(index, 0), extent - 1);
        if (p.exclude_outside && index != taps.index[i]) taps.weight[i] = 0.0f;
        sum += taps.weight[i];
    }
    if (p.exclude_outside) {
#pragma unroll
        for (int i = 0; i < 4; ++i) taps.weight[i] /= sum;
    }
    return taps;
}

extern "C" __global__ void __launch_bounds__(512, 1)
    resize_cubic(const TYPE* x, TYPE* __restrict__ y, const CubicParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    if (thread_number() >= p.points.threads) return;
    const Point at = point_of<VECTOR>(p.points, thread_number());

    float v[VECTOR];
    if (at.outside) {
        splat(v, p.points.extrapolation);
    } else {
        const Taps rows = taps_of(at.h, p.points.x_h, p), columns = taps_of(at.w, p.points.x_w, p);
        splat(v, 0.0f);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const TYPE* const line = x + at.picture + static_cast<int64_t>(rows.index[i]) * p.points.x_w * p.points.x_pitch;
            Vector<TYPE, VECTOR> from[4];
#pragma unroll
            for (int j = 0; j < 4; ++j) from[j] = load_vector<VECTOR>(line + columns.index[j] * p.points.x_pitch);
            float sum[VECTOR] = {};
#pragma unroll
            for (int j = 0; j < 4; ++j) {
#pragma unroll
                for (int k = 0; k < VECTOR; ++k) sum[k] += columns.weight[j] * to_f32(from[j].lane[k]);
            }
#pragma unroll
            for (int k = 0; k < VECTOR; ++k) v[k] += rows.weight[i] * sum[k];
        }
    }
    clear_from(v, p.points.channels - at.channel);
    store(y + at.pixel * p.points.y_pitch + at.channel, v);
}
