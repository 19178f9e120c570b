// Barriers, shuffles and votes in CUDA's words.
#pragma once

__forceinline__ void __syncthreads() { emulator::barrier(0, 0, emulator::Reduce::None, 0); }
__forceinline__ int __syncthreads_count(int p) { return emulator::barrier(0, 0, emulator::Reduce::Count, p); }
__forceinline__ int __syncthreads_and(int p) { return emulator::barrier(0, 0, emulator::Reduce::And, p); }
__forceinline__ int __syncthreads_or(int p) { return emulator::barrier(0, 0, emulator::Reduce::Or, p); }
__forceinline__ void __syncwarp(unsigned mask = 0xffffffffu) { emulator::sync_warp(mask); }

// One CTA runs at a time and in program order, so fences order nothing here that is not in order already.
__forceinline__ void __threadfence() {}
__forceinline__ void __threadfence_block() {}
__forceinline__ void __threadfence_system() {}

template <typename T>
__forceinline__ T limpid_shuffle(emulator::Shuffle mode, unsigned mask, T value, unsigned argument, int width) {
    static_assert(sizeof(T) <= 8, "shuffles move at most 8 bytes");
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof value);
    bits = emulator::shuffle(mode, mask, bits, argument, static_cast<uint32_t>(width));
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}
template <typename T>
__forceinline__ T __shfl_sync(unsigned mask, T value, int lane, int width = 32) {
    return limpid_shuffle(emulator::Shuffle::Index, mask, value, static_cast<unsigned>(lane), width);
}
template <typename T>
__forceinline__ T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    return limpid_shuffle(emulator::Shuffle::Up, mask, value, delta, width);
}
template <typename T>
__forceinline__ T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
    return limpid_shuffle(emulator::Shuffle::Down, mask, value, delta, width);
}
template <typename T>
__forceinline__ T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
    return limpid_shuffle(emulator::Shuffle::Xor, mask, value, static_cast<unsigned>(lane_mask), width);
}

__forceinline__ unsigned __ballot_sync(unsigned mask, int p) { return emulator::ballot(mask, p != 0); }
__forceinline__ int __any_sync(unsigned mask, int p) { return emulator::ballot(mask, p != 0) != 0; }
__forceinline__ int __all_sync(unsigned mask, int p) { return emulator::ballot(mask, p != 0) == mask; }
__forceinline__ unsigned __activemask() { return emulator::active_mask(); }
template <typename T>
__forceinline__ unsigned __match_any_sync(unsigned mask, T value) {
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof value);
    return emulator::match_any(mask, bits);
}
__forceinline__ unsigned __reduce_add_sync(unsigned mask, unsigned value) { return emulator::reduce_add(mask, value); }
