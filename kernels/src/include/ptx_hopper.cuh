// PTX instructions that sm_90 brought, one wrapper each: mbarriers, bulk and tensor copies, clusters, register
// reallocation. Those of the tensor cores are in ptx_wgmma.cuh; griddepcontrol, which every kernel executes, is in
// ptx.cuh. The rules of ptx.cuh hold here too; the emulator's versions are in emulator_hopper.hpp.
//
// The asynchronous proxy: bulk copies and wgmma reach shared memory by another way than loads and stores do. What a
// thread stored is theirs to read only behind fence_proxy_async and a barrier (PTX ISA: "Async proxy").
#pragma once
#include "include/ptx.cuh"

#ifdef LIMPID_EMULATOR
#include "emulator_hopper.hpp"
#else

// What cuTensorMapEncodeTiled and cuTensorMapEncodeIm2col make of a launch's `TensorMap`; a parameter of the kernel:
// `const __grid_constant__ TensorMap map`.
struct __align__(64) TensorMap {
    uint64_t opaque[16];
};

// Begins a kernel whose blocks form clusters of these extents, in the place of `extern "C" __global__ void`.
#define CLUSTER_KERNEL(x, y, z) extern "C" __global__ void __cluster_dims__(x, y, z)

// Dynamic shared memory on a multiple of 1024, where the pattern of the 128-byte swizzle begins.
#define DYNAMIC_SHARED_1024(type, name)                                     \
    extern __shared__ __align__(1024) unsigned char dynamic_shared_1024[];  \
    type* const name = reinterpret_cast<type*>(dynamic_shared_1024)

// ---- mbarrier (PTX ISA: "Parallel Synchronization and Communication Instructions: mbarrier") -----------------
//
// A phase ends when `count` arrivals have come and the bytes expected have been copied. Phases have parity 0, 1, 0…

__device__ __forceinline__ void mbarrier_init(uint64_t* barrier, uint32_t count) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count) : "memory");
}

// Ends its use; the memory may serve for something else then.
__device__ __forceinline__ void mbarrier_inval(uint64_t* barrier) {
    asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// Makes mbarriers that this thread initialised known to the asynchronous proxy and to the cluster.
__device__ __forceinline__ void fence_mbarrier_init() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

__device__ __forceinline__ void mbarrier_arrive(uint64_t* barrier) {
    asm volatile("mbarrier.arrive.release.cta.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// Arrives at a barrier of any block of the cluster; the pointer is `mapa`'s.
__device__ __forceinline__ void mbarrier_arrive_cluster(uint64_t* barrier) {
    asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(shared_address(barrier))
                 : "memory");
}

// The same for a thread that has only read, and so has nothing to make known to other blocks: `release.cluster` waits until
// all that the thread wrote is seen by the whole chip (MEMBAR.GPU), which took longer than a step of a product.
__device__ __forceinline__ void mbarrier_arrive_cluster_read(uint64_t* barrier) {
    asm volatile("mbarrier.arrive.release.cta.shared::cluster.b64 _, [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// Arrives, and lets the phase wait for `bytes` more.
__device__ __forceinline__ void mbarrier_arrive_expect_tx(uint64_t* barrier, uint32_t bytes) {
    asm volatile("mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
                 "r"(bytes)
                 : "memory");
}

// Whether the phase of this parity has ended; waits a while for it, but may answer false at any time.
__device__ __forceinline__ bool mbarrier_try_wait_parity(uint64_t* barrier, uint32_t parity) {
    uint32_t done;
    asm volatile(
        "{\n.reg .pred done;\n"
        "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 done, [%1], %2;\n"
        "selp.u32 %0, 1, 0, done;\n}"
        : "=r"(done)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
    return done;
}
// The same, for a phase that other blocks of the cluster arrive at.
__device__ __forceinline__ bool mbarrier_try_wait_parity_cluster(uint64_t* barrier, uint32_t parity) {
    uint32_t done;
    asm volatile(
        "{\n.reg .pred done;\n"
        "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%1], %2;\n"
        "selp.u32 %0, 1, 0, done;\n}"
        : "=r"(done)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
    return done;
}

// ---- Proxy fence (PTX ISA: "Parallel Synchronization and Communication Instructions: membar/fence") ----------

// What this thread has stored to shared memory, or has seen stored, is there for bulk copies and wgmma behind this.
__device__ __forceinline__ void fence_proxy_async() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// ---- cp.async.bulk (PTX ISA: "Data Movement and Conversion Instructions: Bulk copy") -------------------------
//
// One thread copies a whole stretch: addresses and `bytes` multiples of 16. Into shared memory it ends with
// complete_tx(bytes) on an mbarrier, out of it with a bulk group.

__device__ __forceinline__ void cp_async_bulk_load(void* shared, const void* global, uint32_t bytes, uint64_t* barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(shared)),
                 "l"(__cvta_generic_to_global(global)), "r"(bytes), "r"(shared_address(barrier))
                 : "memory");
}

// From this block's shared memory to that of any block of the cluster, whose barrier is told; pointers from `mapa`.
__device__ __forceinline__ void cp_async_bulk_cluster(void* to, const void* from, uint32_t bytes, uint64_t* barrier) {
    asm volatile("cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     shared_address(to)),
                 "r"(shared_address(from)), "r"(bytes), "r"(shared_address(barrier))
                 : "memory");
}

__device__ __forceinline__ void cp_async_bulk_store(void* global, const void* shared, uint32_t bytes) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(__cvta_generic_to_global(global)),
                 "r"(shared_address(shared)), "r"(bytes)
                 : "memory");
}

// Closes the group of all stores this thread has started since the last commit.
__device__ __forceinline__ void cp_async_bulk_commit_group() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }

// Waits until at most the N youngest groups are still under way: written, and for others to see.
template <int N>
__device__ __forceinline__ void cp_async_bulk_wait_group() {
    asm volatile("cp.async.bulk.wait_group %0;" ::"n"(N) : "memory");
}
// Waits until at most the N youngest groups still read shared memory, which may then be written again.
template <int N>
__device__ __forceinline__ void cp_async_bulk_wait_group_read() {
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(N) : "memory");
}

