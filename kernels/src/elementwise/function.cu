// y = activation(f(a, b, c)), element by element, for one function: what `broadcast.cu`'s arithmetic has not.
//
// Shapes     as in elementwise/walk.cuh. Lanes [lanes, padded) after the last dim of y are written as zeros.
// Types      f16 and f32 in any mix: computed in f32, rounded once. Integers and bools: computed as they are. A choice
//            (Where) moves bits, and rounds where the chosen one's type is not y's.
// Grid       one thread per VECTOR neighbouring elements of y; fewer than 2^31 threads.
// Traffic    each operand once. Most functions are a few instructions an element: memory speed decides.
//
// Parameters FUNCTION          a name in elementwise/functions.cuh, or choose. A function is compiled in, because one
//                              kernel for all would need the registers of the greediest
//            COMPUTED          what the function takes: the operands' type if they have one, else float; float for f16
//            INPUTS            1, 2 or 3
//            A_TYPE … Y_TYPE   those of operands that are not there are float
//            VECTOR            elements of a thread: 16 bytes of the narrowest operand, unless that were more than 32
//                              of the widest

#include "elementwise/functions.cuh"
#include "elementwise/walk.cuh"
#include "include/activation.cuh"

struct FunctionParams {
    Walked walk;
    ActivationParams activation;
    Scalars scalars;
};

// A stored number as the function takes it, and back.
template <typename To>
struct As {
    template <typename From>
    static __device__ __forceinline__ To of(From x) {
        return static_cast<To>(x);
    }
};
template <>
struct As<float> {
    template <typename From>
    static __device__ __forceinline__ float of(From x) {
        return to_f32(x);
    }
};

__device__ __forceinline__ void keep(f16& y, float x) { y = from_f32<f16>(x); }
template <typename T>
__device__ __forceinline__ void keep(T& y, T x) {
    y = x;
}

// Only arithmetic of two operands has an activation fused behind it.
__device__ __forceinline__ float activated(const FunctionParams& p, float x) {
    return INPUTS == 2 ? activate(p.activation, x) : x;
}
template <typename T>
__device__ __forceinline__ T activated(const FunctionParams&, T x) {
    return x;
}

extern "C" __global__ void __launch_bounds__(512, 1)
    elementwise_function(const A_TYPE* a, const B_TYPE* b, const C_TYPE* c,
                         Y_TYPE* __restrict__ y, const FunctionParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    if (thread_number() >= p.walk.vectors) return;
    const Spot at = spot_of(p.walk, thread_number());
    const Vector<A_TYPE, VECTOR> raw_a = fetch(p.walk, at, A, a);
#if INPUTS > 1
    const Vector<B_TYPE, VECTOR> raw_b = fetch(p.walk, at, B, b);
#endif
#if INPUTS > 2
    const Vector<C_TYPE, VECTOR> raw_c = fetch(p.walk, at, C, c);
#endif

    Vector<Y_TYPE, VECTOR> out = {};
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        if (i >= at.count) continue;
#if INPUTS == 1
        const auto result = FUNCTION(As<COMPUTED>::of(raw_a.lane[i]), p.scalars);
#elif INPUTS == 2
        const auto result = FUNCTION(As<COMPUTED>::of(raw_a.lane[i]), As<COMPUTED>::of(raw_b.lane[i]), p.scalars);
#else
        const COMPUTED result = raw_a.lane[i] ? As<COMPUTED>::of(raw_b.lane[i]) : As<COMPUTED>::of(raw_c.lane[i]);
#endif
        keep(out.lane[i], activated(p, result));
    }

    if (p.walk.access[Y] == WHOLE && at.written >= VECTOR) {
        *reinterpret_cast<Vector<Y_TYPE, VECTOR>*>(y + at.offset[Y]) = out;
        return;
    }
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) {
        if (i < at.written) y[at.offset[Y] + i * p.walk.strides[Y][p.walk.rank - 1]] = out.lane[i];
    }
}
