// Device mathematics. The intrinsics with two underscores are less exact on a GPU than here; a test's
// tolerance has to allow for that, and the GPU run of the same test shows whether it does.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

static inline int min(int a, int b) { return a < b ? a : b; }
static inline int max(int a, int b) { return a > b ? a : b; }
static inline unsigned min(unsigned a, unsigned b) { return a < b ? a : b; }
static inline unsigned max(unsigned a, unsigned b) { return a > b ? a : b; }
static inline long long min(long long a, long long b) { return a < b ? a : b; }
static inline long long max(long long a, long long b) { return a > b ? a : b; }
static inline unsigned long long min(unsigned long long a, unsigned long long b) { return a < b ? a : b; }
static inline unsigned long long max(unsigned long long a, unsigned long long b) { return a > b ? a : b; }
static inline long min(long a, long b) { return a < b ? a : b; }
static inline long max(long a, long b) { return a > b ? a : b; }
static inline unsigned long min(unsigned long a, unsigned long b) { return a < b ? a : b; }
static inline unsigned long max(unsigned long a, unsigned long b) { return a > b ? a : b; }
// As in CUDA: of a number and a NaN, the number.
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline double min(double a, double b) { return fmin(a, b); }
static inline double max(double a, double b) { return fmax(a, b); }

// glibc has functions of these names, so they are macros here.
#define __expf(x) expf(x)
#define __exp2f(x) exp2f(x)
#define __exp10f(x) exp10f(x)
#define __logf(x) logf(x)
#define __log2f(x) log2f(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __powf(x, y) powf(x, y)
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
// sin and cos of x·π. The C library may or may not have them.
#define sinpif(x) static_cast<float>(sin(3.14159265358979323846 * static_cast<double>(x)))
#define cospif(x) static_cast<float>(cos(3.14159265358979323846 * static_cast<double>(x)))
static inline float __saturatef(float x) { return x >= 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }

// The build forbids contraction, so these are what their names say.
static inline float __fadd_rn(float a, float b) { return a + b; }
static inline float __fsub_rn(float a, float b) { return a - b; }
static inline float __fmul_rn(float a, float b) { return a * b; }
static inline float __fdiv_rn(float a, float b) { return a / b; }
static inline double __dmul_rn(double a, double b) { return a * b; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }

template <typename To, typename From>
static inline To limpid_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}
static inline int __float_as_int(float x) { return limpid_bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return limpid_bits<unsigned>(x); }
static inline float __int_as_float(int x) { return limpid_bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return limpid_bits<float>(x); }

// Conversions saturate, and NaN becomes 0, as cvt does ("Data Movement and Conversion Instructions: cvt").
template <typename I>
static inline I limpid_to_integer(double rounded, double low, double high) {
    if (rounded != rounded) return 0;
    return rounded <= low ? static_cast<I>(low) : rounded >= high ? static_cast<I>(high) : static_cast<I>(rounded);
}
static inline int limpid_to_int(double x) { return limpid_to_integer<int>(x, -2147483648.0, 2147483647.0); }
static inline unsigned limpid_to_uint(double x) { return limpid_to_integer<unsigned>(x, 0.0, 4294967295.0); }
static inline int __float2int_rn(float x) { return limpid_to_int(nearbyint(static_cast<double>(x))); }
static inline int __float2int_rz(float x) { return limpid_to_int(trunc(static_cast<double>(x))); }
static inline int __float2int_rd(float x) { return limpid_to_int(floor(static_cast<double>(x))); }
static inline int __float2int_ru(float x) { return limpid_to_int(ceil(static_cast<double>(x))); }
static inline unsigned __float2uint_rn(float x) { return limpid_to_uint(nearbyint(static_cast<double>(x))); }
static inline unsigned __float2uint_rz(float x) { return limpid_to_uint(trunc(static_cast<double>(x))); }
static inline float __int2float_rn(int x) { return static_cast<float>(x); }
static inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }

static inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>((uint64_t{a} * b) >> 32); }
static inline int __mulhi(int a, int b) { return static_cast<int>((int64_t{a} * b) >> 32); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline unsigned __brev(unsigned x) {
    unsigned y = 0;
    for (int i = 0; i < 32; ++i) y |= ((x >> i) & 1u) << (31 - i);
    return y;
}
// Four bytes picked from the eight of (y, x), one nibble of the selector each.
static inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
    const uint64_t bytes = (uint64_t{y} << 32) | x;
    unsigned result = 0;
    for (int i = 0; i < 4; ++i) {
        const unsigned nibble = selector >> (4 * i);
        unsigned byte = static_cast<unsigned>(bytes >> (8 * (nibble & 7))) & 0xff;
        if (nibble & 8) byte = byte & 0x80 ? 0xff : 0x00;
        result |= byte << (8 * i);
    }
    return result;
}
// Four 8-bit products added to an accumulator.
static inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 32; i += 8) c += static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i);
    return c;
}
// The larger of each two of four signed bytes.
static inline unsigned __vmaxs4(unsigned a, unsigned b) {
    unsigned result = 0;
    for (int i = 0; i < 32; i += 8) {
        const int8_t x = static_cast<int8_t>(a >> i), y = static_cast<int8_t>(b >> i);
        result |= static_cast<unsigned>(static_cast<uint8_t>(x > y ? x : y)) << i;
    }
    return result;
}
