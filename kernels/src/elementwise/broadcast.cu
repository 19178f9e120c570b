// y = activation(op(a, b, c)), element by element, computed in f32 and rounded once.
//
// Shapes     up to 6 dims, the last varies fastest. Every operand has y's extents and its own strides, 0 where it
//            is broadcast: a scalar, a value per channel, or another tensor. Lanes [lanes, padded) after the last
//            dim of y are written as zeros.
// Types      f16, f32 or s8 each, in any mix. s8 stands for scale·q: an operand becomes real by one product, rounded
//            once (what is added to another, b, together with the sum), y by a product with 1 / scale_y that is rounded
//            to the nearest integer, ties to even, and saturated. Where an operand is s8, every step is one rounding
//            and the activation `Exact`, so that the bits are those of `limpid_graph::ops::exact`.
// Grid       one thread per VECTOR neighbouring elements of y; fewer than 2^31 threads.
// Access     an operand whose rows lie dense and aligned moves in vectors of 16 bytes; one that is constant along
//            the last dim is read once; any other is read lane by lane.
// Traffic    each operand once. One operation (and an activation) an element: memory speed decides.
//
// Parameters VECTOR            elements of a thread: 16 bytes of the narrowest operand, unless that were more than 32
//                              of the widest; 1 for scattered rows
//            INPUTS            1, 2 or 3
//            A_TYPE … Y_TYPE   f16, float or int8_t; those of operands that are not there are float

#include "include/activation.cuh"
#include "include/index.cuh"
#include "include/vector.cuh"

enum Op { IDENTITY, ADD, SUB, MUL, DIV, MUL_ADD };

// How an operand's rows are moved.
enum Access { LANES, ONE, WHOLE };

enum Operand { A, B, C, Y };

struct ElementwiseParams {
    int64_t strides[4][6];  // of a, b, c, y in elements
    Divisor extents[6];     // the last one counts vectors
    uint32_t access[4];
    uint32_t rank;
    uint32_t vectors;  // of all rows
    uint32_t lanes;    // elements of the last dim
    uint32_t padded;   // lanes to write
    uint32_t op;
    ActivationParams activation;
    float scales[3];  // of a, b, c; 1 for reals
    float inverse_y;  // 1 / scale of y
};

constexpr bool INTEGERS = sizeof(A_TYPE) == 1 || sizeof(B_TYPE) == 1 || sizeof(C_TYPE) == 1 || sizeof(Y_TYPE) == 1;

template <bool EXACT>
struct WayOf {
    typedef Fast Type;
};
template <>
struct WayOf<true> {
    typedef Exact Type;
};

// The `count` elements an operand has for this vector, zeros after them. They stay as they are in memory so that
// the reads of all operands are under way before the first is waited for.
template <typename T>
__device__ __forceinline__ Vector<T, VECTOR> fetch(const T* from, uint32_t access, int64_t stride, int count) {
    if (access == WHOLE && count == VECTOR) return load_vector<VECTOR>(from);
    Vector<T, VECTOR> v = {};
    if (access == ONE) {
        const T value = *from;
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) v.lane[i] = value;
        return v;
    }
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        if (i < count) v.lane[i] = from[i * stride];
    }
    return v;
}

// What a stored number stands for.
__device__ __forceinline__ float real(int8_t q, float scale) { return __fmul_rn(to_f32(q), scale); }
__device__ __forceinline__ float real(f16 x, float) { return to_f32(x); }
__device__ __forceinline__ float real(float x, float) { return x; }

__device__ __forceinline__ float apply(const ElementwiseParams& p, A_TYPE raw_a, B_TYPE raw_b, C_TYPE raw_c) {
    const float a = real(raw_a, p.scales[A]);
    switch (p.op) {
        case ADD: return __fmaf_rn(to_f32(raw_b), p.scales[B], a);
        case SUB: return __fsub_rn(a, real(raw_b, p.scales[B]));
        case MUL: return __fmul_rn(a, real(raw_b, p.scales[B]));
        case DIV: return __fdiv_rn(a, real(raw_b, p.scales[B]));
        case MUL_ADD: return __fmaf_rn(a, real(raw_b, p.scales[B]), real(raw_c, p.scales[C]));
        default: return a;
    }
}

extern "C" __global__ void __launch_bounds__(512, 1)
    elementwise(const A_TYPE* __restrict__ a, const B_TYPE* __restrict__ b, const C_TYPE* __restrict__ c,
                Y_TYPE* __restrict__ y, const ElementwiseParams p) {
    uint32_t n = thread_number();
    if (n >= p.vectors) return;

    const int last = static_cast<int>(p.rank) - 1;
    const int first = static_cast<int>(take_index(n, p.extents[last])) * VECTOR;
    int64_t offset[4];
    for (int o = A; o <= Y; ++o) offset[o] = first * p.strides[o][last];
    for (int d = last - 1; d >= 0; --d) {
        const int64_t index = take_index(n, p.extents[d]);
        for (int o = A; o <= Y; ++o) offset[o] += index * p.strides[o][d];
    }

    const int count = min(VECTOR, max(0, static_cast<int>(p.lanes) - first));
    Vector<A_TYPE, VECTOR> raw_a = fetch(a + offset[A], p.access[A], p.strides[A][last], count);
    Vector<B_TYPE, VECTOR> raw_b = {};
    Vector<C_TYPE, VECTOR> raw_c = {};
    if (INPUTS > 1) raw_b = fetch(b + offset[B], p.access[B], p.strides[B][last], count);
    if (INPUTS > 2) raw_c = fetch(c + offset[C], p.access[C], p.strides[C][last], count);

    float result[VECTOR];
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        result[i] = apply(p, raw_a.lane[i], raw_b.lane[i], raw_c.lane[i]);
    }
    activate<WayOf<INTEGERS>::Type>(p.activation, result);
    if (sizeof(Y_TYPE) == 1) scale_by(result, p.inverse_y);
    clear_from(result, count);

    const int written = static_cast<int>(p.padded) - first;
    if (p.access[Y] == WHOLE && written >= VECTOR) {
        store(y + offset[Y], result);
        return;
    }
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        if (i < written) y[offset[Y] + i * p.strides[Y][last]] = from_f32<Y_TYPE>(result[i]);
    }
}
