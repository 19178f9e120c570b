// What wgmma multiplies, one struct for each precision: the types, and the instruction for a tile of 64 x BLOCK_N sums.
//
// Defined on the command line: BLOCK_N.
#pragma once
#include "include/ptx_wgmma.cuh"

// f16 products, f32 sums.
struct Fp16 {
    typedef float Sum;
    static constexpr int WIDTH = 8;  // elements of 16 bytes
    static constexpr bool ROUNDS = false;
    static __device__ __forceinline__ void multiply(float (&d)[BLOCK_N / 2], uint64_t a, uint64_t b, bool accumulate) {
        wgmma_m64k16_f16<BLOCK_N>(d, a, b, accumulate);
    }
};

// s8 products, s32 sums: exact, in whatever order.
struct Int8 {
    typedef int Sum;
    static constexpr int WIDTH = 16;
    static constexpr bool ROUNDS = false;
    static __device__ __forceinline__ void multiply(int (&d)[BLOCK_N / 2], uint64_t a, uint64_t b, bool accumulate) {
        wgmma_m64k32_s8<BLOCK_N>(d, a, b, accumulate);
    }
};

// f32 in memory, f32 sums. wgmma would cut off what TF32 does not hold: weights are rounded when they are packed, and a on
// its way through registers.
struct Tf32 {
    typedef float Sum;
    static constexpr int WIDTH = 4;
    static constexpr bool ROUNDS = true;
    static __device__ __forceinline__ uint32_t round(uint32_t x) { return cvt_rna_tf32_f32(x); }
    static __device__ __forceinline__ void multiply(float (&d)[BLOCK_N / 2], const uint32_t (&a)[4], uint64_t b,
                                                    bool accumulate) {
        wgmma_m64k8_tf32<BLOCK_N>(d, a, b, accumulate);
    }
};
