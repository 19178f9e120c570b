// Atomics and cached loads. Fibers switch only at collectives, so a read followed by a write is atomic.
#pragma once

// Memory that the compiler's instrumentation does not see as a plain access.
template <typename T, typename F>
__forceinline__ T limpid_atomic(T* address, F next) {
    emulator::atomic_access(address, sizeof(T));
    T old;
    emulator::peek(&old, address, sizeof(T));
    const T value = next(old);
    emulator::poke(address, &value, sizeof(T));
    return old;
}
template <typename T>
__forceinline__ T atomicAdd(T* p, decltype(T{} + T{}) v) {
    return limpid_atomic(p, [v](T old) { return static_cast<T>(old + v); });
}
template <typename T>
__forceinline__ T atomicSub(T* p, decltype(T{} + T{}) v) {
    return limpid_atomic(p, [v](T old) { return static_cast<T>(old - v); });
}
template <typename T>
__forceinline__ T atomicMax(T* p, decltype(T{} + T{}) v) {
    return limpid_atomic(p, [v](T old) { return old < v ? static_cast<T>(v) : old; });
}
template <typename T>
__forceinline__ T atomicMin(T* p, decltype(T{} + T{}) v) {
    return limpid_atomic(p, [v](T old) { return v < old ? static_cast<T>(v) : old; });
}
template <typename T>
__forceinline__ T atomicExch(T* p, decltype(T{} + T{}) v) {
    return limpid_atomic(p, [v](T) { return static_cast<T>(v); });
}
template <typename T>
__forceinline__ T atomicCAS(T* p, decltype(T{} + T{}) expected, decltype(T{} + T{}) v) {
    return limpid_atomic(p, [=](T old) { return old == static_cast<T>(expected) ? static_cast<T>(v) : old; });
}
template <typename T>
__forceinline__ T atomicOr(T* p, decltype(T{} + T{}) v) {
    return limpid_atomic(p, [v](T old) { return static_cast<T>(old | v); });
}
template <typename T>
__forceinline__ T atomicAnd(T* p, decltype(T{} + T{}) v) {
    return limpid_atomic(p, [v](T old) { return static_cast<T>(old & v); });
}
// Counts up to `limit` and starts again at 0.
__forceinline__ unsigned atomicInc(unsigned* p, unsigned limit) {
    return limpid_atomic(p, [limit](unsigned old) { return old >= limit ? 0u : old + 1u; });
}

template <typename T>
__forceinline__ T __ldg(const T* p) {
    return *p;
}
template <typename T>
__forceinline__ T __ldcs(const T* p) {
    return *p;
}
template <typename T>
__forceinline__ void __stcs(T* p, T value) {
    *p = value;
}
