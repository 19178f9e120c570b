// The functions that `function.cu` is compiled for, one at a time: FUNCTION names it.
//
// Of floats they are what graph/src/ops/{unary,binary,compare,where_op}.rs define, each to a few units in the last
// place, NaN kept. Of integers they wrap, which unsigned arithmetic does and signed need not.
#pragma once

#include "include/ptx.cuh"

struct Scalars {
    float alpha;
    float gamma;
    uint32_t relation;  // of compare
};

// --- One argument

__device__ __forceinline__ float absolute(float x, const Scalars&) { return fabsf(x); }
__device__ __forceinline__ float negative(float x, const Scalars&) { return -x; }
__device__ __forceinline__ float sign(float x, const Scalars&) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x; }
__device__ __forceinline__ float exponential(float x, const Scalars&) { return expf(x); }
__device__ __forceinline__ float logarithm(float x, const Scalars&) { return logf(x); }
__device__ __forceinline__ float square_root(float x, const Scalars&) { return __fsqrt_rn(x); }
__device__ __forceinline__ float reciprocal(float x, const Scalars&) { return __fdiv_rn(1.0f, x); }
__device__ __forceinline__ float round_down(float x, const Scalars&) { return floorf(x); }
__device__ __forceinline__ float round_up(float x, const Scalars&) { return ceilf(x); }
__device__ __forceinline__ float round_even(float x, const Scalars&) { return rintf(x); }

// x less the multiple of π that is nearest, in units of π, and whether the multiple is odd. π comes in three parts so
// that the products cancel without loss up to about |x| = 10⁵; sinf would keep a table of 2/π on a stack for more.
__device__ __forceinline__ float turn(float x, bool& odd) {
    const float multiple = rintf(x * 0.318309886f);
    float rest = __fmaf_rn(multiple, -3.140625f, x);
    rest = __fmaf_rn(multiple, -9.67502593994140625e-4f, rest);
    rest = __fmaf_rn(multiple, -1.509957990978376e-7f, rest);
    odd = (__float2int_rn(multiple) & 1) != 0;
    return rest * 0.318309886f;
}

__device__ __forceinline__ float sine(float x, const Scalars&) {
    bool odd;
    const float part = sinpif(turn(x, odd));
    return odd ? -part : part;
}

__device__ __forceinline__ float cosine(float x, const Scalars&) {
    bool odd;
    const float part = cospif(turn(x, odd));
    return odd ? -part : part;
}

__device__ __forceinline__ float error_function(float x, const Scalars&) { return erff(x); }
__device__ __forceinline__ float gelu(float x, const Scalars&) { return 0.5f * x * (1.0f + erff(x * 0.70710678f)); }
__device__ __forceinline__ float gelu_tanh(float x, const Scalars&) {
    return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
}

// ln(1 + e^x) without overflow: e^x is only taken of what is not positive.
__device__ __forceinline__ float softplus(float x, const Scalars&) {
    return (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x)));
}
__device__ __forceinline__ float softsign(float x, const Scalars&) { return x / (1.0f + fabsf(x)); }
__device__ __forceinline__ float elu(float x, const Scalars& p) { return x < 0.0f ? p.alpha * expm1f(x) : x; }
__device__ __forceinline__ float selu(float x, const Scalars& p) {
    return p.gamma * (x <= 0.0f ? p.alpha * expm1f(x) : x);
}
__device__ __forceinline__ float celu(float x, const Scalars& p) {
    return x < 0.0f ? p.alpha * expm1f(x / p.alpha) : x;
}
__device__ __forceinline__ float mish(float x, const Scalars& p) { return x * tanhf(softplus(x, p)); }

// --- Two arguments

__device__ __forceinline__ float power(float a, float b, const Scalars&) { return powf(a, b); }
// Not fminf and fmaxf: those drop NaN.
__device__ __forceinline__ float smaller(float a, float b, const Scalars&) { return a < b || a != a ? a : b; }
__device__ __forceinline__ float greater(float a, float b, const Scalars&) { return a > b || a != a ? a : b; }
__device__ __forceinline__ float prelu(float a, float b, const Scalars&) { return a < 0.0f ? a * b : a; }

enum Relation { EQUAL, GREATER, GREATER_OR_EQUAL, LESS, LESS_OR_EQUAL, AND, OR, XOR };

// Of numbers of one type, or of bools.
template <typename T>
__device__ __forceinline__ bool compare(T a, T b, const Scalars& p) {
    switch (p.relation) {
        case EQUAL: return a == b;
        case GREATER: return a > b;
        case GREATER_OR_EQUAL: return a >= b;
        case LESS: return a < b;
        case LESS_OR_EQUAL: return a <= b;
        case AND: return a && b;
        case OR: return a || b;
        default: return a != b;
    }
}

// --- Integers

template <typename T>
struct Unsigned;
template <>
struct Unsigned<int32_t> {
    typedef uint32_t Type;
};
template <>
struct Unsigned<int64_t> {
    typedef uint64_t Type;
};

template <typename T>
__device__ __forceinline__ typename Unsigned<T>::Type bits(T x) {
    return static_cast<typename Unsigned<T>::Type>(x);
}

template <typename T>
__device__ __forceinline__ T integer_negative(T x, const Scalars&) {
    return static_cast<T>(0 - bits(x));
}
template <typename T>
__device__ __forceinline__ T integer_absolute(T x, const Scalars& p) {
    return x < 0 ? integer_negative(x, p) : x;
}
template <typename T>
__device__ __forceinline__ T integer_sign(T x, const Scalars&) {
    return static_cast<T>(x > 0) - static_cast<T>(x < 0);
}
template <typename T>
__device__ __forceinline__ T integer_sum(T a, T b, const Scalars&) {
    return static_cast<T>(bits(a) + bits(b));
}
template <typename T>
__device__ __forceinline__ T integer_difference(T a, T b, const Scalars&) {
    return static_cast<T>(bits(a) - bits(b));
}
template <typename T>
__device__ __forceinline__ T integer_product(T a, T b, const Scalars&) {
    return static_cast<T>(bits(a) * bits(b));
}
// Cut toward zero. By 0 it is 0: a kernel has nobody to complain to. By -1 it is a negation, which alone may wrap.
template <typename T>
__device__ __forceinline__ T integer_quotient(T a, T b, const Scalars& p) {
    if (b == 0) return 0;
    return b == -1 ? integer_negative(a, p) : a / b;
}
template <typename T>
__device__ __forceinline__ T integer_smaller(T a, T b, const Scalars&) {
    return a < b ? a : b;
}
template <typename T>
__device__ __forceinline__ T integer_greater(T a, T b, const Scalars&) {
    return a > b ? a : b;
}
