// Activations that clip, and what they come to where integers of 8 bits are stored.
#pragma once
#include "include/activation.cuh"
#include "include/row.cuh"

// An activation that clips or does nothing.
struct Clip {
    float low, high;
    __device__ __forceinline__ explicit Clip(const ActivationParams& f) {
        low = f.kind == ACTIVATION_CLIP ? f.a : __int_as_float(0xff800000);
        high = f.kind == ACTIVATION_CLIP ? f.b : __int_as_float(0x7f800000);
    }
    static __device__ __forceinline__ bool is(const ActivationParams& f) { return f.kind <= ACTIVATION_CLIP; }
    __device__ __forceinline__ float operator()(float x) const { return clamp(x, low, high); }
    // The sign of a zero may change, which does not matter to what is rounded to f16 or s8.
    __device__ __forceinline__ float fast(float x) const { return Fast::at_most(Fast::at_least(x, low), high); }
};

// From numbers to integers of 8 bits behind an activation that clips. Rounding keeps order: integers may be clipped where
// they are saturated anyway and, at 0, four at a time where they are packed.
struct Saturate {
    float inv_scale;
    uint32_t relu;  // all bits set where integers below 0 become 0
    bool enough;    // no upper bound below 127, no lower one but 0

    __device__ __forceinline__ Saturate(const Clip& clip, float inv_scale_) : inv_scale(inv_scale_) {
        relu = clip.low == 0.0f ? 0xffffffffu : 0;
        const bool low = clip.low == 0.0f || clip.low == __int_as_float(0xff800000);
        enough = low && __fmul_rn(clip.high, inv_scale) > 126.5f;
    }

    // Eight numbers that may not have been clipped.
    __device__ __forceinline__ uint2 operator()(const float (&x)[8]) const {
        const uint2 bytes = rounded(x);
        return make_uint2(bytes.x & ~(signs(bytes.x) & relu), bytes.y & ~(signs(bytes.y) & relu));
    }
    // The same of those that have.
    __device__ __forceinline__ uint2 rounded(const float (&x)[8]) const {
        return make_uint2(quantize_4(x[0], x[1], x[2], x[3], inv_scale), quantize_4(x[4], x[5], x[6], x[7], inv_scale));
    }

  private:
    // All bits of the bytes that are negative.
    static __device__ __forceinline__ uint32_t signs(uint32_t bytes) { return prmt_b32(bytes, 0, 0xba98); }
};
