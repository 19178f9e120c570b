// The left operand of a product of f16 or s8 where memory holds f32: it comes into shared memory as it is, and its
// fragments are converted as they are loaded. So a network's input needs no launch that only converts it.
#pragma once
#include "include/fragment.cuh"

// f32 on its way to be converted.
struct Reals {
    typedef float Element;
    static constexpr int WIDTH = 4;
};

// As `StoredLeft`. Without an ldmatrix that would do it, each lane reads the two (f16) or four (s8) neighbours that make
// a register of its fragment. Lanes that are served together read a vector or two of f16's four rows, or four of s8's
// two: SPREAD lets them meet every bank once.
template <class Math>
struct RealLeft {
    // Of f32, in 16 bytes of the numbers that are multiplied: those of a fragment's row are as many as four lanes read.
    static constexpr int VECTORS = Math::WIDTH / 4;
    typedef TileLayout<BLOCK_M, BLOCK_K / 4, VECTORS> Tile;
    float inv_scale;  // of s8

    template <int COUNT>
    __device__ __forceinline__ void load(uint32_t (&fragments)[COUNT][4], const uint4* shared, int tile, int row,
                                         int step) const {
        const int lane = threadIdx.x % 32;
        const int at = tile + Tile::slot(row + lane / 4, lane % 4 * VECTORS / 4);
#pragma unroll
        for (int m = 0; m < COUNT; ++m) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int vector = (2 * step + i / 2) * VECTORS;
                fragments[m][i] = converted(Math(), Tile::shifted(shared, at, 16 * m + i % 2 * 8, vector), lane);
            }
        }
    }

  private:
    // This lane's of the neighbours from a vector on.
    __device__ __forceinline__ uint32_t converted(Fp16, const uint4* from, int lane) const {
        const float2 x = reinterpret_cast<const float2*>(from)[lane % 2];
        return cvt_rn_f16x2_f32(x.x, x.y);
    }
    __device__ __forceinline__ uint32_t converted(Int8, const uint4* from, int) const {
        const float4 x = *reinterpret_cast<const float4*>(from);
        return quantize_4(x.x, x.y, x.z, x.w, inv_scale);
    }
};
