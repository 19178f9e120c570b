// Two tensors walked together: a source and a target of the same extents, each with strides of its own.
#pragma once

#include "include/index.cuh"
#include "include/vector.cuh"

// Mirrored by `StridedPair` in layout/strided.rs.
struct StridedPair {
    int64_t x_strides[6];  // in elements; the last dim varies fastest
    int64_t y_strides[6];
    int64_t x_offset;
    int64_t y_offset;
    Divisor extents[6];  // the last one counts vectors
    uint32_t rank;
    uint32_t vectors;  // of all rows
    uint32_t lanes;    // elements of the last dim
    uint32_t padded;   // lanes of y to write, zeros from `lanes` on
    uint32_t x_whole;  // nonzero: rows of x lie dense and aligned
    uint32_t y_whole;
    float factor;  // of `converted`
    uint32_t reserved;
};

// Where one thread works.
struct Place {
    int64_t x;    // elements from the base
    int64_t y;
    int first;    // its first element of the last dim
};

// The `n`th vector of `width` elements.
__device__ __forceinline__ Place place_of(const StridedPair& p, uint32_t n, int width) {
    const int last = static_cast<int>(p.rank) - 1;
    Place at;
    at.first = static_cast<int>(take_index(n, p.extents[last])) * width;
    at.x = p.x_offset + at.first * p.x_strides[last];
    at.y = p.y_offset + at.first * p.y_strides[last];
    for (int d = last - 1; d >= 0; --d) {
        const int64_t index = take_index(n, p.extents[d]);
        at.x += index * p.x_strides[d];
        at.y += index * p.y_strides[d];
    }
    return at;
}
