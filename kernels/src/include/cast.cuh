// ONNX's Cast between the element types limpid stores.
//
// Float to integer goes toward zero; what the integer cannot hold becomes its nearest end and NaN becomes 0 (ONNX
// leaves both open; this is what Rust's `as` does, so the reference agrees). Integer to a narrower integer keeps
// the low bits. To bool: anything but 0 is true. To float: nearest.
// Source: https://onnx.ai/onnx/operators/onnx__Cast.html
#pragma once

#include "include/ptx.cuh"

// The type a number is cast through: float, or an integer that holds it.
__device__ __forceinline__ float widest(float x) { return x; }
__device__ __forceinline__ float widest(f16 x) { return cvt_f32_f16(x); }
__device__ __forceinline__ int32_t widest(int8_t x) { return x; }
__device__ __forceinline__ int32_t widest(uint8_t x) { return x; }
__device__ __forceinline__ int32_t widest(bool x) { return x; }
__device__ __forceinline__ int32_t widest(int32_t x) { return x; }
__device__ __forceinline__ int64_t widest(int64_t x) { return x; }

// An integer from the lowest value, and the first float above the highest.
template <typename T>
__device__ __forceinline__ T toward_zero(float x, float low, float beyond, T lowest, T highest) {
    if (x != x) return 0;
    if (x <= low) return lowest;
    return x >= beyond ? highest : static_cast<T>(x);
}

// From an integer.
template <typename Y>
struct Narrow {
    template <typename X>
    static __device__ __forceinline__ Y of(X x) {
        return static_cast<Y>(x);
    }
};

template <>
struct Narrow<f16> {
    template <typename X>
    static __device__ __forceinline__ f16 of(X x) {
        return from_f32<f16>(static_cast<float>(x));
    }
};

template <>
struct Narrow<bool> {
    template <typename X>
    static __device__ __forceinline__ bool of(X x) {
        return x != 0;
    }
};

// From a float.
__device__ __forceinline__ void from_float(float& y, float x) { y = x; }
__device__ __forceinline__ void from_float(f16& y, float x) { y = from_f32<f16>(x); }
__device__ __forceinline__ void from_float(bool& y, float x) { y = x != 0.0f; }
__device__ __forceinline__ void from_float(int8_t& y, float x) {
    y = toward_zero<int8_t>(x, -128.0f, 128.0f, -128, 127);
}
__device__ __forceinline__ void from_float(uint8_t& y, float x) { y = toward_zero<uint8_t>(x, 0.0f, 256.0f, 0, 255); }
__device__ __forceinline__ void from_float(int32_t& y, float x) {
    y = toward_zero<int32_t>(x, -2147483648.0f, 2147483648.0f, -2147483647 - 1, 2147483647);
}
__device__ __forceinline__ void from_float(int64_t& y, float x) {
    const int64_t highest = 0x7fffffffffffffff;
    y = toward_zero<int64_t>(x, -9223372036854775808.0f, 9223372036854775808.0f, -highest - 1, highest);
}

template <typename Y>
__device__ __forceinline__ Y narrow(float x) {
    Y y;
    from_float(y, x);
    return y;
}
template <typename Y>
__device__ __forceinline__ Y narrow(int32_t x) {
    return Narrow<Y>::of(x);
}
template <typename Y>
__device__ __forceinline__ Y narrow(int64_t x) {
    return Narrow<Y>::of(x);
}

template <typename Y, typename X>
struct Cast {
    static __device__ __forceinline__ Y of(X x) { return narrow<Y>(widest(x)); }
};

// The same type: the bits, NaN's payload included.
template <typename T>
struct Cast<T, T> {
    static __device__ __forceinline__ T of(T x) { return x; }
};
