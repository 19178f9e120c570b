// PTX instructions, one wrapper each, named after the instruction; the only file with `asm` in it.
//
// A kernel is written with these wrappers and CUDA's built-ins, nothing else, so that the same text also
// compiles with an ordinary C++ compiler: with LIMPID_EMULATOR defined, `emulator_ptx.hpp` brings the types and
// a second, plain version of every wrapper, and the kernel runs on the CPU.
//
// Pointers into shared memory are ordinary pointers here; a wrapper converts them where the instruction
// wants a shared-space address. "PTX ISA" below is
// https://docs.nvidia.com/cuda/parallel-thread-execution/, whose section names are quoted.
#pragma once

#ifdef LIMPID_EMULATOR
#include "emulator_ptx.hpp"
#else

// NVRTC comes without the standard headers; these are the C++ types of an LP64 or LLP64 compiler alike.
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;

// IEEE binary16 as it lies in memory. Arithmetic is done in float; two of them fill a register.
struct f16 {
    uint16_t bits;
};

// Dynamic shared memory as an array of `type`, 128-byte aligned so that rows of 32 banks start at bank 0.
#define DYNAMIC_SHARED(type, name)                                     \
    extern __shared__ __align__(128) unsigned char dynamic_shared[];   \
    type* const name = reinterpret_cast<type*>(dynamic_shared)

// The shared-space address that ldmatrix and cp.async take.
__device__ __forceinline__ uint32_t shared_address(const void* shared) {
    return static_cast<uint32_t>(__cvta_generic_to_shared(shared));
}

// Hides from the compiler what a number or pointer was made of: it is kept in registers, and not made again, or added up
// with something else in another order, wherever it is used.
template <typename T>
__device__ __forceinline__ void settle(T& x) {
    if constexpr (sizeof(T) == 8) {
        asm volatile("" : "+l"(x));
    } else {
        asm volatile("" : "+r"(x));
    }
}

// ---- Conversions (PTX ISA: "Data Movement and Conversion Instructions: cvt") ---------------------------------

// Exact.
__device__ __forceinline__ float cvt_f32_f16(f16 x) {
    float y;
    asm("cvt.f32.f16 %0, %1;" : "=f"(y) : "h"(x.bits));
    return y;
}

// To nearest, ties to even; beyond 65504 becomes infinite.
__device__ __forceinline__ f16 cvt_rn_f16_f32(float x) {
    f16 y;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(y.bits) : "f"(x));
    return y;
}

// Two at once: `low` into bits 0-15, `high` into bits 16-31. One instruction from sm_80 on.
__device__ __forceinline__ uint32_t cvt_rn_f16x2_f32(float low, float high) {
#if __CUDA_ARCH__ >= 800
    uint32_t y;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
    return y;
#else
    return cvt_rn_f16_f32(low).bits | static_cast<uint32_t>(cvt_rn_f16_f32(high).bits) << 16;
#endif
}

// The larger and the smaller of two numbers; NaN where x is, which fmaxf and fminf would lose. One instruction from sm_80
// on (PTX ISA: "Floating Point Instructions: max, min"); of two zeros of different sign either may come. y is a number.
__device__ __forceinline__ float max_nan_f32(float x, float y) {
#if __CUDA_ARCH__ >= 800
    float z;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y));
    return z;
#else
    return x < y ? y : x;
#endif
}
__device__ __forceinline__ float min_nan_f32(float x, float y) {
#if __CUDA_ARCH__ >= 800
    float z;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(y));
    return z;
#else
    return x > y ? y : x;
#endif
}

// The same of two halves at once; NaN where either is. One instruction from sm_80 on.
__device__ __forceinline__ uint32_t max_nan_f16x2(uint32_t x, uint32_t y) {
#if __CUDA_ARCH__ >= 800
    uint32_t z;
    asm("max.NaN.f16x2 %0, %1, %2;" : "=r"(z) : "r"(x), "r"(y));
    return z;
#else
    uint32_t z = 0;
    for (int shift = 0; shift < 32; shift += 16) {
        const f16 half_x = {static_cast<uint16_t>(x >> shift)}, half_y = {static_cast<uint16_t>(y >> shift)};
        const float a = cvt_f32_f16(half_x), b = cvt_f32_f16(half_y);
        z |= static_cast<uint32_t>((a > b || a != a ? half_x : half_y).bits) << shift;
    }
    return z;
#endif
}

// Two integers saturated to 8 bits, into the low half: `low` into bits 0-7, `high` into bits 8-15. The low half of
// `above` moves to the high half, so that two in a row pack four.
__device__ __forceinline__ uint32_t cvt_pack_sat_s8_s32(int high, int low, uint32_t above) {
    uint32_t y;
    asm("cvt.pack.sat.s8.s32.b32 %0, %1, %2, %3;" : "=r"(y) : "r"(high), "r"(low), "r"(above));
    return y;
}

