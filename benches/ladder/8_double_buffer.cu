// Two stages of tiles: while one is multiplied, `cp.async` fills the other, so that memory and tensor cores work at the
// same time, and no registers hold what is on its way.
//
// Grid   x: 128 columns, y: 128 rows
constexpr int STAGE = SIZE_A + SIZE_B;

extern "C" __global__ void __launch_bounds__(THREADS)
product(const f16* __restrict__ x, const f16* __restrict__ b, f16* __restrict__ y, const Params p) {
    __shared__ __align__(128) uint4 stages[2][STAGE];
    const LEFT a = {x, p};
    WarpTile<Swizzled> warp;
    start_copy<Swizzled>(stages[0], a, b, p, 0);
    cp_async_commit_group();
    for (int k = 0, reading = 0; k < p.k; k += BLOCK_K, reading ^= 1) {
        start_copy<Swizzled>(stages[reading ^ 1], a, b, p, k + BLOCK_K);
        cp_async_commit_group();
        // All but the youngest group: this step's tiles are there.
        cp_async_wait_group<1>();
        __syncthreads();
        warp.multiply(stages[reading], stages[reading] + SIZE_A);
        __syncthreads();
    }
    warp.store(y, p);
}
