// Work along one axis: every combination of the other dims' indices is a line of `length` elements.
#pragma once

#include "include/index.cuh"
#include "include/vector.cuh"

// Mirrored by `AxisParams` in axis.rs.
struct AxisParams {
    int64_t x_outer[5];  // strides of the other dims, in elements; the last varies fastest
    int64_t y_outer[5];
    int64_t x_axis;  // stride of the axis
    int64_t y_axis;
    Divisor outer[5];
    uint32_t rank;    // of the other dims
    uint32_t lines;   // their product
    uint32_t length;  // of the axis
    // Elements of y to write where there is padding, zeros from the extent on: along the axis in the row kernels,
    // along the last of the other dims in the column kernels.
    uint32_t padded;
    uint32_t x_whole;  // nonzero: vectors of x are aligned
    uint32_t y_whole;
    uint32_t variant;  // Softmax: 1 for its logarithm. ArgMax: 1 for the last of equals
};

// Where line `n` starts in x and y; `dims` is how many of the other dims are still in n.
__device__ __forceinline__ void line_start(const AxisParams& p, uint32_t n, int dims, int64_t& x, int64_t& y) {
    for (int d = dims - 1; d >= 0; --d) {
        const int64_t index = take_index(n, p.outer[d]);
        x += index * p.x_outer[d];
        y += index * p.y_outer[d];
    }
}
