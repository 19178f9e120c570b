// From a running number to indices, without dividing.
//
// Source: Granlund and Montgomery, "Division by Invariant Integers using Multiplication", PLDI 1994, figure 4.1.
#pragma once

#include "include/ptx.cuh"

// A divisor known before the launch; `index.rs` finds multiplier and shift.
struct Divisor {
    uint32_t value;
    uint32_t multiplier;
    uint32_t shift;
};

// n / divisor, for n < 2^31: a multiplication and a shift instead of some twenty instructions.
__device__ __forceinline__ uint32_t divide(uint32_t n, const Divisor& by) {
    return (__umulhi(n, by.multiplier) + n) >> by.shift;
}

// Takes the fastest index off a running number: returns n % divisor and leaves n / divisor.
__device__ __forceinline__ uint32_t take_index(uint32_t& n, const Divisor& by) {
    const uint32_t quotient = divide(n, by);
    const uint32_t remainder = n - quotient * by.value;
    n = quotient;
    return remainder;
}

// This thread's running number in a one-dimensional grid of fewer than 2^31 threads.
__device__ __forceinline__ uint32_t thread_number() { return blockIdx.x * blockDim.x + threadIdx.x; }
