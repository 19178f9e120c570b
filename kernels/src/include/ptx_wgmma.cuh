// wgmma: a warpgroup (4 warps, the first one's number a multiple of 4) multiplies matrices that lie in shared memory.
// PTX ISA: "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Operations". The emulator's versions are in
// emulator_wgmma.hpp, the layouts in emulator/runtime/wgmma.cpp.
//
// d (64xN) = a (64xK) · b (KxN) + d, or + 0 where `accumulate` is false. With g = lane/4, t = lane%4, warp w of the four
// holds in d[4j + i]: row 16w + g (i < 2) or 16w + g + 8, column 8j + 2t + i%2. In registers, a lies as mma's (f16:
// m16n8k16's, tf32: m16n8k8's, s8: m16n8k32's), each warp with its own 16 rows.
//
// Order: wgmma_fence after the registers were last touched; any number of products; wgmma_commit_group;
// wgmma_wait_group. Until then d and a's registers belong to the tensor cores, and so does the shared memory read.
#pragma once
#include "include/ptx_hopper.cuh"

// How rows of a matrix are scattered over the banks; as in a tensor map.
enum class WgmmaSwizzle : uint32_t { None = 0, B128 = 1, B64 = 2, B32 = 3 };

// PTX ISA: "Matrix Descriptor Format". A matrix is made of core matrices, 8 rows of 16 bytes. Of a K-major one:
// without swizzle a core matrix is 128 contiguous bytes, the next along K lies `leading` bytes further, the next along M
// or N `stride` bytes; with a swizzle of S bytes, 8 rows of S bytes lie together (pattern aligned to 8·S), `stride` leads
// to the next 8 rows, and `leading` is not used. Of an M/N-major one (f16 only), read "row" as k: without swizzle
// `stride` leads to the next 8 elements of M/N and `leading` to the next 8 of K; with a swizzle, `leading` leads to the
// next S bytes of M/N and `stride` to the next 8 of K.
__device__ __forceinline__ uint64_t wgmma_descriptor(const void* shared, uint32_t leading, uint32_t stride,
                                                     WgmmaSwizzle swizzle) {
    const uint64_t address = shared_address(shared);
    return (address & 0x3ffff) >> 4 | static_cast<uint64_t>((leading & 0x3ffff) >> 4) << 16 |
           static_cast<uint64_t>((stride & 0x3ffff) >> 4) << 32 | static_cast<uint64_t>(swizzle) << 62;
}

#ifdef LIMPID_EMULATOR
#include "emulator_wgmma.hpp"
#else

__device__ __forceinline__ void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void wgmma_commit_group() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
// Waits until at most the N youngest groups are still under way.
template <int N>
__device__ __forceinline__ void wgmma_wait_group() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}
// Keeps the compiler from reading or writing registers on the wrong side of a fence or wait; no instruction.
template <int N>
__device__ __forceinline__ void wgmma_hold(float (&d)[N]) {
#pragma unroll
    for (int i = 0; i < N; ++i) asm volatile("" : "+f"(d[i])::"memory");
}
template <int N>
__device__ __forceinline__ void wgmma_hold(int32_t (&d)[N]) {
#pragma unroll
    for (int i = 0; i < N; ++i) asm volatile("" : "+r"(d[i])::"memory");
}

// Operands of N/2 accumulators: their numbers in the text, and the registers themselves.

#define LIMPID_D4 "%0, %1, %2, %3"
#define LIMPID_D8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define LIMPID_D16 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define LIMPID_D32 LIMPID_D16 \
    ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define LIMPID_D48 LIMPID_D32 \
    ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define LIMPID_D64 LIMPID_D48 \
    ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define LIMPID_D96 LIMPID_D64 \
    ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79" \
    ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define LIMPID_D128 LIMPID_D96 \
    ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111" \
    ", %112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define LIMPID_R4(c, i) c(d[i]), c(d[i + 1]), c(d[i + 2]), c(d[i + 3])
#define LIMPID_R8(c, i) LIMPID_R4(c, i), LIMPID_R4(c, i + 4)
#define LIMPID_R16(c, i) LIMPID_R8(c, i), LIMPID_R8(c, i + 8)
#define LIMPID_R32(c, i) LIMPID_R16(c, i), LIMPID_R16(c, i + 16)
#define LIMPID_R48(c, i) LIMPID_R32(c, i), LIMPID_R16(c, i + 32)
#define LIMPID_R64(c, i) LIMPID_R32(c, i), LIMPID_R32(c, i + 32)
#define LIMPID_R96(c, i) LIMPID_R64(c, i), LIMPID_R32(c, i + 64)
#define LIMPID_R128(c, i) LIMPID_R64(c, i), LIMPID_R64(c, i + 64)

