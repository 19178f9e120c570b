// Resize: y[n,p,q,c] = x[n,:,:,c] at (a_h·p + b_h, a_w·q + b_w), by the nearest pixel or linear in each axis.
//
// Shapes     x and y NHWC, of the same floats, or x of s8 and y of anything. Coordinates beyond the border are the
//            border's; with `extrapolate`, points outside the input take a given value instead.
// Numbers    v is interpolated in f32, first along w, then along h: a + (b - a)·share, the difference rounded once
//            and the product and sum together once. From s8, v is of integers; y = v · factor, with
//            factor = scale_x / scale_y, rounded once and then as y is stored. So s8 gives the same bits everywhere.
// Grid       one thread per vector of one output pixel, channels fastest; fewer than 2^31 threads.
// Traffic    x and y once (neighbours share pixels through L1 and L2).
//
// Parameters X_TYPE, Y_TYPE  f16 or float; int8_t
//            LINEAR          1: linear; 0: nearest
// Source     https://onnx.ai/onnx/operators/onnx__Resize.html

#include "resize/points.cuh"

// Channels of a thread.
constexpr int VECTOR = PAIR_WIDTH<X_TYPE, Y_TYPE>;

enum Nearest { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL };

struct ResizeParams {
    Points points;
    int32_t nearest;
    float factor;  // scale_x / scale_y; 1 between floats
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

// The two neighbours of a coordinate along one axis, and how far it lies from the first to the second.
struct Between {
    int first, second;
    float share;
};

__device__ __forceinline__ Between between(float at, int extent) {
    at = fminf(fmaxf(at, 0.0f), static_cast<float>(extent - 1));
    const float below = floorf(at);
    const int first = static_cast<int>(below);
    return {first, min(first + 1, extent - 1), __fsub_rn(at, below)};
}

__device__ __forceinline__ float blend(float a, float b, float share) { return __fmaf_rn(share, __fsub_rn(b, a), a); }

// The four neighbours are fetched before the first of them is waited for.
__device__ __forceinline__ void linear(float (&v)[VECTOR], const X_TYPE* picture, const Point& at,
                                       const Points& points) {
    const Between row = between(at.h, points.x_h), column = between(at.w, points.x_w);
    const int64_t line = points.x_w * points.x_pitch;
    const X_TYPE *const left = picture + column.first * points.x_pitch,
                 *const right = picture + column.second * points.x_pitch;
    const Vector<X_TYPE, VECTOR> top_left = load_vector<VECTOR>(left + row.first * line),
                                 top_right = load_vector<VECTOR>(right + row.first * line),
                                 bottom_left = load_vector<VECTOR>(left + row.second * line),
                                 bottom_right = load_vector<VECTOR>(right + row.second * line);
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        const float top = blend(to_f32(top_left.lane[i]), to_f32(top_right.lane[i]), column.share);
        const float bottom = blend(to_f32(bottom_left.lane[i]), to_f32(bottom_right.lane[i]), column.share);
        v[i] = blend(top, bottom, row.share);
    }
}

__device__ __forceinline__ void sample(float (&v)[VECTOR], const X_TYPE* picture, const Point& at,
                                       const ResizeParams& p) {
    if (LINEAR) {
        linear(v, picture, at, p.points);
    } else {
        const int row = inside(nearest(at.h, p.nearest), p.points.x_h);
        const int column = inside(nearest(at.w, p.nearest), p.points.x_w);
        load(v, picture + (static_cast<int64_t>(row) * p.points.x_w + column) * p.points.x_pitch);
    }
    if (sizeof(X_TYPE) == 1) scale_by(v, p.factor);
}

extern "C" __global__ void __launch_bounds__(512, 1)
    resize(const X_TYPE* x, Y_TYPE* __restrict__ y, const ResizeParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    if (thread_number() >= p.points.threads) return;
    const Point at = point_of<VECTOR>(p.points, thread_number());

    float v[VECTOR];
    if (at.outside) {
        splat(v, p.points.extrapolation);
    } else {
        sample(v, x + at.picture, at, p);
    }
    clear_from(v, p.points.channels - at.channel);
    store(y + at.pixel * p.points.y_pitch + at.channel, v);
}
