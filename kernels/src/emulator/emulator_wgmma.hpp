// The second implementation of every wrapper in ptx_wgmma.cuh, for the CPU.
#pragma once
#include "emulator_hopper.hpp"

__forceinline__ void wgmma_fence() { emulator::wgmma_fence(); }
__forceinline__ void wgmma_commit_group() { emulator::wgmma_commit(); }
template <int N>
__forceinline__ void wgmma_wait_group() {
    emulator::wgmma_wait(N);
}
// The compiler cannot move accesses past the calls above.
template <typename T, int N>
__forceinline__ void wgmma_hold(T (&)[N]) {}

template <int N, bool trans_a = false, bool trans_b = false>
__forceinline__ void wgmma_m64k16_f16(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
    emulator::wgmma({emulator::Wgmma::F16, N, trans_a, trans_b}, d, nullptr, a, b, accumulate);
}
template <int N, bool trans_b = false>
__forceinline__ void wgmma_m64k16_f16(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
    emulator::wgmma({emulator::Wgmma::F16, N, false, trans_b}, d, a, 0, b, accumulate);
}
template <int N>
__forceinline__ void wgmma_m64k8_tf32(float (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
    emulator::wgmma({emulator::Wgmma::Tf32, N, false, false}, d, nullptr, a, b, accumulate);
}
template <int N>
__forceinline__ void wgmma_m64k8_tf32(float (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
    emulator::wgmma({emulator::Wgmma::Tf32, N, false, false}, d, a, 0, b, accumulate);
}
template <int N>
__forceinline__ void wgmma_m64k32_s8(int32_t (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate) {
    emulator::wgmma({emulator::Wgmma::S8, N, false, false}, d, nullptr, a, b, accumulate);
}
template <int N>
__forceinline__ void wgmma_m64k32_s8(int32_t (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate) {
    emulator::wgmma({emulator::Wgmma::S8, N, false, false}, d, a, 0, b, accumulate);
}
