// y = activation(op(a, b, c)), element by element, computed in f32 and rounded once.
//
// Shapes     as in elementwise/walk.cuh: a scalar, a value per channel, or another tensor. Lanes [lanes, padded)
//            after the last dim of y are written as zeros.
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

#include "elementwise/walk.cuh"
#include "include/activation.cuh"

enum Op { IDENTITY, ADD, SUB, MUL, DIV, MUL_ADD };

struct ElementwiseParams {
    Walked walk;
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
    elementwise(const A_TYPE* a, const B_TYPE* b, const C_TYPE* c,
                Y_TYPE* __restrict__ y, const ElementwiseParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    if (thread_number() >= p.walk.vectors) return;
    const Spot at = spot_of(p.walk, thread_number());
    const Vector<A_TYPE, VECTOR> raw_a = fetch(p.walk, at, A, a);
    Vector<B_TYPE, VECTOR> raw_b = {};
    Vector<C_TYPE, VECTOR> raw_c = {};
    if (INPUTS > 1) raw_b = fetch(p.walk, at, B, b);
    if (INPUTS > 2) raw_c = fetch(p.walk, at, C, c);

    float result[VECTOR];
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        result[i] = apply(p, raw_a.lane[i], raw_b.lane[i], raw_c.lane[i]);
    }
    activate<WayOf<INTEGERS>::Type>(p.activation, result);
    if (sizeof(Y_TYPE) == 1) scale_by(result, p.inverse_y);
    clear_from(result, at.count);

    if (p.walk.access[Y] == WHOLE && at.written >= VECTOR) {
        store(y + at.offset[Y], result);
        return;
    }
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        if (i < at.written) y[at.offset[Y] + i * p.walk.strides[Y][p.walk.rank - 1]] = from_f32<Y_TYPE>(result[i]);
    }
}
