// What a reduction along an axis keeps while it walks: a sum, a product, the largest number and its place.
//
// All have the same members, so a kernel is written once for any: `none`, `take` one number, `join` what another
// thread has, `other_lane` to fetch that by a shuffle, `finish`.
#pragma once

#include "include/reduce.cuh"
#include "softmax/online.cuh"

// What of each number is summed up.
struct Itself {
    static __device__ __forceinline__ float of(float x) { return x; }
};
struct Magnitude {
    static __device__ __forceinline__ float of(float x) { return fabsf(x); }
};
struct Square {
    static __device__ __forceinline__ float of(float x) { return x * x; }
};

// What becomes of the sum.
struct Kept {
    static __device__ __forceinline__ float of(float sum, int) { return sum; }
};
struct Averaged {
    static __device__ __forceinline__ float of(float sum, int length) { return sum / static_cast<float>(length); }
};
struct Root {
    static __device__ __forceinline__ float of(float sum, int) { return __fsqrt_rn(sum); }
};

template <class Term, class End>
struct Summed {
    float sum;

    static __device__ __forceinline__ Summed none(bool) { return {0.0f}; }
    __device__ __forceinline__ void take(float x, int, bool) { sum += Term::of(x); }
    __device__ __forceinline__ void join(const Summed& other, bool) { sum += other.sum; }
    __device__ __forceinline__ Summed other_lane(int offset) const { return {__shfl_xor_sync(ALL_LANES, sum, offset)}; }
    template <typename Y>
    __device__ __forceinline__ Y finish(int length) const {
        return from_f32<Y>(End::of(sum, length));
    }
};

typedef Summed<Itself, Averaged> MeanFold;
typedef Summed<Itself, Kept> SumFold;
typedef Summed<Magnitude, Kept> L1Fold;
typedef Summed<Square, Kept> SumSquareFold;
typedef Summed<Square, Root> L2Fold;

// One number that `Combine` makes of all; its start changes nothing.
template <class Combine>
struct Folded {
    float value;

    static __device__ __forceinline__ Folded none(bool) { return {Combine::start()}; }
    __device__ __forceinline__ void take(float x, int, bool) { value = Combine::of(value, x); }
    __device__ __forceinline__ void join(const Folded& other, bool) { value = Combine::of(value, other.value); }
    __device__ __forceinline__ Folded other_lane(int offset) const { return {__shfl_xor_sync(ALL_LANES, value, offset)}; }
    template <typename Y>
    __device__ __forceinline__ Y finish(int) const {
        return from_f32<Y>(value);
    }
};

struct Product {
    static __device__ __forceinline__ float start() { return 1.0f; }
    static __device__ __forceinline__ float of(float a, float b) { return a * b; }
};
struct Largest {
    static __device__ __forceinline__ float start() { return minus_infinity(); }
    static __device__ __forceinline__ float of(float a, float b) { return larger(a, b); }
};
struct Smallest {
    static __device__ __forceinline__ float start() { return -minus_infinity(); }
    static __device__ __forceinline__ float of(float a, float b) { return -larger(-a, -b); }
};

typedef Folded<Product> ProdFold;
typedef Folded<Largest> MaxFold;
typedef Folded<Smallest> MinFold;

struct LogSumExpFold {
    Normalizer normalizer;

    static __device__ __forceinline__ LogSumExpFold none(bool) { return {Normalizer::none()}; }
    __device__ __forceinline__ void take(float x, int, bool) { normalizer.take(x); }
    __device__ __forceinline__ void join(const LogSumExpFold& other, bool) { normalizer.join(other.normalizer); }
    __device__ __forceinline__ LogSumExpFold other_lane(int offset) const {
        return {{__shfl_xor_sync(ALL_LANES, normalizer.most, offset),
                 __shfl_xor_sync(ALL_LANES, normalizer.sum, offset)}};
    }
    template <typename Y>
    __device__ __forceinline__ Y finish(int) const {
        // An infinite one is the answer itself.
        const bool infinite = fabsf(normalizer.most) == -minus_infinity();
        return from_f32<Y>(infinite ? normalizer.most : normalizer.most + logf(normalizer.sum));
    }
};

// Of equal numbers the first wins, or, if `last`, the last. NaN counts as larger than any number.
struct ArgMaxFold {
    float value;
    int index;

    static __device__ __forceinline__ ArgMaxFold none(bool last) {
        return {minus_infinity(), last ? -1 : 0x7fffffff};
    }
    __device__ __forceinline__ void take(float x, int at, bool last) {
        const bool more = x > value || (x != x && value == value);
        const bool equal = x == value || (x != x && value != value);
        if (more || (equal && (last ? at > index : at < index))) {
            value = x;
            index = at;
        }
    }
    __device__ __forceinline__ void join(const ArgMaxFold& other, bool last) { take(other.value, other.index, last); }
    __device__ __forceinline__ ArgMaxFold other_lane(int offset) const {
        return {__shfl_xor_sync(ALL_LANES, value, offset), __shfl_xor_sync(ALL_LANES, index, offset)};
    }
    template <typename Y>
    __device__ __forceinline__ Y finish(int) const {
        return static_cast<Y>(index);
    }
};