// ---- cp.async.bulk.tensor (PTX ISA: "Data Movement and Conversion Instructions: Tensor copy") -----------------
//
// Copies the box of a tensor map that begins at coordinates `at`, innermost first, one for each dimension. Elements
// outside of the tensor arrive as zeros and count as bytes; stores leave them out. Shared addresses are multiples of
// 128. The multicast forms write to the same place in every block of the cluster whose bit is set in `blocks`, and
// tell the barrier at the same place there.

__device__ __forceinline__ void prefetch_tensormap(const TensorMap* map) {
    asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

#define LIMPID_COORDINATES_1 "r"(at[0])
#define LIMPID_COORDINATES_2 LIMPID_COORDINATES_1, "r"(at[1])
#define LIMPID_COORDINATES_3 LIMPID_COORDINATES_2, "r"(at[2])
#define LIMPID_COORDINATES_4 LIMPID_COORDINATES_3, "r"(at[3])
#define LIMPID_COORDINATES_5 LIMPID_COORDINATES_4, "r"(at[4])

// One function of each kind for a tensor of `rank` dimensions; `slots` are the operands of its coordinates, which come
// first in the load's and the store's lists, and `next`, `after` the numbers that follow.
#define LIMPID_TENSOR_COPY(rank, slots, a, b, c, d)                                                                   \
    __device__ __forceinline__ void cp_async_bulk_tensor_load(void* shared, const TensorMap* map,                    \
                                                              const int (&at)[rank], uint64_t* barrier) {             \
        asm volatile("cp.async.bulk.tensor." #rank                                                                    \
                     "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [" a "], [" b ", {" slots "}], [" c  \
                     "];" ::LIMPID_COORDINATES_##rank,                                                                \
                     "r"(shared_address(shared)), "l"(map), "r"(shared_address(barrier))                              \
                     : "memory");                                                                                     \
    }                                                                                                                 \
    __device__ __forceinline__ void cp_async_bulk_tensor_load_multicast(                                              \
        void* shared, const TensorMap* map, const int (&at)[rank], uint64_t* barrier, uint16_t blocks) {              \
        asm volatile("cp.async.bulk.tensor." #rank                                                                    \
                     "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [" a "], [" b     \
                     ", {" slots "}], [" c "], " d ";" ::LIMPID_COORDINATES_##rank,                                   \
                     "r"(shared_address(shared)), "l"(map), "r"(shared_address(barrier)), "h"(blocks)                 \
                     : "memory");                                                                                     \
    }                                                                                                                 \
    __device__ __forceinline__ void cp_async_bulk_tensor_store(const TensorMap* map, const int (&at)[rank],           \
                                                               const void* shared) {                                  \
        asm volatile("cp.async.bulk.tensor." #rank "d.global.shared::cta.tile.bulk_group [" b ", {" slots "}], [" a   \
                     "];" ::LIMPID_COORDINATES_##rank,                                                                \
                     "r"(shared_address(shared)), "l"(map)                                                            \
                     : "memory");                                                                                     \
    }
LIMPID_TENSOR_COPY(1, "%0", "%1", "%2", "%3", "%4")
LIMPID_TENSOR_COPY(2, "%0, %1", "%2", "%3", "%4", "%5")
LIMPID_TENSOR_COPY(3, "%0, %1, %2", "%3", "%4", "%5", "%6")
LIMPID_TENSOR_COPY(4, "%0, %1, %2, %3", "%4", "%5", "%6", "%7")
LIMPID_TENSOR_COPY(5, "%0, %1, %2, %3, %4", "%5", "%6", "%7", "%8")

// im2col: `at` is the base of the first pixel (channel, w, h, n), `offset` the filter tap (w, h) that is added to every
// pixel's base.
#define LIMPID_OFFSETS_3 "h"(offset[0])
#define LIMPID_OFFSETS_4 LIMPID_OFFSETS_3, "h"(offset[1])
#define LIMPID_OFFSETS_5 LIMPID_OFFSETS_4, "h"(offset[2])
#define LIMPID_IM2COL_COPY(rank, slots, a, b, c, taps, d)                                                             \
    __device__ __forceinline__ void cp_async_bulk_tensor_im2col(void* shared, const TensorMap* map,                  \
                                                                const int (&at)[rank],                                \
                                                                const uint16_t (&offset)[rank - 2], uint64_t* barrier) { \
        asm volatile("cp.async.bulk.tensor." #rank                                                                    \
                     "d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes [" a "], [" b ", {" slots          \
                     "}], [" c "], {" taps "};" ::LIMPID_COORDINATES_##rank,                                          \
                     "r"(shared_address(shared)), "l"(map), "r"(shared_address(barrier)), LIMPID_OFFSETS_##rank       \
                     : "memory");                                                                                     \
    }                                                                                                                 \
    __device__ __forceinline__ void cp_async_bulk_tensor_im2col_multicast(                                            \
        void* shared, const TensorMap* map, const int (&at)[rank], const uint16_t (&offset)[rank - 2],                \
        uint64_t* barrier, uint16_t blocks) {                                                                         \
        asm volatile("cp.async.bulk.tensor." #rank                                                                    \
                     "d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes.multicast::cluster [" a "], [" b   \
                     ", {" slots "}], [" c "], {" taps "}, " d ";" ::LIMPID_COORDINATES_##rank,                       \
                     "r"(shared_address(shared)), "l"(map), "r"(shared_address(barrier)), LIMPID_OFFSETS_##rank,      \
                     "h"(blocks)                                                                                      \
                     : "memory");                                                                                     \
    }
LIMPID_IM2COL_COPY(3, "%0, %1, %2", "%3", "%4", "%5", "%6", "%7")
LIMPID_IM2COL_COPY(4, "%0, %1, %2, %3", "%4", "%5", "%6", "%7, %8", "%9")
LIMPID_IM2COL_COPY(5, "%0, %1, %2, %3, %4", "%5", "%6", "%7", "%8, %9, %10", "%11")

// ---- Clusters (PTX ISA: "Cluster of Cooperative Thread Arrays", "mapa", "barrier.cluster", "st.async") --------

__device__ __forceinline__ uint32_t cluster_ctarank() {
    uint32_t rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}
__device__ __forceinline__ uint32_t cluster_nctarank() {
    uint32_t count;
    asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(count));
    return count;
}

