// One product on tensor cores: d += a·b, 16x8 sums over 32 bytes of K, with whatever instruction an architecture has.
//
//      a[0] = (rows 0-7,  first 16 bytes)   a[2] = (rows 0-7,  second)        b[0] = (columns 0-7, first 16 bytes)
//      a[1] = (rows 8-15, first 16 bytes)   a[3] = (rows 8-15, second)        b[1] = (columns 0-7, second)
//
// Lane (g = lane/4, t = lane%4) holds bytes 4t to 4t+3 of row, or column, g of each; d[0] and d[1] are columns 2t and
// 2t+1 of row g, d[2] and d[3] those of row g+8. A product of half the depth has the first 16 bytes only.
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
    static __device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
        mma_m16n8k8_f16(d, a, b);
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
    static __device__ __forceinline__ void multiply(int (&d)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
#if __CUDA_ARCH__ >= 800
        mma_m16n8k16_s8(d, a, b);
#else
        int upper[2] = {d[0], d[1]}, lower[2] = {d[2], d[3]};
        mma_m8n8k16_s8(upper, a[0], b[0]);
        mma_m8n8k16_s8(lower, a[1], b[0]);
        d[0] = upper[0], d[1] = upper[1], d[2] = lower[0], d[3] = lower[1];
#endif
    }
};