// Four bytes, each picked by a nibble of `selector` from x (0-3) or y (4-7), the lowest first; 8 and more: eight times the
// sign of the byte that is picked by 8 less (PTX ISA: "Data Movement and Conversion Instructions: prmt").
__device__ __forceinline__ uint32_t prmt_b32(uint32_t x, uint32_t y, uint32_t selector) {
    uint32_t z;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(z) : "r"(x), "r"(y), "r"(selector));
    return z;
}

#if __CUDA_ARCH__ >= 800
// To TF32, which is binary32 with 10 bits of mantissa: to nearest, ties away from zero. Without it `mma` would
// cut the low 13 bits off, which loses half a bit and biases sums towards zero.
__device__ __forceinline__ uint32_t cvt_rna_tf32_f32(uint32_t x) {
    uint32_t y;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(__uint_as_float(x)));
    return y;
}
#endif

// ---- ldmatrix (PTX ISA: "Warp-level matrix load instruction: ldmatrix") --------------------------------------
//
// Loads 8x8 matrices of 16-bit elements. Each row is 16 contiguous, 16-byte aligned bytes of shared memory; lane
// l points at row l%8 of matrix l/8. Lane l receives the elements (row l/4, columns 2(l%4) and 2(l%4)+1) of each
// matrix, one register a matrix; with `trans` the elements (rows 2(l%4) and 2(l%4)+1, column l/4).
// All 32 lanes take part; x2 looks only at the pointers of lanes 0-15, x1 of lanes 0-7.

__device__ __forceinline__ void ldmatrix_x1(uint32_t& d, const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];"
                 : "=r"(d)
                 : "r"(shared_address(row))
                 : "memory");
}

__device__ __forceinline__ void ldmatrix_x2(uint32_t (&d)[2], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(d[0]), "=r"(d[1])
                 : "r"(shared_address(row))
                 : "memory");
}

__device__ __forceinline__ void ldmatrix_x4(uint32_t (&d)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(shared_address(row))
                 : "memory");
}

__device__ __forceinline__ void ldmatrix_x2_trans(uint32_t (&d)[2], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(d[0]), "=r"(d[1])
                 : "r"(shared_address(row))
                 : "memory");
}

__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t (&d)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(d[0]), "=r"(d[1]), "=r"(d[2]), "=r"(d[3])
                 : "r"(shared_address(row))
                 : "memory");
}

// ---- mma (PTX ISA: "Warp-level matrix instructions: mma") ----------------------------------------------------
//
// d += a·b with a 16xK row-major, b Kx8 column-major, d 16x8 of f32 or s32. With g = lane/4 and t = lane%4, lane holds
//   d[0], d[1]: row g, columns 2t, 2t+1;   d[2], d[3]: row g+8, the same columns.

// a[0]: (g, 2t..2t+1), a[1]: (g+8, 2t..), a[2]: (g, 2t+8..), a[3]: (g+8, 2t+8..);
// b[0]: rows 2t, 2t+1 of column g, b[1]: rows 2t+8, 2t+9. The lower index lies in the lower half. sm_80 on.
__device__ __forceinline__ void mma_m16n8k16_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// a[0]: (g, 2t..2t+1), a[1]: (g+8, 2t..); b: rows 2t, 2t+1 of column g. sm_75 on.
__device__ __forceinline__ void mma_m16n8k8_f16(float (&d)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
    asm(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(b[0]));
}

// One TF32 number a register. a[0]: (g, t), a[1]: (g+8, t), a[2]: (g, t+4), a[3]: (g+8, t+4);
// b[0]: row t of column g, b[1]: row t+4. sm_80 on.
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Four s8 a register, the lowest index in the lowest byte; sums of s32 wrap around.
// a[0]: (g, 4t..4t+3), a[1]: (g+8, 4t..), a[2]: (g, 4t+16..), a[3]: (g+8, 4t+16..);
// b[0]: rows 4t..4t+3 of column g, b[1]: rows 4t+16... sm_80 on.
__device__ __forceinline__ void mma_m16n8k32_s8(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    asm(
        "mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Half the depth: a[0]: (g, 4t..4t+3), a[1]: (g+8, 4t..); b: rows 4t..4t+3 of column g. sm_80 on.
__device__ __forceinline__ void mma_m16n8k16_s8(int (&d)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
    asm(
        "mma.sync.aligned.m16n8k16.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(b[0]));
}

// Eight rows only: a: (g, 4t..4t+3), b: rows 4t..4t+3 of column g, d[0], d[1]: row g, columns 2t, 2t+1. sm_75 on.
__device__ __forceinline__ void mma_m8n8k16_s8(int (&d)[2], uint32_t a, uint32_t b) {
    asm("mma.sync.aligned.m8n8k16.row.col.s32.s8.s8.s32 {%0, %1}, {%2}, {%3}, {%0, %1};"
        : "+r"(d[0]), "+r"(d[1])
        : "r"(a), "r"(b));
}

#if __CUDA_ARCH__ >= 800
// ---- cp.async (PTX ISA: "Data Movement and Conversion Instructions: Non-bulk copy") --------------------------
//
// Copies from global to shared memory behind the thread's back. Where `valid` is false nothing is read and zeros
// are written (src-size 0); the address may then be anything, though a null or wild one is better avoided.

// 16 bytes, both addresses 16-byte aligned; past L1 (.cg), because a tile is read from shared memory afterwards.
__device__ __forceinline__ void cp_async_16(void* shared, const void* global, bool valid) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;"
                 :
                 : "r"(shared_address(shared)), "l"(__cvta_generic_to_global(global)), "r"(valid ? 16 : 0)
                 : "memory");
}

// 8 bytes, both addresses 8-byte aligned.
__device__ __forceinline__ void cp_async_8(void* shared, const void* global, bool valid) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;"
                 :
                 : "r"(shared_address(shared)), "l"(__cvta_generic_to_global(global)), "r"(valid ? 8 : 0)
                 : "memory");
}

