// The activations of epilogues and elementwise kernels, in two ways.
//
// `Exact` gives the bits that `graph/src/ops/exact/` defines, for whatever is computed in INT8. `Fast` is for
// results that are held to a tolerance. They differ in what Sigmoid, Silu and Tanh are made of: the exact ones take
// about three times the instructions, with which an elementwise f16 Silu would no longer run as fast as memory.
#pragma once
#include "include/ptx.cuh"

// Kinds of activation; the numbers are those of `ActivationParams::new` in epilogue.rs.
enum ActivationKind : int {
    ACTIVATION_IDENTITY = 0,
    ACTIVATION_CLIP = 1,          // min(max(x, a), b); Relu is Clip(0, infinity)
    ACTIVATION_LEAKY_RELU = 2,    // x >= 0 ? x : a·x
    ACTIVATION_SIGMOID = 3,       // 1 / (1 + e^-x)
    ACTIVATION_HARD_SIGMOID = 4,  // min(max(a·x + b, 0), 1)
    ACTIVATION_HARD_SWISH = 5,    // x · min(max(x/6 + 1/2, 0), 1)
    ACTIVATION_SILU = 6,          // x / (1 + e^-x)
    ACTIVATION_TANH = 7,
};

struct ActivationParams {
    int kind;
    float a;
    float b;
};

// Not fmaxf and fminf: those turn NaN into a bound, and NaN has to stay visible.
__device__ __forceinline__ float clamp(float x, float low, float high) {
    const float raised = x < low ? low : x;
    return raised > high ? high : raised;
}

// max.NaN and min.NaN take half the instructions of a comparison with its choice, and may change the sign of a zero.
// __fdividef is the division of two instructions, right to 2 units in the last place.
struct Fast {
    static constexpr bool EXACT = false;
    static __device__ __forceinline__ float at_least(float x, float low) { return max_nan_f32(x, low); }
    static __device__ __forceinline__ float at_most(float x, float high) { return min_nan_f32(x, high); }
    static __device__ __forceinline__ float exp(float x) { return expf(x); }
    static __device__ __forceinline__ float divide(float a, float b) { return __fdividef(a, b); }
    static __device__ __forceinline__ float tanh(float x) { return tanhf(x); }
};

// Every operation is one IEEE rounding, in the order of `ops/exact/exp.rs` and `ops/exact/activation.rs`. Intrinsics,
// because the compiler may join a plain product and sum into one rounding.
struct Exact {
    static constexpr bool EXACT = true;
    static __device__ __forceinline__ float at_least(float x, float low) { return x < low ? low : x; }
    static __device__ __forceinline__ float at_most(float x, float high) { return x > high ? high : x; }
    // e^x = 2^n · e^r, e^r = 1 + r + r²·P(r), after Cephes' expf.
    static __device__ __forceinline__ float exp(float x) {
        x = clamp(x, -104.0f, 89.0f);  // NaN passes through
        const float whole = rintf(__fmul_rn(x, 1.44269504f));
        // ln 2 in two parts, the first so short that its multiples are exact.
        const float r = __fmaf_rn(whole, 2.12194440e-4f, __fmaf_rn(whole, -0.693359375f, x));
        float p = 1.9875691500e-4f;
        p = __fmaf_rn(p, r, 1.3981999507e-3f);
        p = __fmaf_rn(p, r, 8.3334519073e-3f);
        p = __fmaf_rn(p, r, 4.1665795894e-2f);
        p = __fmaf_rn(p, r, 1.6666665459e-1f);
        p = __fmaf_rn(p, r, 5.0000001201e-1f);
        p = __fadd_rn(__fmaf_rn(__fmul_rn(r, r), p, r), 1.0f);
        // In two halves: 2^n itself may be too large or too small for a float.
        const int n = __float2int_rn(whole), half = n >> 1;
        return __fmul_rn(__fmul_rn(p, power_of_two(half)), power_of_two(n - half));
    }
    static __device__ __forceinline__ float divide(float a, float b) { return __fdiv_rn(a, b); }
    // After Cephes' tanhf: a polynomial near 0, where the quotient would cancel.
    static __device__ __forceinline__ float tanh(float x) {
        if (fabsf(x) < 0.625f) {
            const float z = __fmul_rn(x, x);
            float t = -5.70498872745e-3f;
            t = __fmaf_rn(t, z, 2.06390887954e-2f);
            t = __fmaf_rn(t, z, -5.37397155531e-2f);
            t = __fmaf_rn(t, z, 1.33314422036e-1f);
            t = __fmaf_rn(t, z, -3.33332819422e-1f);
            return __fmaf_rn(__fmul_rn(x, z), t, x);
        }
        const float e = exp(__fmul_rn(2.0f, fabsf(x)));
        return copysignf(__fsub_rn(1.0f, __fdiv_rn(2.0f, __fadd_rn(e, 1.0f))), x);
    }

  private:
    // For n in [-126, 127].
    static __device__ __forceinline__ float power_of_two(int n) { return __int_as_float((n + 127) << 23); }
};

// Applies one activation to W numbers. The kind is the same for the whole grid, so it is asked for once and the
// loops inside have no branch.
template <class Way = Fast, int W>
__device__ __forceinline__ void activate(const ActivationParams& f, float (&x)[W]) {
    switch (f.kind) {
        case ACTIVATION_CLIP:
#pragma unroll
            for (int i = 0; i < W; ++i) x[i] = Way::at_least(x[i], f.a);
            if (f.b == __int_as_float(0x7f800000)) break;  // Relu
#pragma unroll
            for (int i = 0; i < W; ++i) x[i] = Way::at_most(x[i], f.b);
            break;
        case ACTIVATION_LEAKY_RELU:
#pragma unroll
            for (int i = 0; i < W; ++i) x[i] = x[i] >= 0.0f ? x[i] : __fmul_rn(f.a, x[i]);
            break;
        case ACTIVATION_HARD_SIGMOID:
#pragma unroll
            for (int i = 0; i < W; ++i) x[i] = clamp(__fmaf_rn(f.a, x[i], f.b), 0.0f, 1.0f);
            break;
        case ACTIVATION_HARD_SWISH:
#pragma unroll
            for (int i = 0; i < W; ++i) {
                x[i] = __fmul_rn(x[i], clamp(__fmaf_rn(x[i], 1.0f / 6.0f, 0.5f), 0.0f, 1.0f));
            }
            break;
        case ACTIVATION_SIGMOID:
        case ACTIVATION_SILU:
#pragma unroll
            for (int i = 0; i < W; ++i) {
                const float numerator = f.kind == ACTIVATION_SILU ? x[i] : 1.0f;
                x[i] = Way::divide(numerator, __fadd_rn(1.0f, Way::exp(-x[i])));
            }
            break;
        case ACTIVATION_TANH:
#pragma unroll
            for (int i = 0; i < W; ++i) x[i] = Way::tanh(x[i]);
            break;
        default:
            break;
    }
}

template <class Way = Fast>
__device__ __forceinline__ float activate(const ActivationParams& f, float x) {
    float one[1] = {x};
    activate<Way>(f, one);
    return one[0];
}
