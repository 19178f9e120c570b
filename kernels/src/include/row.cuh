// Eight neighbouring elements of a row, whatever a matrix is stored as. What that is becomes known at run time only,
// the same for the whole grid, so that one compiled kernel writes any output and adds any residual.
#pragma once
#include "include/ptx.cuh"

// Element types; the numbers are those of `element_type` in epilogue.rs. 4 >> type is the size in bytes.
enum ElementType : int {
    ELEMENT_F32 = 0,
    ELEMENT_F16 = 1,
    ELEMENT_S8 = 2,
};

// Eight halves of a 16-byte vector, widened.
__device__ __forceinline__ void unpack_f16(uint4 vector, float (&x)[8]) {
    const uint32_t words[4] = {vector.x, vector.y, vector.z, vector.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        f16 low, high;
        low.bits = static_cast<uint16_t>(words[i]);
        high.bits = static_cast<uint16_t>(words[i] >> 16);
        x[2 * i] = to_f32(low);
        x[2 * i + 1] = to_f32(high);
    }
}

// The numbers of a vector: of halves, and of reals.
__device__ __forceinline__ void unpack(uint4 vector, float (&x)[8]) { unpack_f16(vector, x); }
__device__ __forceinline__ void unpack(uint4 vector, float (&x)[4]) {
    x[0] = __uint_as_float(vector.x), x[1] = __uint_as_float(vector.y);
    x[2] = __uint_as_float(vector.z), x[3] = __uint_as_float(vector.w);
}

__device__ __forceinline__ uint4 pack_f16(const float (&x)[8]) {
    return make_uint4(cvt_rn_f16x2_f32(x[0], x[1]), cvt_rn_f16x2_f32(x[2], x[3]), cvt_rn_f16x2_f32(x[4], x[5]),
                      cvt_rn_f16x2_f32(x[6], x[7]));
}

// Four numbers as the integers they stand for under a scale, `inv_scale` its inverse: to nearest even, saturated, 0 for
// NaN; the first into the lowest byte. `ops/exact/requantize.rs` is the definition.
__device__ __forceinline__ uint32_t quantize_4(float x0, float x1, float x2, float x3, float inv_scale) {
    const uint32_t above = cvt_pack_sat_s8_s32(__float2int_rn(__fmul_rn(x3, inv_scale)),
                                               __float2int_rn(__fmul_rn(x2, inv_scale)), 0);
    return cvt_pack_sat_s8_s32(__float2int_rn(__fmul_rn(x1, inv_scale)), __float2int_rn(__fmul_rn(x0, inv_scale)),
                               above);
}

// Four integers of 8 bits. With its sign bit turned, q is q + 128, which 2^23 + 128 + q has as its lowest byte; to take
// 2^23 + 128 away again is exact. A conversion of single bytes takes eight times as long as any of this.
__device__ __forceinline__ void unpack_s8(uint32_t word, float* x) {
    const uint32_t turned = word ^ 0x80808080u;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        x[i] = __fsub_rn(__uint_as_float(prmt_b32(turned, 0x4b000000u, 0x7440u + i)), 8388736.0f);
    }
}

// As they lie in memory: one 16-byte vector of f16, two of f32, 8 bytes of s8.
struct RawRow8 {
    uint4 low, high;
};

// The eight elements at `offset`, where that is a multiple of 16 bytes (of 8 for s8). Where only `lanes` <= 4 of them
// are wanted, the second vector of an f32 matrix is not touched: it may lie behind the last row.
__device__ __forceinline__ RawRow8 load_raw_8(const void* matrix, int type, int64_t offset, int lanes) {
    RawRow8 row = {zero_vector(), zero_vector()};
    const char* const source = static_cast<const char*>(matrix) + offset * (4 >> type);
    if (type == ELEMENT_S8) {
        const uint2 bytes = *reinterpret_cast<const uint2*>(source);
        row.low.x = bytes.x, row.low.y = bytes.y;
    } else {
        row.low = *reinterpret_cast<const uint4*>(source);
        if (type == ELEMENT_F32 && lanes > 4) row.high = *reinterpret_cast<const uint4*>(source + 16);
    }
    return row;
}

// Integers come as they are, not scaled.
__device__ __forceinline__ void unpack_8(const RawRow8& row, int type, float (&x)[8]) {
    if (type == ELEMENT_F16) {
        unpack_f16(row.low, x);
    } else if (type == ELEMENT_S8) {
        unpack_s8(row.low.x, x);
        unpack_s8(row.low.y, x + 4);
    } else {
        const uint32_t words[8] = {row.low.x,  row.low.y,  row.low.z,  row.low.w,
                                   row.high.x, row.high.y, row.high.z, row.high.w};
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = __uint_as_float(words[i]);
    }
}

