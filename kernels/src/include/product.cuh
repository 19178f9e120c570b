// Products of a warp on tensor cores, 16x8 sums over 32 bytes along K: 32 numbers of s8, 16 of f16, 8 of tf32.
//
// Whatever the type, lane (g = lane/4, t = lane%4) holds of K the bytes 4t to 4t+3 of each half of the 32:
//
//      a[0] = (row g,   first half)   a[2] = (row g,   second half)        b[0] = (column g, first half)
//      a[1] = (row g+8, first half)   a[3] = (row g+8, second half)        b[1] = (column g, second half)
//
// and of the sums those of rows g (d[0], d[1]) and g+8 (d[2], d[3]) in columns 2t, 2t+1.
#pragma once
#include "include/ptx.cuh"

// f16 products, f32 sums.
struct Fp16 {
    typedef f16 Element;
    typedef float Sum;
    static constexpr int WIDTH = 8;

    static __device__ __forceinline__ uint32_t operand(uint32_t x) { return x; }
    static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
        mma_m16n8k16_f16(d, a, b);
#else
        const uint32_t a0[2] = {a[0], a[1]}, a1[2] = {a[2], a[3]}, b0[1] = {b[0]}, b1[1] = {b[1]};
        mma_m16n8k8_f16(d, a0, b0);
        mma_m16n8k8_f16(d, a1, b1);
#endif
    }
};

#if __CUDA_ARCH__ >= 800
// f32 in memory, rounded to 10 bits of mantissa on the way into the product, f32 sums.
struct Tf32 {
    typedef float Element;
    typedef float Sum;
    static constexpr int WIDTH = 4;

    static __device__ __forceinline__ uint32_t operand(uint32_t x) { return cvt_rna_tf32_f32(x); }
    static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
        mma_m16n8k8_tf32(d, a, b);
    }
};
#endif

// s8 products, s32 sums: exact, in whatever order. Without sm_80's instruction, four of 8x8 sums over half the depth.
struct Int8 {
    typedef int8_t Element;
    typedef int Sum;
    static constexpr int WIDTH = 16;

    static __device__ __forceinline__ uint32_t operand(uint32_t x) { return x; }
    static __device__ __forceinline__ void multiply(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
        mma_m16n8k32_s8(d, a, b);
#else
        int upper[2] = {d[0], d[1]}, lower[2] = {d[2], d[3]};
        mma_m8n8k16_s8(upper, a[0], b[0]);
        mma_m8n8k16_s8(lower, a[1], b[0]);
        mma_m8n8k16_s8(upper, a[2], b[1]);
        mma_m8n8k16_s8(lower, a[3], b[1]);
        d[0] = upper[0], d[1] = upper[1], d[2] = lower[0], d[3] = lower[1];
#endif
    }
};
