// y = one value everywhere, lanes after the last dim zero.
//
// Shapes     up to 6 dims, the last varies fastest. Lanes [lanes, padded) after the last dim are written as zeros.
// Types      any of 1, 2, 4 or 8 bytes: the value comes as its bits, so one type a size is enough.
// Grid       one thread per VECTOR neighbouring elements; fewer than 2^31 threads.
// Traffic    y once.
//
// Parameters VECTOR  elements of a thread: 16 bytes' worth, or 1 for scattered rows
//            Y_TYPE  an unsigned type of the element's size

#include "include/index.cuh"
#include "include/vector.cuh"

struct FillParams {
    int64_t strides[6];
    uint64_t bits;       // the value, in the low bytes
    Divisor extents[6];  // the last one counts vectors
    uint32_t rank;
    uint32_t vectors;
    uint32_t lanes;
    uint32_t padded;
    uint32_t whole;  // nonzero: rows lie dense and aligned
    uint32_t reserved;
};

extern "C" __global__ void __launch_bounds__(512, 1) fill_view(Y_TYPE* __restrict__ y, const FillParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    uint32_t n = thread_number();
    if (n >= p.vectors) return;
    const int last = static_cast<int>(p.rank) - 1;
    const int first = static_cast<int>(take_index(n, p.extents[last])) * VECTOR;
    int64_t offset = first * p.strides[last];
    for (int d = last - 1; d >= 0; --d) offset += take_index(n, p.extents[d]) * p.strides[d];

    Vector<Y_TYPE, VECTOR> v;
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        v.lane[i] = first + i < static_cast<int>(p.lanes) ? static_cast<Y_TYPE>(p.bits) : Y_TYPE(0);
    }
    const int written = static_cast<int>(p.padded) - first;
    if (p.whole && written >= VECTOR) {
        *reinterpret_cast<Vector<Y_TYPE, VECTOR>*>(y + offset) = v;
        return;
    }
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        if (i < written) y[offset + i * p.strides[last]] = v.lane[i];
    }
}
