// One element on its way from one tensor to another; `layout/conversion.rs` decides what becomes of it.
//
//     SCALED 0   the same bits, or ONNX's Cast
//            1   the number that stands for the same real: x·factor, rounded once, then stored as a real or as the
//                nearest integer, where factor = scale_x / scale_y. So f32 -> s8 quantizes, s8 -> f32 dequantizes,
//                s8 -> s8 goes from one scale to another, to the bit as `limpid_graph::ops::exact` defines it.
#pragma once

#include "include/cast.cuh"
#include "include/vector.cuh"

template <typename Y, typename X>
__device__ __forceinline__ Y converted(X x, float factor) {
    if constexpr (SCALED) {
        return from_f32<Y>(__fmul_rn(static_cast<float>(widest(x)), factor));
    } else {
        return Cast<Y, X>::of(x);
    }
}

// N elements to `to`, by the widest accesses there are.
template <typename Y, typename X, int N>
__device__ __forceinline__ void store_converted(Y* to, const Vector<X, N>& x, float factor) {
    if constexpr (SCALED) {
        float v[N];
#pragma unroll
        for (int i = 0; i < N; ++i) v[i] = static_cast<float>(widest(x.lane[i]));
        scale_by(v, factor);
        store(to, v);
    } else {
        Vector<Y, N> v;
#pragma unroll
        for (int i = 0; i < N; ++i) v.lane[i] = Cast<Y, X>::of(x.lane[i]);
        *reinterpret_cast<Vector<Y, N>*>(to) = v;
    }
}
