// What a window comes to: its elements folded into one, and that turned into y's number.
//
//     x f16, f32   Max       the largest, NaN above all
//                  Average   sum / count, in f32
//     x s8         Max       the largest integer; y = largest · factor          factor  = scale_x / scale_y
//                  Average   the sum in s32; real = f32(sum) · (factor / count) factor  = scale_x
//                            y = real · inverse_y                               inverse = 1 / scale_y
//
// A y of reals has scale 1; one of s8 is rounded to the nearest integer, ties to even, and saturated. Every product and
// quotient of the s8 lines is rounded once, so they are `limpid_graph::ops::exact` to the bit.
#pragma once

#include "include/cast.cuh"
#include "include/reduce.cuh"
#include "include/vector.cuh"

// Channels of a thread.
constexpr int VECTOR = PAIR_WIDTH<X_TYPE, Y_TYPE>;

// Mirrored by `Scales` in pool/mod.rs.
struct PoolScales {
    float factor;
    float inverse_y;
};

typedef SumOf<X_TYPE>::Type Folded;
typedef Vector<Folded, VECTOR> Fold;

// Below or at every number.
__device__ __forceinline__ float lowest(float) { return minus_infinity(); }
__device__ __forceinline__ int32_t lowest(int32_t) { return -128; }

// What a fold starts from.
__device__ __forceinline__ Fold nothing() {
    Fold fold;
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) fold.lane[i] = AVERAGE ? Folded(0) : lowest(Folded());
    return fold;
}

__device__ __forceinline__ float joined(float a, float b) { return AVERAGE ? a + b : larger(a, b); }
__device__ __forceinline__ int32_t joined(int32_t a, int32_t b) { return AVERAGE ? a + b : max(a, b); }

template <typename T>
__device__ __forceinline__ void join(Fold& fold, const Vector<T, VECTOR>& other) {
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) fold.lane[i] = joined(fold.lane[i], widest(other.lane[i]));
}

// y's numbers; `count` is what an average divides by.
__device__ __forceinline__ void finish(float (&y)[VECTOR], const Fold& fold, float count, const PoolScales& scales) {
    if constexpr (sizeof(X_TYPE) == 1) {
        const float factor = AVERAGE ? __fdiv_rn(scales.factor, count) : scales.factor;
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) y[i] = __fmul_rn(__int2float_rn(fold.lane[i]), factor);
        if (AVERAGE) scale_by(y, scales.inverse_y);
    } else {
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) y[i] = AVERAGE ? fold.lane[i] / count : fold.lane[i];
    }
}
