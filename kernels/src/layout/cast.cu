// y = x between any two element types and any two layouts, one element a thread: what layout/copy.cu and
// layout/transpose.cu have no vectors for.
//
// Shapes     up to 6 dims, the last varies fastest; x and y have the same extents and strides of their own.
//            Lanes [lanes, padded) after the last dim of y are written as zeros.
// Grid       one thread per element of y; fewer than 2^31 threads.
// Traffic    x once, y once.
//
// Parameters Y_TYPE  y's element type; x's is an argument, because this kernel is never the fast one
//            SCALED  1: numbers are scaled on the way, y being f32, f16 or s8; see layout/convert.cuh

#include "layout/convert.cuh"
#include "layout/strided.cuh"

enum DType { F32, F16, I8, U8, I32, I64, BOOL };

template <typename X>
__device__ __forceinline__ Y_TYPE element(const void* x, int64_t index, float factor) {
    return converted<Y_TYPE>(static_cast<const X*>(x)[index], factor);
}

__device__ __forceinline__ Y_TYPE element(const void* x, uint32_t type, int64_t index, float factor) {
    switch (type) {
        case F32: return element<float>(x, index, factor);
        case F16: return element<f16>(x, index, factor);
        case I8: return element<int8_t>(x, index, factor);
        case U8: return element<uint8_t>(x, index, factor);
        case I32: return element<int32_t>(x, index, factor);
        case I64: return element<int64_t>(x, index, factor);
        default: return element<bool>(x, index, factor);
    }
}

extern "C" __global__ void __launch_bounds__(512, 1)
    cast(const void* x, Y_TYPE* __restrict__ y, const StridedPair p, const uint32_t x_type) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    if (thread_number() >= p.vectors) return;
    const Place at = place_of(p, thread_number(), 1);
    if (at.first >= static_cast<int>(p.padded)) return;
    const bool inside = at.first < static_cast<int>(p.lanes);
    y[at.y] = inside ? element(x, x_type, at.x, p.factor) : Y_TYPE{};
}