// Picks the instruction for N: DO(N, N/2, the numbers of the operands behind the accumulators).
#define LIMPID_EACH_N(DO)                                                                     \
    if constexpr (N == 8) DO(8, 4, "%4", "%5", "%6", "%7", "%8", "%9", "%10"); \
    else if constexpr (N == 16) DO(16, 8, "%8", "%9", "%10", "%11", "%12", "%13", "%14"); \
    else if constexpr (N == 32) DO(32, 16, "%16", "%17", "%18", "%19", "%20", "%21", "%22"); \
    else if constexpr (N == 64) DO(64, 32, "%32", "%33", "%34", "%35", "%36", "%37", "%38"); \
    else if constexpr (N == 96) DO(96, 48, "%48", "%49", "%50", "%51", "%52", "%53", "%54"); \
    else if constexpr (N == 128) DO(128, 64, "%64", "%65", "%66", "%67", "%68", "%69", "%70"); \
    else if constexpr (N == 192) DO(192, 96, "%96", "%97", "%98", "%99", "%100", "%101", "%102"); \
    else if constexpr (N == 256) DO(256, 128, "%128", "%129", "%130", "%131", "%132", "%133", "%134"); \
    else static_assert(N == 8, "N is 8, 16, 32, 64, 96, 128, 192 or 256")

// One instruction. `scale` tells whether to accumulate; `rest` are the immediates behind it.
#define LIMPID_WGMMA(name, n, count, c, a, b, scale, rest, ...)                                     \
    asm volatile("{\n.reg .pred accumulate;\nsetp.ne.b32 accumulate, " scale ", 0;\n"               \
                 "wgmma.mma_async.sync.aligned.m64n" #n name " {" LIMPID_D##count "}, " a ", " b      \
                 ", accumulate" rest ";\n}"                                                          \
                 : LIMPID_R##count(c, 0)                                                             \
                 : __VA_ARGS__)
#define LIMPID_F(x) "+f"(x)
#define LIMPID_S(x) "+r"(x)
#define LIMPID_A_REGISTERS "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3])

// f16 times f16 into f32, K = 16. Transposed operands are M- or N-major.
#define LIMPID_F16_SS(n, count, o0, o1, o2, o3, o4, o5, o6)                                          \
    LIMPID_WGMMA("k16.f32.f16.f16", n, count, LIMPID_F, o0, o1, o2, ", 1, 1, " o3 ", " o4, "l"(a), "l"(b), \
                 "r"(static_cast<int>(accumulate)), "n"(static_cast<int>(trans_a)), "n"(static_cast<int>(trans_b)))
template <int N, bool trans_a = false, bool trans_b = false>
__device__ __forceinline__ void wgmma_m64k16_f16(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
    LIMPID_EACH_N(LIMPID_F16_SS);
}
#define LIMPID_F16_RS(n, count, o0, o1, o2, o3, o4, o5, o6)                                                      \
    LIMPID_WGMMA("k16.f32.f16.f16", n, count, LIMPID_F, "{" o0 ", " o1 ", " o2 ", " o3 "}", o4, o5, ", 1, 1, " o6, \
                 LIMPID_A_REGISTERS, "l"(b), "r"(static_cast<int>(accumulate)), "n"(static_cast<int>(trans_b)))
template <int N, bool trans_b = false>
__device__ __forceinline__ void wgmma_m64k16_f16(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
    LIMPID_EACH_N(LIMPID_F16_RS);
}

// tf32 times tf32 into f32, K = 8; the low 13 bits of each number are cut off, so round before.
#define LIMPID_TF32_SS(n, count, o0, o1, o2, o3, o4, o5, o6)                                    \
    LIMPID_WGMMA("k8.f32.tf32.tf32", n, count, LIMPID_F, o0, o1, o2, ", 1, 1", "l"(a), "l"(b), \
                 "r"(static_cast<int>(accumulate)))
template <int N>
__device__ __forceinline__ void wgmma_m64k8_tf32(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
    LIMPID_EACH_N(LIMPID_TF32_SS);
}
#define LIMPID_TF32_RS(n, count, o0, o1, o2, o3, o4, o5, o6)                                                   \
    LIMPID_WGMMA("k8.f32.tf32.tf32", n, count, LIMPID_F, "{" o0 ", " o1 ", " o2 ", " o3 "}", o4, o5, ", 1, 1", \
                 LIMPID_A_REGISTERS, "l"(b), "r"(static_cast<int>(accumulate)))
template <int N>
__device__ __forceinline__ void wgmma_m64k8_tf32(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
    LIMPID_EACH_N(LIMPID_TF32_RS);
}

// s8 times s8 into s32, K = 32, exact modulo 2^32.
#define LIMPID_S8_SS(n, count, o0, o1, o2, o3, o4, o5, o6)                              \
    LIMPID_WGMMA("k32.s32.s8.s8", n, count, LIMPID_S, o0, o1, o2, "", "l"(a), "l"(b), \
                 "r"(static_cast<int>(accumulate)))
template <int N>
__device__ __forceinline__ void wgmma_m64k32_s8(int32_t (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
    LIMPID_EACH_N(LIMPID_S8_SS);
}
#define LIMPID_S8_RS(n, count, o0, o1, o2, o3, o4, o5, o6)                                            \
    LIMPID_WGMMA("k32.s32.s8.s8", n, count, LIMPID_S, "{" o0 ", " o1 ", " o2 ", " o3 "}", o4, o5, "", \
                 LIMPID_A_REGISTERS, "l"(b), "r"(static_cast<int>(accumulate)))
template <int N>
__device__ __forceinline__ void wgmma_m64k32_s8(int32_t (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
    LIMPID_EACH_N(LIMPID_S8_RS);
}

#endif  // LIMPID_EMULATOR
