// A reduction along an axis, best a contiguous one: y[o] = Σ x[o,:], say, or the place of the largest of x[o,:].
//
// Shapes     lines of `length` elements x_axis apart, any outer strides; one element of y a line, followed by zeros
//            up to `padded`. Computed in f32, rounded once; an index is int64_t.
// Grid       LANES threads a line, THREADS / LANES lines a block.
// Traffic    x once, y once.
//
// Parameters FOLD            one of reduce/fold.cuh
//            LANES           threads of a line: a power of two up to 32, or THREADS
//            THREADS         of a block
//            X_TYPE, Y_TYPE  f16 or float; y of ArgMaxFold is int64_t

#include "include/axis.cuh"
#include "reduce/fold.cuh"

constexpr int VECTOR = 16 / sizeof(X_TYPE);

// The part of a line that this thread reads: every LANES-th vector.
__device__ __forceinline__ FOLD fold_part(const X_TYPE* x, int lane, const AxisParams& p) {
    FOLD fold = FOLD::none(p.variant);
    const int length = static_cast<int>(p.length);
#pragma unroll 2
    for (int first = lane * VECTOR; first < length; first += LANES * VECTOR) {
        Vector<X_TYPE, VECTOR> v = {};
        if (p.x_whole && first + VECTOR <= length) {
            v = load_vector<VECTOR>(x + first);
        } else {
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) {
                if (first + i < length) v.lane[i] = x[(first + i) * p.x_axis];
            }
        }
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) {
            if (first + i < length) fold.take(to_f32(v.lane[i]), first + i, p.variant);
        }
    }
    return fold;
}

// Joins what the threads of a line have; the line's first thread gets all of it.
__device__ __forceinline__ FOLD join_lanes(FOLD fold, bool last) {
    constexpr int GROUP = LANES < WARP ? LANES : WARP;
#pragma unroll
    for (int offset = GROUP / 2; offset > 0; offset /= 2) fold.join(fold.other_lane(offset), last);
    if (LANES > WARP) {
        __shared__ FOLD shared[THREADS / WARP];
        if (threadIdx.x % WARP == 0) shared[threadIdx.x / WARP] = fold;
        __syncthreads();
        fold = shared[0];
        for (int warp = 1; warp < THREADS / WARP; ++warp) fold.join(shared[warp], last);
    }
    return fold;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    reduce_rows(const X_TYPE* x, Y_TYPE* __restrict__ y, const AxisParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    const uint32_t line = thread_number() / LANES;
    const int lane = threadIdx.x % LANES;
    int64_t from = 0, to = 0;
    line_start(p, line, p.rank, from, to);

    // Threads beyond the last line stay, because joining wants whole warps.
    FOLD fold = FOLD::none(p.variant);
    if (line < p.lines) fold = fold_part(x + from, lane, p);
    fold = join_lanes(fold, p.variant);
    if (lane != 0 || line >= p.lines) return;
    y[to] = fold.finish<Y_TYPE>(p.length);
    for (uint32_t i = 1; i < p.padded; ++i) y[to + i] = Y_TYPE{};
}
