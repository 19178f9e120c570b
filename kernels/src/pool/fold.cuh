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

// A pixel as numbers and as it lies in memory: in words, which the compiler would else take apart.
typedef Vector<X_TYPE, VECTOR> Pixel;
constexpr int WORDS = VECTOR * sizeof(X_TYPE) / 4;
typedef Vector<uint32_t, WORDS> Words;

__device__ __forceinline__ Words load_words(const X_TYPE* from) { return *reinterpret_cast<const Words*>(from); }

// Of each type: the lowest number, as often as a word holds it, and the larger ones of two words' numbers.
__device__ __forceinline__ uint32_t lowest(float) { return 0xff800000u; }
__device__ __forceinline__ uint32_t lowest(f16) { return 0xfc00fc00u; }
__device__ __forceinline__ uint32_t lowest(int8_t) { return 0x80808080u; }
__device__ __forceinline__ uint32_t larger_of(float, uint32_t a, uint32_t b) {
    return __float_as_uint(larger(__uint_as_float(a), __uint_as_float(b)));
}
__device__ __forceinline__ uint32_t larger_of(f16, uint32_t a, uint32_t b) { return max_nan_f16x2(a, b); }
__device__ __forceinline__ uint32_t larger_of(int8_t, uint32_t a, uint32_t b) { return __vmaxs4(a, b); }

// What pixels are folded into: the fold of one, and that of two folds.
template <int IS_AVERAGE>
struct FoldingOf {
    typedef Vector<SumOf<X_TYPE>::Type, VECTOR> Fold, Numbers;

    // Words that change no fold.
    static __device__ __forceinline__ uint32_t absent() { return 0; }
    static __device__ __forceinline__ Fold of(const Words& words) {
        const Pixel& pixel = reinterpret_cast<const Pixel&>(words);
        Fold fold;
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) fold.lane[i] = widest(pixel.lane[i]);
        return fold;
    }
    static __device__ __forceinline__ void join(Fold& fold, const Fold& other) {
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) fold.lane[i] += other.lane[i];
    }
};
template <>
struct FoldingOf<0> {
    typedef Words Fold;
    typedef Pixel Numbers;

    static __device__ __forceinline__ uint32_t absent() { return lowest(X_TYPE()); }
    static __device__ __forceinline__ Fold of(const Words& words) { return words; }
    static __device__ __forceinline__ void join(Fold& fold, const Fold& other) {
#pragma unroll
        for (int i = 0; i < WORDS; ++i) fold.lane[i] = larger_of(X_TYPE(), fold.lane[i], other.lane[i]);
    }
};
typedef FoldingOf<AVERAGE> Folding;
typedef Folding::Fold Fold;

// In the place of a pixel that there is none of.
__device__ __forceinline__ Words absent() {
    Words words;
#pragma unroll
    for (int i = 0; i < WORDS; ++i) words.lane[i] = Folding::absent();
    return words;
}

// y's numbers; `count` is what an average divides by.
template <typename T>
__device__ __forceinline__ void finish(float (&y)[VECTOR], const Vector<T, VECTOR>& fold, float count,
                                       const PoolScales& scales) {
    if constexpr (sizeof(X_TYPE) == 1) {
        const float factor = AVERAGE ? __fdiv_rn(scales.factor, count) : scales.factor;
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) y[i] = __fmul_rn(__int2float_rn(fold.lane[i]), factor);
        if (AVERAGE) scale_by(y, scales.inverse_y);
    } else {
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) y[i] = AVERAGE ? widest(fold.lane[i]) / count : widest(fold.lane[i]);
    }
}

// Stores what a fold comes to: `channels` lanes of it, zeros in those behind.
__device__ __forceinline__ void store_fold(Y_TYPE* y, const Fold& fold, float count, int channels,
                                           const PoolScales& scales) {
    // The largest stays as it is where y has the same type and scale.
    if (!AVERAGE && sizeof(X_TYPE) == sizeof(Y_TYPE) && channels >= VECTOR &&
        (sizeof(X_TYPE) > 1 || scales.factor == 1.0f)) {
        *reinterpret_cast<Fold*>(y) = fold;
        return;
    }
    float result[VECTOR];
    finish(result, reinterpret_cast<const Folding::Numbers&>(fold), count, scales);
    clear_from(result, channels);
    store(y, result);
}