// All threads of all blocks of the cluster arrive; what they did before is seen behind the wait. A block must not end
// while others still reach into its shared memory.
__device__ __forceinline__ void barrier_cluster_arrive() {
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
// The same where nothing but mbarriers was written before, and `fence_mbarrier_init` made those known.
__device__ __forceinline__ void barrier_cluster_arrive_relaxed() {
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
__device__ __forceinline__ void barrier_cluster_wait() { asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory"); }

// The same place in the shared memory of the block with this rank; plain loads and stores take it too.
template <typename T>
__device__ __forceinline__ T* mapa(T* shared, uint32_t rank) {
    uint64_t there;
    asm volatile("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(shared), "r"(rank));
    return reinterpret_cast<T*>(there);
}

__device__ __forceinline__ uint32_t ld_shared_cluster(const uint32_t* there) {
    uint32_t value;
    asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(value) : "r"(shared_address(there)) : "memory");
    return value;
}

// Stores 4 bytes and tells the barrier, which is of the same block as `there`, by complete_tx(4).
__device__ __forceinline__ void st_async(uint32_t* there, uint32_t value, uint64_t* barrier) {
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%0], %1, [%2];" ::"r"(
                     shared_address(there)),
                 "r"(value), "r"(shared_address(barrier))
                 : "memory");
}

