// Every wrapper of ptx_hopper.cuh and ptx_wgmma.cuh once, for the compilers: what it computes is of no account.
#include "include/ptx_wgmma.cuh"

template <int rank>
__device__ __forceinline__ void tiled(void* shared, const TensorMap& map, uint64_t* barrier) {
    int at[rank];
    for (int i = 0; i < rank; ++i) at[i] = threadIdx.x;
    cp_async_bulk_tensor_load(shared, &map, at, barrier);
    cp_async_bulk_tensor_load_multicast(shared, &map, at, barrier, 3);
    cp_async_bulk_tensor_store(&map, at, shared);
}

template <int rank>
__device__ __forceinline__ void im2col(void* shared, const TensorMap& map, uint64_t* barrier) {
    int at[rank];
    uint16_t offset[rank - 2];
    for (int i = 0; i < rank; ++i) at[i] = threadIdx.x;
    for (int i = 0; i < rank - 2; ++i) offset[i] = static_cast<uint16_t>(threadIdx.x);
    cp_async_bulk_tensor_im2col(shared, &map, at, offset, barrier);
    cp_async_bulk_tensor_im2col_multicast(shared, &map, at, offset, barrier, 3);
}

template <int N>
__device__ __forceinline__ float products(uint64_t a, uint64_t b) {
    float d[N / 2] = {};
    int32_t s[N / 2] = {};
    const uint32_t registers[4] = {threadIdx.x, 1, 2, 3};
    wgmma_fence();
    wgmma_m64k16_f16<N>(d, a, b, false);
    wgmma_m64k16_f16<N, false, true>(d, a, b, true);
    wgmma_m64k16_f16<N, true, false>(d, a, b, true);
    wgmma_m64k16_f16<N, true, true>(d, a, b, true);
    wgmma_m64k16_f16<N>(d, registers, b, true);
    wgmma_m64k16_f16<N, true>(d, registers, b, true);
    wgmma_m64k8_tf32<N>(d, a, b, true);
    wgmma_m64k8_tf32<N>(d, registers, b, true);
    wgmma_commit_group();
    wgmma_wait_group<0>();
    wgmma_hold(d);
    wgmma_fence();
    wgmma_m64k32_s8<N>(s, a, b, false);
    wgmma_m64k32_s8<N>(s, registers, b, true);
    wgmma_commit_group();
    wgmma_wait_group<0>();
    wgmma_hold(s);
    float sum = 0;
    for (int i = 0; i < N / 2; ++i) sum += d[i] + __int2float_rn(s[i]);
    return sum;
}

CLUSTER_KERNEL(2, 1, 1) __launch_bounds__(128)
    wrappers(const __grid_constant__ TensorMap map, uint32_t* __restrict__ y, float* __restrict__ sums) {
    DYNAMIC_SHARED_1024(uint32_t, shared);
    uint64_t* const barrier = reinterpret_cast<uint64_t*>(shared + 1024);
    prefetch_tensormap(&map);
    mbarrier_init(barrier, 1);
    fence_mbarrier_init();
    fence_proxy_async();
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    setmaxnreg_dec<40>();
    setmaxnreg_inc<232>();
    barrier_cluster_arrive();
    barrier_cluster_wait();
    uint32_t* const there = mapa(shared, cluster_ctarank() ^ 1);
    uint64_t* const barrier_there = mapa(barrier, cluster_nctarank() - 1);
    st_async(there, threadIdx.x, barrier_there);
    st_async(reinterpret_cast<uint4*>(there), zero_vector(), barrier_there);
    mbarrier_arrive_cluster(barrier_there);
    cp_async_bulk_cluster(there, shared, 16, barrier_there);
    cp_async_bulk_load(shared, y, 16, barrier);
    cp_async_bulk_store(y, shared, 16);
    tiled<1>(shared, map, barrier);
    tiled<2>(shared, map, barrier);
    tiled<3>(shared, map, barrier);
    tiled<4>(shared, map, barrier);
    tiled<5>(shared, map, barrier);
    im2col<3>(shared, map, barrier);
    im2col<4>(shared, map, barrier);
    im2col<5>(shared, map, barrier);
    cp_async_bulk_commit_group();
    cp_async_bulk_wait_group_read<1>();
    cp_async_bulk_wait_group<0>();
    mbarrier_arrive_expect_tx(barrier, 16);
    mbarrier_arrive(barrier);
    mbarrier_wait(barrier, 0);
    while (!mbarrier_try_wait_parity_cluster(barrier, 1)) {
    }
    mbarrier_inval(barrier);
    const uint32_t values[4] = {threadIdx.x, 1, 2, 3}, pair[2] = {4, 5};
    stmatrix_x1(shared, values[0]);
    stmatrix_x2(shared, pair);
    stmatrix_x4(shared, values);
    stmatrix_x1_trans(shared, values[0]);
    stmatrix_x2_trans(shared, pair);
    stmatrix_x4_trans(shared, values);
    bar_arrive(1, 128);
    bar_sync(1, 128);
    y[threadIdx.x] = ld_shared_cluster(there) + elect_sync(0xffffffffu);
    const uint64_t a = wgmma_descriptor(shared, 128, 256, WgmmaSwizzle::None);
    const uint64_t b = wgmma_descriptor(shared, 128, 1024, WgmmaSwizzle::B128);
    sums[threadIdx.x] = products<8>(a, b) + products<16>(a, b) + products<32>(a, b) + products<64>(a, b) +
                        products<96>(a, b) + products<128>(a, b) + products<192>(a, b) + products<256>(a, b);
}
