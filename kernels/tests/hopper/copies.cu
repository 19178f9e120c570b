// What Hopper's copies, clusters and barriers leave behind, dumped for the test to look at.
#include "include/ptx_wgmma.cuh"

// Who waits for a copy: thread 0 initialises, all wait for phase 0.
__device__ __forceinline__ void start(uint64_t* full, uint32_t arrivals) {
    if (threadIdx.x == 0) {
        mbarrier_init(full, arrivals);
        fence_mbarrier_init();
    }
    __syncthreads();
}

struct Box {
    int at[5];
    int offsets[3];
    int bytes;
};

#ifdef RANK
// y = one box of x as it lies in shared memory; with STORE, through z instead, by a tensor copy back.
extern "C" __global__ void __launch_bounds__(64)
    box(const __grid_constant__ TensorMap map, const __grid_constant__ TensorMap map_z, uint4* __restrict__ y,
        const __grid_constant__ Box p) {
    DYNAMIC_SHARED_1024(unsigned char, shared);
    uint64_t* const full = reinterpret_cast<uint64_t*>(shared + p.bytes);
    start(full, 1);
    int at[RANK];
    for (int i = 0; i < RANK; ++i) at[i] = p.at[i];
    if (threadIdx.x == 0) {
        mbarrier_arrive_expect_tx(full, p.bytes);
#if IM2COL
        uint16_t offsets[RANK - 2];
        for (int i = 0; i < RANK - 2; ++i) offsets[i] = static_cast<uint16_t>(p.offsets[i]);
        cp_async_bulk_tensor_im2col(shared, &map, at, offsets, full);
#else
        cp_async_bulk_tensor_load(shared, &map, at, full);
#endif
    }
    mbarrier_wait(full, 0);
    for (int i = threadIdx.x; i < p.bytes / 16; i += 64) y[i] = reinterpret_cast<const uint4*>(shared)[i];
#if STORE
    __syncthreads();
    if (threadIdx.x == 0) {
        cp_async_bulk_tensor_store(&map_z, at, shared);
        cp_async_bulk_commit_group();
        cp_async_bulk_wait_group<0>();
    }
#endif
}
#endif

// y = x + 1 through shared memory: bulk load, a store by every thread, proxy fence, bulk store.
extern "C" __global__ void __launch_bounds__(128) bulk(const int* __restrict__ x, int* __restrict__ y) {
    DYNAMIC_SHARED_1024(int, shared);
    uint64_t* const full = reinterpret_cast<uint64_t*>(shared + 128);
    start(full, 1);
    if (threadIdx.x == 0) {
        mbarrier_arrive_expect_tx(full, 512);
        cp_async_bulk_load(shared, x + blockIdx.x * 128, 512, full);
    }
    mbarrier_wait(full, 0);
    shared[threadIdx.x] += 1;
#ifndef NO_PROXY_FENCE
    fence_proxy_async();
#endif
    __syncthreads();
    if (threadIdx.x == 0) {
        cp_async_bulk_store(y + blockIdx.x * 128, shared, 512);
        cp_async_bulk_commit_group();
#ifndef NO_READ_WAIT
        cp_async_bulk_wait_group_read<0>();
#endif
    }
}

#ifdef PAIR
// A cluster of two: each block sends its numbers to the other by st.async, both read the other's by ld.shared::cluster,
// and block 0 copies 64 bytes of x into both. y holds what each thread got, 3 for each.
CLUSTER_KERNEL(2, 1, 1) __launch_bounds__(32)
    pair(const __grid_constant__ TensorMap map, uint32_t* __restrict__ y) {
    DYNAMIC_SHARED_1024(uint32_t, shared);
    uint32_t* const mine = shared + 32;
    uint32_t* const sent = shared + 64;
    uint64_t* const full = reinterpret_cast<uint64_t*>(shared + 96);
    const uint32_t rank = cluster_ctarank(), lane = threadIdx.x;
    start(full, 1);
    mine[lane] = 100 * rank + lane;
    if (lane == 0) mbarrier_arrive_expect_tx(full, 64 + 128);
    barrier_cluster_arrive();
    barrier_cluster_wait();
    if (rank == 0 && lane == 0) {
        const int at[1] = {16};
        cp_async_bulk_tensor_load_multicast(shared, &map, at, full, 3);
    }
    st_async(mapa(sent + lane, rank ^ 1), 1000 * rank + lane, mapa(full, rank ^ 1));
    const uint32_t theirs = ld_shared_cluster(mapa(mine + lane, rank ^ 1));
    mbarrier_wait(full, 0);
    uint32_t* const out = y + (rank * 32 + lane) * 3;
    out[0] = theirs;
    out[1] = sent[lane];
    out[2] = shared[lane % 16];
#ifndef NO_LAST_BARRIER
    barrier_cluster_arrive();
    barrier_cluster_wait();
#endif
}
#else
// Two warps hand a buffer over by named barriers, four times; the elected lane counts.
extern "C" __global__ void __launch_bounds__(64) relay(int* __restrict__ y) {
    __shared__ int slot[32];
    __shared__ int elected;
    const int lane = threadIdx.x % 32;
    if (threadIdx.x == 0) elected = 0;
    __syncthreads();
    if (elect_sync(0xffffffffu)) atomicAdd(&elected, 1);
    for (int i = 0; i < 4; ++i) {
        if (threadIdx.x < 32) {
#ifndef NO_NAMED_BARRIER
            if (i > 0) bar_sync(2, 64);
#endif
            slot[lane] = i * 32 + lane;
            bar_arrive(1, 64);
        } else {
            bar_sync(1, 64);
            y[i * 32 + lane] = slot[31 - lane];
            if (i < 3) bar_arrive(2, 64);
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) y[128] = elected;
}

// y = x, as a grid does it that starts before the one that made x has ended; registers go from one warpgroup to the other.
extern "C" __global__ void __launch_bounds__(256) dependent(const int* __restrict__ x, int* __restrict__ y) {
#ifdef EARLY_INPUT
    const int early = x[threadIdx.x];
    griddepcontrol_wait();
    y[threadIdx.x] = early;
#else
    griddepcontrol_wait();
    y[threadIdx.x] = x[threadIdx.x];
#endif
    griddepcontrol_launch_dependents();
#ifdef HALF_A_WARPGROUP
    if (threadIdx.x < 64) setmaxnreg_dec<40>();
#else
    if (threadIdx.x < 128) setmaxnreg_dec<40>();
#endif
    else setmaxnreg_inc<160>();
}

// The 8x8 matrices of a warp through shared memory and back: y[0..4] are ldmatrix' registers of what stmatrix stored.
extern "C" __global__ void __launch_bounds__(32) matrices(uint32_t* __restrict__ y) {
    __shared__ __align__(16) uint32_t rows[32][4];
    const uint32_t lane = threadIdx.x;
    const uint32_t stored[4] = {lane, lane + 100, lane + 200, lane + 300};
    uint32_t loaded[4];
#if TRANS
    stmatrix_x4_trans(rows[lane], stored);
    __syncwarp();
    ldmatrix_x4_trans(loaded, rows[lane]);
#else
    stmatrix_x4(rows[lane], stored);
    __syncwarp();
    ldmatrix_x4(loaded, rows[lane]);
#endif
    for (int i = 0; i < 4; ++i) y[lane * 5 + i] = loaded[i];
    y[lane * 5 + 4] = rows[lane][0];
}
#endif
