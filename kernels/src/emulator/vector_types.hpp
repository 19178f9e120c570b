// CUDA's vector types, with its sizes and alignments, and their make_ functions.
#pragma once

#define LIMPID_VECTOR_1(T, name) \
    struct name##1 { T x; };     \
    static inline name##1 make_##name##1(T x) { return {x}; }
#define LIMPID_VECTOR_2(T, name, alignment)           \
    struct alignas(alignment) name##2 { T x, y; };    \
    static inline name##2 make_##name##2(T x, T y) { return {x, y}; }
#define LIMPID_VECTOR_3(T, name)       \
    struct name##3 { T x, y, z; };     \
    static inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }
#define LIMPID_VECTOR_4(T, name, alignment)                 \
    struct alignas(alignment) name##4 { T x, y, z, w; };    \
    static inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
#define LIMPID_VECTORS(T, name, two, four) \
    LIMPID_VECTOR_1(T, name)               \
    LIMPID_VECTOR_2(T, name, two)          \
    LIMPID_VECTOR_3(T, name)               \
    LIMPID_VECTOR_4(T, name, four)

LIMPID_VECTORS(signed char, char, 2, 4)
LIMPID_VECTORS(unsigned char, uchar, 2, 4)
LIMPID_VECTORS(short, short, 4, 8)
LIMPID_VECTORS(unsigned short, ushort, 4, 8)
LIMPID_VECTORS(int, int, 8, 16)
LIMPID_VECTORS(unsigned, uint, 8, 16)
LIMPID_VECTORS(long long, longlong, 16, 16)
LIMPID_VECTORS(unsigned long long, ulonglong, 16, 16)
LIMPID_VECTORS(float, float, 8, 16)
LIMPID_VECTORS(double, double, 16, 16)

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};
