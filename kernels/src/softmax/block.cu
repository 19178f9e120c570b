// Softmax and its logarithm along an axis of any length, best a contiguous one.
//
//     y = e^(x-m) / s   or   y = x - m - ln s,    m = max x,  s = Σ e^(x-m)
//
// Shapes     lines of `length` elements x_axis apart, any outer strides. Lanes [length, padded) of y are written as
//            zeros. Computed in f32, rounded once.
// Grid       one block of THREADS a line.
// Method     one pass finds m and s together: a running sum is rescaled by e^(m_old - m_new) whenever the running
//            maximum grows. A second pass writes.
// Traffic    x twice (the second time mostly from L2), y once.
// Source     Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018.
//
// Parameters X_TYPE, Y_TYPE  f16 or float
//            THREADS         of a block

#include "include/axis.cuh"
#include "softmax/online.cuh"

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    softmax_block(const X_TYPE* x, Y_TYPE* __restrict__ y, const AxisParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    __shared__ Normalizer shared[THREADS / WARP];
    int64_t from = 0, to = 0;
    line_start(p, blockIdx.x, p.rank, from, to);
    x += from;
    y += to;

    Normalizer own = Normalizer::none();
#pragma unroll 4
    for (uint32_t i = threadIdx.x; i < p.length; i += THREADS) own.take(to_f32(x[i * p.x_axis]));
    const Normalizer all = block_normalizer<THREADS>(own, shared);

    for (uint32_t i = threadIdx.x; i < p.padded; i += THREADS) {
        y[i * p.y_axis] = from_f32<Y_TYPE>(i < p.length ? all.result(to_f32(x[i * p.x_axis]), p.variant) : 0.0f);
    }
}
