// Softmax and its logarithm along a contiguous axis whose lines fit into registers.
//
//     y = e^(x-m) / s   or   y = x - m - ln s,    m = max x,  s = Σ e^(x-m)
//
// Shapes     lines of `length` <= LANES·VECTORS·VECTOR neighbouring elements, any outer strides. Lanes
//            [length, padded) of y are written as zeros. Computed in f32, rounded once.
// Grid       LANES threads a line, blockDim.x / LANES lines a block.
// Traffic    x once, y once: the line stays in registers between the three steps.
//
// Parameters LANES           threads of a line, a power of two up to 32
//            VECTORS         vectors of a thread
//            VECTOR          elements of a vector: 16 bytes of x, or 1 for unaligned lines
//            X_TYPE, Y_TYPE  f16 or float
// Source     Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018 (as the baseline there).

#include "include/axis.cuh"
#include "include/reduce.cuh"

// The elements a thread holds, the rest of the last vector being -inf, which adds nothing to the sum.
__device__ __forceinline__ void read_line(float (&v)[VECTORS][VECTOR], const X_TYPE* x, int lane, int length) {
#pragma unroll
    for (int k = 0; k < VECTORS; ++k) {
        const int first = (k * LANES + lane) * VECTOR;
        splat(v[k], minus_infinity());
        if (first + VECTOR <= length) {
            load(v[k], x + first);
        } else {
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) {
                if (first + i < length) v[k][i] = to_f32(x[first + i]);
            }
        }
    }
}

__device__ __forceinline__ void write_line(Y_TYPE* y, float (&v)[VECTORS][VECTOR], int lane, const AxisParams& p) {
#pragma unroll
    for (int k = 0; k < VECTORS; ++k) {
        const int first = (k * LANES + lane) * VECTOR;
        clear_from(v[k], static_cast<int>(p.length) - first);
        if (p.y_whole && first + VECTOR <= p.padded) {
            store(y + first, v[k]);
        } else {
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) {
                if (first + i < p.padded) y[first + i] = from_f32<Y_TYPE>(v[k][i]);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 1)
    softmax_rows(const X_TYPE* x, Y_TYPE* __restrict__ y, const AxisParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    const uint32_t line = thread_number() / LANES;
    const int lane = threadIdx.x % LANES;
    // Threads beyond the last line stay, because the shuffles below want whole warps.
    const int length = line < p.lines ? static_cast<int>(p.length) : 0;
    int64_t from = 0, to = 0;
    line_start(p, line, p.rank, from, to);

    float v[VECTORS][VECTOR];
    read_line(v, x + from, lane, length);

    float most = minus_infinity();
#pragma unroll
    for (int k = 0; k < VECTORS; ++k) {
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) most = larger(most, v[k][i]);
    }
    most = lanes_reduce<LANES>(most, Larger());

    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k < VECTORS; ++k) {
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) {
            const float shifted = v[k][i] - most;
            const float exponential = expf(shifted);
            sum += exponential;
            v[k][i] = p.variant ? shifted : exponential;
        }
    }
    sum = lanes_reduce<LANES>(sum, Add());

    const float logarithm = logf(sum);
#pragma unroll
    for (int k = 0; k < VECTORS; ++k) {
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) v[k][i] = p.variant ? v[k][i] - logarithm : v[k][i] / sum;
    }
    if (line < p.lines) write_line(y + to, v, lane, p);
}
