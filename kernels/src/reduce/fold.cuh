// What a reduction along an axis keeps while it walks: a sum, or the largest number and its place.
//
// Both have the same members, so a kernel is written once for either: `none`, `take` one number, `join` what
// another thread has, `other_lane` to fetch that by a shuffle, `finish`.
#pragma once

#include "include/reduce.cuh"

struct MeanFold {
    float sum;

    static __device__ __forceinline__ MeanFold none(bool) { return {0.0f}; }
    __device__ __forceinline__ void take(float x, int, bool) { sum += x; }
    __device__ __forceinline__ void join(const MeanFold& other, bool) { sum += other.sum; }
    __device__ __forceinline__ MeanFold other_lane(int offset) const {
        return {__shfl_xor_sync(ALL_LANES, sum, offset)};
    }
    template <typename Y>
    __device__ __forceinline__ Y finish(int length) const {
        return from_f32<Y>(sum / static_cast<float>(length));
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
