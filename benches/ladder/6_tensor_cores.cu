// Tensor cores: a warp multiplies 16x16 by 16x8 with one instruction, 4096 operations where its lanes did 64 each at a time
// before. `ldmatrix` hands every lane the pieces that the instruction wants of it.
//
// Grid   x: 128 columns, y: 128 rows
extern "C" __global__ void __launch_bounds__(THREADS)
product(const f16* __restrict__ x, const f16* __restrict__ b, f16* __restrict__ y, const Params p) {
    __shared__ __align__(128) uint4 tile_a[SIZE_A], tile_b[SIZE_B];
    const LEFT a = {x, p};
    WarpTile<Plain> warp;
    for (int k = 0; k < p.k; k += BLOCK_K) {
        copy_tiles<Plain>(tile_a, tile_b, a, b, p, k);
        __syncthreads();
        warp.multiply(tile_a, tile_b);
        __syncthreads();
    }
    warp.store(y, p);
}