// 4 bytes, both addresses 4-byte aligned.
__device__ __forceinline__ void cp_async_4(void* shared, const void* global, bool valid) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
                 :
                 : "r"(shared_address(shared)), "l"(__cvta_generic_to_global(global)), "r"(valid ? 4 : 0)
                 : "memory");
}

// Closes the group of all copies this thread has started since the last commit; an empty group is allowed.
__device__ __forceinline__ void cp_async_commit_group() {
    asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most the N youngest groups of this thread are still under way.
template <int N>
__device__ __forceinline__ void cp_async_wait_group() {
    asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
#endif

// ---- No instruction -------------------------------------------------------------------------------------------

// The same, of which the compiler knows nothing: it is made ahead of this place and not where it is wanted later, and what
// is made of it is not made ahead of this place, where it may turn out not to be wanted.
__device__ __forceinline__ uint32_t made_here(uint32_t x) {
    asm volatile("" : "+r"(x));
    return x;
}
__device__ __forceinline__ const void* made_here(const void* x) {
    asm volatile("" : "+l"(x));
    return x;
}

// ---- prefetch (PTX ISA: "Data Movement and Conversion Instructions: prefetch") -------------------------------

// Asks for the 32 bytes around an address to be brought into the second-level cache; an address that nobody has is
// ignored.
__device__ __forceinline__ void prefetch_l2(const void* global) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(global)));
}

#if __CUDA_ARCH__ >= 900
// The same for a whole stretch, asked for by one thread: address and `bytes` multiples of 16 (PTX ISA:
// "cp.async.bulk.prefetch").
__device__ __forceinline__ void cp_async_bulk_prefetch_l2(const void* global, uint32_t bytes) {
    asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(__cvta_generic_to_global(global)), "r"(bytes));
}
#endif

// ---- griddepcontrol (PTX ISA: "Parallel Synchronization and Communication Instructions: griddepcontrol") ------
//
// Programmatic dependent launch: a grid may start while the one before it is still at work. `Launch::dependent` in
// launch.rs says what a kernel must keep to and why that is enough. Before sm_90 a grid starts when the one before it
// has ended, and there is nothing to do.
//
// Only weights, bias and scales may be declared `__restrict__` among what a kernel reads: of other memory that would
// be untrue, since the grid before may still write it, and the compiler would be free to move loads ahead of the wait.

// Returns when the grids before have ended and what they wrote is there.
__device__ __forceinline__ void griddepcontrol_wait() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The grid behind may start once every block has said so or ended. Never said before the wait, lest a third grid, and a
// fourth, take their places while the first is at work.
__device__ __forceinline__ void griddepcontrol_launch_dependents() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#endif  // LIMPID_EMULATOR

// ---- What both worlds share ----------------------------------------------------------------------------------

// Numbers as float, whatever they are stored as.
__device__ __forceinline__ float to_f32(float x) { return x; }
__device__ __forceinline__ float to_f32(f16 x) { return cvt_f32_f16(x); }
__device__ __forceinline__ float to_f32(int8_t x) { return __int2float_rn(x); }

// A float as it is stored, rounded once: `from_f32<f16>(x)`.
template <typename T>
__device__ __forceinline__ T from_f32(float x);
template <>
__device__ __forceinline__ float from_f32<float>(float x) { return x; }
template <>
__device__ __forceinline__ f16 from_f32<f16>(float x) { return cvt_rn_f16_f32(x); }
// To the nearest integer, ties to even, saturated; NaN becomes 0. The last step of a quantization, not ONNX's Cast.
template <>
__device__ __forceinline__ int8_t from_f32<int8_t>(float x) {
    return static_cast<int8_t>(min(max(__float2int_rn(x), -128), 127));
}

// 16 bytes of zeros, the vector access of every kernel.
__device__ __forceinline__ uint4 zero_vector() { return make_uint4(0, 0, 0, 0); }
