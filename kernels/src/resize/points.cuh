// What resizes of NHWC pictures share: the vector of y that a thread makes, and the point of x that it shows.
#pragma once
#include "include/index.cuh"
#include "include/vector.cuh"

// Mirrored by `Points` in resize/points.rs.
struct Points {
    int64_t x_pitch;
    int64_t y_pitch;
    int32_t x_h, x_w;
    float a_h, a_w;
    float b_h, b_w;
    int32_t extrapolate;
    float extrapolation;  // as y's number
    int32_t channels;     // lanes from here on are zero
    uint32_t threads;
    Divisor channel_vectors;
    Divisor columns;  // of y
    Divisor rows;
    uint32_t reserved;
};

struct Point {
    int channel;      // the first of the thread's
    int64_t pixel;    // of y
    int64_t picture;  // elements from x's base to that channel of the picture
    float h, w;       // in the picture
    bool outside;     // of the picture, where that is another value
};

template <int VECTOR>
__device__ __forceinline__ Point point_of(const Points& points, uint32_t n) {
    Point at;
    at.channel = static_cast<int>(take_index(n, points.channel_vectors)) * VECTOR;
    at.pixel = n;
    at.w = __fmaf_rn(points.a_w, static_cast<float>(take_index(n, points.columns)), points.b_w);
    at.h = __fmaf_rn(points.a_h, static_cast<float>(take_index(n, points.rows)), points.b_h);
    at.picture = static_cast<int64_t>(n) * points.x_h * points.x_w * points.x_pitch + at.channel;
    const float bottom = static_cast<float>(points.x_h - 1), right = static_cast<float>(points.x_w - 1);
    at.outside = points.extrapolate && (at.h < 0.0f || at.h > bottom || at.w < 0.0f || at.w > right);
    return at;
}