// Eight numbers of four bytes, of which fours are 16-byte aligned.
__device__ __forceinline__ void load_halves_8(const float* first, const float* second, float (&x)[8]) {
    const float4 low = *reinterpret_cast<const float4*>(first), high = *reinterpret_cast<const float4*>(second);
    x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
    x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
}
__device__ __forceinline__ void load_halves_8(const int* first, const int* second, int (&x)[8]) {
    const int4 low = *reinterpret_cast<const int4*>(first), high = *reinterpret_cast<const int4*>(second);
    x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
    x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
}

// The same, one behind the other.
template <typename T>
__device__ __forceinline__ void load_row_8(const T* row, T (&x)[8]) {
    load_halves_8(row, row + 4, x);
}

__device__ __forceinline__ void store_halves_8(float* first, float* second, const float (&x)[8]) {
    *reinterpret_cast<float4*>(first) = make_float4(x[0], x[1], x[2], x[3]);
    *reinterpret_cast<float4*>(second) = make_float4(x[4], x[5], x[6], x[7]);
}
__device__ __forceinline__ void store_halves_8(int* first, int* second, const int (&x)[8]) {
    *reinterpret_cast<int4*>(first) = make_int4(x[0], x[1], x[2], x[3]);
    *reinterpret_cast<int4*>(second) = make_int4(x[4], x[5], x[6], x[7]);
}

template <typename T>
__device__ __forceinline__ void store_row_8(T* row, const T (&x)[8]) {
    store_halves_8(row, row + 4, x);
}

// Writes `lanes` elements at `offset`, aligned as above: mostly these eight. At the end of a row it may be only the
// first four of them, of f32, or eight more zeros of s8: rows are padded to 4 elements of f32 and to 16 of s8.
// Then the same for the rows after it, `step` elements apart, `count` <= COUNT in all.
template <int COUNT>
__device__ __forceinline__ void store_raw_rows_8(void* matrix, int type, int64_t offset, int64_t step, int count,
                                                 int lanes, float inv_scale, const float (&x)[COUNT][8]) {
    char* target = static_cast<char*>(matrix) + offset * (4 >> type);
    step *= 4 >> type;
    if (type == ELEMENT_F16) {
#pragma unroll
        for (int r = 0; r < COUNT; ++r, target += step) {
            if (r < count) *reinterpret_cast<uint4*>(target) = pack_f16(x[r]);
        }
    } else if (type == ELEMENT_S8) {
#pragma unroll
        for (int r = 0; r < COUNT; ++r, target += step) {
            const uint32_t low = quantize_4(x[r][0], x[r][1], x[r][2], x[r][3], inv_scale);
            const uint32_t high = quantize_4(x[r][4], x[r][5], x[r][6], x[r][7], inv_scale);
            if (r >= count) continue;
            if (lanes > 8) {
                *reinterpret_cast<uint4*>(target) = make_uint4(low, high, 0, 0);
            } else {
                *reinterpret_cast<uint2*>(target) = make_uint2(low, high);
            }
        }
    } else {
#pragma unroll
        for (int r = 0; r < COUNT; ++r, target += step) {
            if (r >= count) continue;
            reinterpret_cast<float4*>(target)[0] = make_float4(x[r][0], x[r][1], x[r][2], x[r][3]);
            if (lanes > 4) reinterpret_cast<float4*>(target)[1] = make_float4(x[r][4], x[r][5], x[r][6], x[r][7]);
        }
    }
}

// The same for one row.
__device__ __forceinline__ void store_raw_8(void* matrix, int type, int64_t offset, int lanes, float inv_scale,
                                            const float (&x)[8]) {
    store_raw_rows_8<1>(matrix, type, offset, 0, 1, lanes, inv_scale, reinterpret_cast<const float(&)[1][8]>(x));
}

// One element.
__device__ __forceinline__ float load_1(const void* matrix, int type, int64_t offset) {
    if (type == ELEMENT_F16) return to_f32(static_cast<const f16*>(matrix)[offset]);
    if (type == ELEMENT_S8) return to_f32(static_cast<const int8_t*>(matrix)[offset]);
    return static_cast<const float*>(matrix)[offset];
}

__device__ __forceinline__ void store_1(void* matrix, int type, int64_t offset, float inv_scale, float x) {
    if (type == ELEMENT_F16) {
        static_cast<f16*>(matrix)[offset] = from_f32<f16>(x);
    } else if (type == ELEMENT_S8) {
        static_cast<int8_t*>(matrix)[offset] = from_f32<int8_t>(__fmul_rn(x, inv_scale));
    } else {
        static_cast<float*>(matrix)[offset] = x;
    }
}
