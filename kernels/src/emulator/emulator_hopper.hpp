// The second implementation of every wrapper in ptx_hopper.cuh, for the CPU.
#pragma once
#include "emulator_ptx.hpp"

struct alignas(64) TensorMap {
    uint64_t opaque[16];
};

#define CLUSTER_KERNEL(x, y, z)                                \
    const ::emulator::Index emulator::cluster_extent = {x, y, z}; \
    extern "C" __global__ void
#define DYNAMIC_SHARED_1024(type, name) DYNAMIC_SHARED(type, name)

__forceinline__ uint32_t shared_address(const void* shared) { return emulator::shared_address(shared); }

// ---- mbarrier and fences -------------------------------------------------------------------------------------

__forceinline__ void mbarrier_init(uint64_t* barrier, uint32_t count) { emulator::mbarrier_init(barrier, count); }
__forceinline__ void mbarrier_inval(uint64_t* barrier) { emulator::mbarrier_inval(barrier); }
__forceinline__ void fence_mbarrier_init() { emulator::fence_mbarrier_init(); }
__forceinline__ void mbarrier_arrive(uint64_t* barrier) { emulator::mbarrier_arrive(barrier, 0, false); }
__forceinline__ void mbarrier_arrive_cluster(uint64_t* barrier) { emulator::mbarrier_arrive(barrier, 0, true); }
__forceinline__ void mbarrier_arrive_cluster_read(uint64_t* barrier) { emulator::mbarrier_arrive(barrier, 0, true); }
__forceinline__ void mbarrier_arrive_expect_tx(uint64_t* barrier, uint32_t bytes) {
    emulator::mbarrier_arrive(barrier, bytes, false);
}
__forceinline__ bool mbarrier_try_wait_parity(uint64_t* barrier, uint32_t parity) {
    return emulator::mbarrier_try_wait(barrier, parity);
}
__forceinline__ bool mbarrier_try_wait_parity_cluster(uint64_t* barrier, uint32_t parity) {
    return emulator::mbarrier_try_wait(barrier, parity);
}
__forceinline__ void fence_proxy_async() { emulator::fence_proxy_async(); }

// ---- Bulk and tensor copies ----------------------------------------------------------------------------------

__forceinline__ void cp_async_bulk_load(void* shared, const void* global, uint32_t bytes, uint64_t* barrier) {
    emulator::cp_async_bulk_load(shared, global, bytes, barrier);
}
__forceinline__ void cp_async_bulk_cluster(void* to, const void* from, uint32_t bytes, uint64_t* barrier) {
    emulator::cp_async_bulk_cluster(to, from, bytes, barrier);
}
__forceinline__ void cp_async_bulk_store(void* global, const void* shared, uint32_t bytes) {
    emulator::cp_async_bulk_store(global, shared, bytes);
}
__forceinline__ void cp_async_bulk_commit_group() { emulator::cp_async_bulk_commit(); }
template <int N>
__forceinline__ void cp_async_bulk_wait_group() {
    emulator::cp_async_bulk_wait(N, false);
}
template <int N>
__forceinline__ void cp_async_bulk_wait_group_read() {
    emulator::cp_async_bulk_wait(N, true);
}

__forceinline__ void prefetch_tensormap(const TensorMap* map) { emulator::prefetch_tensormap(map); }
template <int rank>
__forceinline__ void cp_async_bulk_tensor_load(void* shared, const TensorMap* map, const int (&at)[rank], uint64_t* barrier) {
    emulator::tensor_load(rank, shared, map, at, barrier, 0);
}
template <int rank>
__forceinline__ void cp_async_bulk_tensor_load_multicast(void* shared, const TensorMap* map, const int (&at)[rank],
                                                         uint64_t* barrier, uint16_t blocks) {
    emulator::tensor_load(rank, shared, map, at, barrier, blocks);
}
template <int rank>
__forceinline__ void cp_async_bulk_tensor_store(const TensorMap* map, const int (&at)[rank], const void* shared) {
    emulator::tensor_store(rank, map, at, shared);
}
template <int rank, int spatial>
__forceinline__ void cp_async_bulk_tensor_im2col(void* shared, const TensorMap* map, const int (&at)[rank],
                                                 const uint16_t (&offset)[spatial], uint64_t* barrier) {
    static_assert(spatial == rank - 2, "one offset for each dimension between the innermost and the outermost");
    emulator::tensor_load_im2col(rank, shared, map, at, offset, barrier, 0);
}
template <int rank, int spatial>
__forceinline__ void cp_async_bulk_tensor_im2col_multicast(void* shared, const TensorMap* map, const int (&at)[rank],
                                                           const uint16_t (&offset)[spatial], uint64_t* barrier,
                                                           uint16_t blocks) {
    static_assert(spatial == rank - 2, "one offset for each dimension between the innermost and the outermost");
    emulator::tensor_load_im2col(rank, shared, map, at, offset, barrier, blocks);
}

// ---- Clusters ------------------------------------------------------------------------------------------------

__forceinline__ uint32_t cluster_ctarank() { return emulator::cluster_ctarank(); }
__forceinline__ uint32_t cluster_nctarank() { return emulator::cluster_nctarank(); }
__forceinline__ void barrier_cluster_arrive() { emulator::cluster_arrive(); }
__forceinline__ void barrier_cluster_arrive_relaxed() { emulator::cluster_arrive(); }
__forceinline__ void barrier_cluster_wait() { emulator::cluster_wait(); }
template <typename T>
__forceinline__ T* mapa(T* shared, uint32_t rank) {
    return static_cast<T*>(emulator::mapa(shared, rank));
}
__forceinline__ uint32_t ld_shared_cluster(const uint32_t* there) { return *there; }
__forceinline__ void st_async(uint32_t* there, uint32_t value, uint64_t* barrier) {
    emulator::st_async(there, value, barrier);
}
__forceinline__ void st_async(uint4* there, uint4 value, uint64_t* barrier) {
    const uint32_t words[4] = {value.x, value.y, value.z, value.w};
    for (int i = 0; i < 4; ++i) emulator::st_async(reinterpret_cast<uint32_t*>(there) + i, words[i], barrier);
}

// ---- stmatrix, named barriers, elections, registers -----------------------------------------------------------

__forceinline__ void stmatrix_x1(void* row, uint32_t d) { emulator::stmatrix(1, false, &d, row); }
__forceinline__ void stmatrix_x2(void* row, const uint32_t (&d)[2]) { emulator::stmatrix(2, false, d, row); }
__forceinline__ void stmatrix_x4(void* row, const uint32_t (&d)[4]) { emulator::stmatrix(4, false, d, row); }
__forceinline__ void stmatrix_x1_trans(void* row, uint32_t d) { emulator::stmatrix(1, true, &d, row); }
__forceinline__ void stmatrix_x2_trans(void* row, const uint32_t (&d)[2]) { emulator::stmatrix(2, true, d, row); }
__forceinline__ void stmatrix_x4_trans(void* row, const uint32_t (&d)[4]) { emulator::stmatrix(4, true, d, row); }

__forceinline__ void bar_sync(uint32_t id, uint32_t count) { emulator::barrier(id, count, emulator::Reduce::None, 0); }
__forceinline__ void bar_arrive(uint32_t id, uint32_t count) { emulator::barrier_arrive(id, count); }
__forceinline__ bool elect_sync(uint32_t mask) { return emulator::elect(mask); }
template <int N>
__forceinline__ void setmaxnreg_inc() {
    emulator::setmaxnreg(N, true);
}
template <int N>
__forceinline__ void setmaxnreg_dec() {
    emulator::setmaxnreg(N, false);
}
