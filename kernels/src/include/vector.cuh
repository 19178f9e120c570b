// Vectors of elements: several neighbours moved by one memory access, worked on as floats.
//
// A vector of 16 bytes (16 s8, 8 f16, 4 f32) is what one thread can move at once; wider ones are moved in 16-byte
// pieces. The address must be a multiple of the vector's size or of 16, whichever is less.
#pragma once

#include "include/ptx.cuh"

// N neighbours of type T as they lie in memory. The alignment is what lets the compiler use one wide access.
template <typename T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Vector {
    T lane[N];
};

// Elements of which the wider of two types fills 16 bytes: what a thread takes where X becomes Y.
template <typename X, typename Y>
constexpr int PAIR_WIDTH = 16 / (sizeof(X) > sizeof(Y) ? sizeof(X) : sizeof(Y));

// What elements of a type are summed up in: reals in f32, s8 in s32, which no order of summation changes.
template <typename T>
struct SumOf {
    typedef float Type;
};
template <>
struct SumOf<int8_t> {
    typedef int32_t Type;
};

// The vector at `from`, as it is.
template <int N, typename T>
__device__ __forceinline__ Vector<T, N> load_vector(const T* from) {
    return *reinterpret_cast<const Vector<T, N>*>(from);
}

// A vector's lanes as floats.
template <typename T, int N>
__device__ __forceinline__ void widen(float (&x)[N], const Vector<T, N>& v) {
#pragma unroll
    for (int i = 0; i < N; ++i) x[i] = to_f32(v.lane[i]);
}

// x = the N elements at `from`.
template <typename T, int N>
__device__ __forceinline__ void load(float (&x)[N], const T* from) {
    widen(x, load_vector<N>(from));
}

// x·factor, one rounding each: from integers to what they stand for, or back before they are rounded.
template <int N>
__device__ __forceinline__ void scale_by(float (&x)[N], float factor) {
#pragma unroll
    for (int i = 0; i < N; ++i) x[i] = __fmul_rn(x[i], factor);
}

// The N elements at `to` = x, each rounded once; s8 to the nearest integer, ties to even, and saturated.
template <typename T, int N>
__device__ __forceinline__ void store(T* to, const float (&x)[N]) {
    Vector<T, N> v;
#pragma unroll
    for (int i = 0; i < N; ++i) v.lane[i] = from_f32<T>(x[i]);
    *reinterpret_cast<Vector<T, N>*>(to) = v;
}

// Two f16 are rounded by one instruction.
template <int N>
__device__ __forceinline__ void store(f16* to, const float (&x)[N]) {
    if constexpr (N % 2 == 0) {
        Vector<uint32_t, N / 2> v;
#pragma unroll
        for (int i = 0; i < N / 2; ++i) v.lane[i] = cvt_rn_f16x2_f32(x[2 * i], x[2 * i + 1]);
        *reinterpret_cast<Vector<uint32_t, N / 2>*>(to) = v;
    } else {
#pragma unroll
        for (int i = 0; i < N; ++i) to[i] = from_f32<f16>(x[i]);
    }
}

// Four s8 are saturated and packed by two instructions.
template <int N>
__device__ __forceinline__ void store(int8_t* to, const float (&x)[N]) {
    if constexpr (N % 4 == 0) {
        Vector<uint32_t, N / 4> v;
#pragma unroll
        for (int i = 0; i < N / 4; ++i) {
            const uint32_t above = cvt_pack_sat_s8_s32(__float2int_rn(x[4 * i + 3]), __float2int_rn(x[4 * i + 2]), 0);
            v.lane[i] = cvt_pack_sat_s8_s32(__float2int_rn(x[4 * i + 1]), __float2int_rn(x[4 * i + 0]), above);
        }
        *reinterpret_cast<Vector<uint32_t, N / 4>*>(to) = v;
    } else {
#pragma unroll
        for (int i = 0; i < N; ++i) to[i] = from_f32<int8_t>(x[i]);
    }
}

// x = value in every lane.
template <int N>
__device__ __forceinline__ void splat(float (&x)[N], float value) {
#pragma unroll
    for (int i = 0; i < N; ++i) x[i] = value;
}

// Lanes from `count` on become 0: what a writer puts into an image's padding.
template <int N>
__device__ __forceinline__ void clear_from(float (&x)[N], int count) {
#pragma unroll
    for (int i = 0; i < N; ++i) x[i] = i < count ? x[i] : 0.0f;
}
