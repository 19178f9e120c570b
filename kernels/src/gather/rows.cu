// Gather: y[o,i,n] = x[o, indices[i], n], rows of `inner` elements picked by an integer tensor.
//
// Shapes     x [outer, axis, inner], indices [count], y [outer, count, inner], all dense, any element type. A
//            negative index counts from the end. ONNX calls an index outside [-axis, axis) an error, which a
//            kernel cannot raise: such a row becomes zeros, and nothing outside x is read.
// Grid       one thread per piece of a row; fewer than 2^31 threads.
// Traffic    y once, and as much of x.
//
// Parameters PIECE  type that a thread moves: as wide as rows divide into, 1 to 16 bytes
//            INDEX  int32_t or int64_t

#include "include/index.cuh"

struct GatherParams {
    int64_t axis;
    Divisor pieces;  // of a row
    Divisor count;   // of indices
    uint32_t threads;
    uint32_t reserved;
};

extern "C" __global__ void __launch_bounds__(512, 1)
    gather(const PIECE* x, const INDEX* indices, PIECE* __restrict__ y, const GatherParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    uint32_t n = thread_number();
    if (n >= p.threads) return;
    const uint32_t piece = take_index(n, p.pieces);
    int64_t row = indices[take_index(n, p.count)];
    if (row < 0) row += p.axis;
    const bool exists = row >= 0 && row < p.axis;
    y[thread_number()] = exists ? x[(n * p.axis + row) * p.pieces.value + piece] : PIECE{};
}