// The same of 16 bytes, 16-byte aligned.
__device__ __forceinline__ void st_async(uint4* there, uint4 value, uint64_t* barrier) {
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v4.u32 [%0], {%1, %2, %3, %4}, [%5];" ::"r"(
                     shared_address(there)),
                 "r"(value.x), "r"(value.y), "r"(value.z), "r"(value.w), "r"(shared_address(barrier))
                 : "memory");
}

// ---- stmatrix (PTX ISA: "Warp-level matrix store instruction: stmatrix") -------------------------------------
//
// The way back of ldmatrix: lane l points at row l%8 of matrix l/8 and holds elements of row l/4.

__device__ __forceinline__ void stmatrix_x1(void* row, uint32_t d) {
    asm volatile("stmatrix.sync.aligned.m8n8.x1.shared.b16 [%0], {%1};" ::"r"(shared_address(row)), "r"(d) : "memory");
}
__device__ __forceinline__ void stmatrix_x2(void* row, const uint32_t (&d)[2]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x2.shared.b16 [%0], {%1, %2};" ::"r"(shared_address(row)), "r"(d[0]), "r"(d[1])
                 : "memory");
}
__device__ __forceinline__ void stmatrix_x4(void* row, const uint32_t (&d)[4]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address(row)), "r"(d[0]),
                 "r"(d[1]), "r"(d[2]), "r"(d[3])
                 : "memory");
}
__device__ __forceinline__ void stmatrix_x1_trans(void* row, uint32_t d) {
    asm volatile("stmatrix.sync.aligned.m8n8.x1.trans.shared.b16 [%0], {%1};" ::"r"(shared_address(row)), "r"(d)
                 : "memory");
}
__device__ __forceinline__ void stmatrix_x2_trans(void* row, const uint32_t (&d)[2]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x2.trans.shared.b16 [%0], {%1, %2};" ::"r"(shared_address(row)), "r"(d[0]),
                 "r"(d[1])
                 : "memory");
}
__device__ __forceinline__ void stmatrix_x4_trans(void* row, const uint32_t (&d)[4]) {
    asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address(row)),
                 "r"(d[0]), "r"(d[1]), "r"(d[2]), "r"(d[3])
                 : "memory");
}

// ---- Named barriers, elections, registers --------------------------------------------------------------------

// Barrier `id` (1 to 15; 0 is __syncthreads') for `count` threads, whole warps: who syncs waits, who arrives does not.
__device__ __forceinline__ void bar_sync(uint32_t id, uint32_t count) {
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
}
__device__ __forceinline__ void bar_arrive(uint32_t id, uint32_t count) {
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(count) : "memory");
}

// True in exactly one lane of the mask, whichever (PTX ISA: "elect.sync").
__device__ __forceinline__ bool elect_sync(uint32_t mask) {
    uint32_t elected;
    asm volatile("{\n.reg .pred chosen;\nelect.sync _|chosen, %1;\nselp.u32 %0, 1, 0, chosen;\n}"
                 : "=r"(elected)
                 : "r"(mask));
    return elected;
}

// Registers a thread of this warpgroup has from here on: a multiple of 8 from 24 to 256 (PTX ISA: "setmaxnreg").
template <int N>
__device__ __forceinline__ void setmaxnreg_inc() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(N));
}
template <int N>
__device__ __forceinline__ void setmaxnreg_dec() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(N));
}

#endif  // LIMPID_EMULATOR

// Waits until the phase of this parity has ended.
__device__ __forceinline__ void mbarrier_wait(uint64_t* barrier, uint32_t parity) {
    while (!mbarrier_try_wait_parity(barrier, parity)) {
    }
}
