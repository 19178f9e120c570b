// The second implementation of every wrapper in ptx.cuh, for the CPU. Fragments travel as register images, 32
// bits each; their layouts stand in runtime/mma.cpp, written from the PTX ISA and from nothing else.
#pragma once
#include "cuda.hpp"

// IEEE binary16 as it lies in memory.
struct f16 {
    uint16_t bits;
};

template <typename T>
__forceinline__ void settle(T&) {}

// ---- Conversions (PTX ISA: "Data Movement and Conversion Instructions: cvt") ---------------------------------

__forceinline__ float cvt_f32_f16(f16 x) { return emulator::f32_from_f16(x.bits); }
__forceinline__ f16 cvt_rn_f16_f32(float x) { return {emulator::f16_from_f32(x)}; }
__forceinline__ uint32_t cvt_rn_f16x2_f32(float low, float high) {
    return emulator::f16_from_f32(low) | static_cast<uint32_t>(emulator::f16_from_f32(high)) << 16;
}
__forceinline__ float max_nan_f32(float x, float y) { return x < y ? y : x; }
__forceinline__ float min_nan_f32(float x, float y) { return x > y ? y : x; }
__forceinline__ uint32_t max_nan_f16x2(uint32_t x, uint32_t y) {
    const auto half = [](uint32_t a, uint32_t b) -> uint32_t {
        const float u = emulator::f32_from_f16(static_cast<uint16_t>(a)), v = emulator::f32_from_f16(static_cast<uint16_t>(b));
        return u != u || v != v ? 0x7fff : (u < v ? b : a) & 0xffff;
    };
    return half(x & 0xffff, y & 0xffff) | half(x >> 16, y >> 16) << 16;
}
__forceinline__ uint32_t cvt_pack_sat_s8_s32(int high, int low, uint32_t above) {
    const auto saturated = [](int x) { return static_cast<uint32_t>(x < -128 ? -128 : x > 127 ? 127 : x) & 0xff; };
    return above << 16 | saturated(high) << 8 | saturated(low);
}
__forceinline__ uint32_t prmt_b32(uint32_t x, uint32_t y, uint32_t selector) { return __byte_perm(x, y, selector); }
#if __CUDA_ARCH__ >= 800
__forceinline__ uint32_t cvt_rna_tf32_f32(uint32_t x) { return emulator::tf32_from_f32(x); }
#endif

// ---- ldmatrix ------------------------------------------------------------------------------------------------

__forceinline__ void ldmatrix_x1(uint32_t& d, const void* row) { emulator::ldmatrix(1, false, &d, row); }
__forceinline__ void ldmatrix_x2(uint32_t (&d)[2], const void* row) { emulator::ldmatrix(2, false, d, row); }
__forceinline__ void ldmatrix_x4(uint32_t (&d)[4], const void* row) { emulator::ldmatrix(4, false, d, row); }
__forceinline__ void ldmatrix_x2_trans(uint32_t (&d)[2], const void* row) { emulator::ldmatrix(2, true, d, row); }
__forceinline__ void ldmatrix_x4_trans(uint32_t (&d)[4], const void* row) { emulator::ldmatrix(4, true, d, row); }

// ---- mma -----------------------------------------------------------------------------------------------------

__forceinline__ void mma_m16n8k8_f16(float (&d)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
    emulator::mma(emulator::Mma::F16_16x8x8, d, a, b);
}
__forceinline__ void mma_m8n8k16_s8(int (&d)[2], uint32_t a, uint32_t b) {
    emulator::mma(emulator::Mma::S8_8x8x16, d, &a, &b);
}
#if __CUDA_ARCH__ >= 800
__forceinline__ void mma_m16n8k16_f16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    emulator::mma(emulator::Mma::F16_16x8x16, d, a, b);
}
__forceinline__ void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    emulator::mma(emulator::Mma::Tf32_16x8x8, d, a, b);
}
__forceinline__ void mma_m16n8k16_s8(int (&d)[4], const uint32_t (&a)[2], const uint32_t (&b)[1]) {
    emulator::mma(emulator::Mma::S8_16x8x16, d, a, b);
}
__forceinline__ void mma_m16n8k32_s8(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    emulator::mma(emulator::Mma::S8_16x8x32, d, a, b);
}

// ---- cp.async ------------------------------------------------------------------------------------------------

__forceinline__ void cp_async_16(void* shared, const void* global, bool valid) {
    emulator::cp_async(shared, global, 16, valid ? 16 : 0);
}
__forceinline__ void cp_async_8(void* shared, const void* global, bool valid) {
    emulator::cp_async(shared, global, 8, valid ? 8 : 0);
}
__forceinline__ void cp_async_4(void* shared, const void* global, bool valid) {
    emulator::cp_async(shared, global, 4, valid ? 4 : 0);
}
__forceinline__ void cp_async_commit_group() { emulator::cp_async_commit(); }
template <int N>
__forceinline__ void cp_async_wait_group() {
    emulator::cp_async_wait(N);
}
#endif

// ---- No instruction, prefetch, griddepcontrol -----------------------------------------------------------------

__forceinline__ uint32_t made_here(uint32_t x) { return x; }
__forceinline__ const void* made_here(const void* x) { return x; }

// It changes nothing that a kernel could see.
__forceinline__ void prefetch_l2(const void*) {}
__forceinline__ void cp_async_bulk_prefetch_l2(const void*, uint32_t) {}

__forceinline__ void griddepcontrol_wait() {
#if __CUDA_ARCH__ >= 900
    emulator::griddepcontrol_wait();
#endif
}
// When the next grid starts is nobody's business here: launches run one after another.
__forceinline__ void griddepcontrol_launch_dependents() {}
