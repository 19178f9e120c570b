// Stands in for CUDA C++: the same .cu files, compiled for the CPU by the system's C++ compiler.
// The words of the language first, then vector types, collectives, atomics and mathematics.
#pragma once
#define LIMPID_EMULATOR 1
#include "runtime.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) __attribute__((aligned(n)))
#define __restrict__ __restrict
// One CTA runs at a time, so a block's static shared memory is a static variable; as a thread-local one it lies
// in a segment of its own, whose bounds the runtime knows, in templates too.
#define __shared__ static thread_local
// Read-only tables.
#define __constant__ static const
// `extern __shared__` in a form that both compilers take.
#define DYNAMIC_SHARED(type, name) type* const name = static_cast<type*>(::emulator::dynamic_shared())

#define threadIdx (::emulator::thread_index())
#define blockIdx (::emulator::block_index())
#define blockDim (::emulator::block_extent())
#define gridDim (::emulator::grid_extent())
constexpr int warpSize = 32;

#include "vector_types.hpp"
#include "math.hpp"
#include "collectives.hpp"
#include "atomics.hpp"

// Turns an array of argument addresses into a call; written once for every signature.
namespace emulator {
template <typename T>
constexpr bool is_pointer = false;
template <typename T>
constexpr bool is_pointer<T*> = true;
template <typename T>
constexpr bool is_pointer<T* __restrict> = true;

template <typename... P>
struct Signature {
    static constexpr unsigned count = sizeof...(P);
    static inline const uint64_t sizes[count + 1] = {sizeof(P)..., 0};
    static inline const bool pointers[count + 1] = {is_pointer<P>..., false};
};
template <typename T>
__attribute__((no_sanitize("thread"))) T& argument(const Argument& from) {
    return *static_cast<T*>(from.bytes);
}
template <auto kernel>
struct Bind;
template <typename... P, void (*kernel)(P...)>
struct Bind<kernel> : Signature<P...> {
    template <int... I>
    struct Indices {};
    template <int n, int... I>
    __attribute__((no_sanitize("thread"))) static void unroll(const Argument* arguments, Indices<I...>) {
        if constexpr (n == 0) kernel(argument<P>(arguments[I])...);
        else unroll<n - 1>(arguments, Indices<n - 1, I...>{});
    }
    // Reads the launch's argument slots, which are no memory of the kernel's.
    __attribute__((no_sanitize("thread"))) static void call(const Argument* arguments) { unroll<sizeof...(P)>(arguments, Indices<>{}); }
};
}  // namespace emulator
#define LIMPID_EMULATOR_ENTRY(kernel)                                                                       \
    const emulator::Entry emulator::entry = {#kernel, emulator::Bind<kernel>::call, emulator::Bind<kernel>::count, \
                                             emulator::Bind<kernel>::sizes, emulator::Bind<kernel>::pointers};
