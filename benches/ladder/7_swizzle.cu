// The same with the vectors of a row permuted by XOR. The eight rows of 16 bytes that an `ldmatrix` reads at once lay 64 or
// 256 bytes apart, in the same few banks, and had to wait for each other; now they lie in eight different groups of banks.
//
// Grid   x: 128 columns, y: 128 rows
extern "C" __global__ void __launch_bounds__(THREADS)
product(const f16* __restrict__ x, const f16* __restrict__ b, f16* __restrict__ y, const Params p) {
    __shared__ __align__(128) uint4 tile_a[SIZE_A], tile_b[SIZE_B];
    const LEFT a = {x, p};
    WarpTile<Swizzled> warp;
    for (int k = 0; k < p.k; k += BLOCK_K) {
        copy_tiles<Swizzled>(tile_a, tile_b, a, b, p, k);
        __syncthreads();
        warp.multiply(tile_a, tile_b);
        __syncthreads();
    }
    warp.store(y, p);
}
