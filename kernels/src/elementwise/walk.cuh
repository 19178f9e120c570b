// How elementwise kernels walk over their operands: up to three tensors are read, y is written.
//
// Up to 6 dims, the last varies fastest. Every operand has y's extents and its own strides, 0 where it is broadcast.
// A thread has VECTOR neighbouring elements of y.
#pragma once

#include "include/index.cuh"
#include "include/vector.cuh"

// How an operand's rows are moved.
enum Access { LANES, ONE, WHOLE };

enum Operand { A, B, C, Y };

// Mirrored by `Walked` in elementwise/walk.rs.
struct Walked {
    int64_t strides[4][6];  // of a, b, c, y in elements
    Divisor extents[6];     // the last one counts vectors
    uint32_t access[4];
    uint32_t rank;
    uint32_t vectors;  // of all rows
    uint32_t lanes;    // elements of the last dim
    uint32_t padded;   // lanes to write
};

// Where one thread works.
struct Spot {
    int64_t offset[4];  // elements from each operand's base
    int first;          // its first element of the last dim
    int count;          // elements it has there
    int written;        // elements it writes, zeros from `count` on
};

// The `n`th vector.
__device__ __forceinline__ Spot spot_of(const Walked& walk, uint32_t n) {
    const int last = static_cast<int>(walk.rank) - 1;
    Spot at;
    at.first = static_cast<int>(take_index(n, walk.extents[last])) * VECTOR;
    for (int o = A; o <= Y; ++o) at.offset[o] = at.first * walk.strides[o][last];
    for (int d = last - 1; d >= 0; --d) {
        const int64_t index = take_index(n, walk.extents[d]);
        for (int o = A; o <= Y; ++o) at.offset[o] += index * walk.strides[o][d];
    }
    at.count = min(VECTOR, max(0, static_cast<int>(walk.lanes) - at.first));
    at.written = static_cast<int>(walk.padded) - at.first;
    return at;
}

// The elements an operand has for this vector, zeros after them. They stay as they are in memory so that the reads of
// all operands are under way before the first is waited for.
template <typename T>
__device__ __forceinline__ Vector<T, VECTOR> fetch(const Walked& walk, const Spot& at, Operand o, const T* base) {
    const T* const from = base + at.offset[o];
    if (walk.access[o] == WHOLE && at.count == VECTOR) return load_vector<VECTOR>(from);
    Vector<T, VECTOR> v = {};
    if (walk.access[o] == ONE) {
        const T value = *from;
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) v.lane[i] = value;
        return v;
    }
    const int64_t stride = walk.strides[o][walk.rank - 1];
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        if (i < at.count) v.lane[i] = from[i * stride];
    }
    return v;
}
