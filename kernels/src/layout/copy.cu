// y = x with another layout, and another type or scale if asked: slice, pad, concat into a larger tensor, cast,
// quantize, dequantize, requantize.
//
// Shapes     up to 6 dims, the last varies fastest; x and y have the same extents and strides of their own.
//            Lanes [lanes, padded) after the last dim of y are written as zeros.
// Grid       one thread per VECTOR neighbouring elements of y; fewer than 2^31 threads.
// Access     dense, aligned rows move in vectors. Rows of x that are scattered are read lane by lane: when a few
//            planes become a picture's channels (NCHW to NHWC with a small C), neighbouring threads then read
//            neighbouring elements of each plane, and every access is full.
//            A picture of f32 planes becomes one of s8, an INT8 network's input, by one store of 16 bytes a pixel.
// Traffic    x once, y once.
//
// Parameters VECTOR          elements of a thread: 16 bytes' worth, or 8, or 4 of s8
//            X_TYPE, Y_TYPE  element types; a copy without a cast uses any type of the right size
//            SCALED          1: numbers are scaled on the way; see layout/convert.cuh

#include "layout/convert.cuh"
#include "layout/strided.cuh"

extern "C" __global__ void __launch_bounds__(512, 1)
    copy(const X_TYPE* x, Y_TYPE* __restrict__ y, const StridedPair p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    if (thread_number() >= p.vectors) return;
    const Place at = place_of(p, thread_number(), VECTOR);
    const int last = static_cast<int>(p.rank) - 1;
    const int count = static_cast<int>(p.lanes) - at.first;
    const int written = static_cast<int>(p.padded) - at.first;

    Vector<X_TYPE, VECTOR> in = {};
    if (p.x_whole && count >= VECTOR) {
        in = load_vector<VECTOR>(x + at.x);
    } else {
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) {
            if (i < count) in.lane[i] = x[at.x + i * p.x_strides[last]];
        }
    }

    if (p.y_whole && written >= VECTOR) {
        store_converted(y + at.y, in, p.factor);
        return;
    }
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        if (i < written) y[at.y + i * p.y_strides[last]] = converted<Y_TYPE>(in.lane[i], p.factor);
    }
}
