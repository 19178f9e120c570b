// A block walks along K in steps of 32 and shares what it reads: each element comes from memory once a block instead of
// once a thread, 32 times less.
//
// Grid   x: 32 columns, y: 32 rows
extern "C" __global__ void __launch_bounds__(1024)
product(const f16* __restrict__ x, const f16* __restrict__ b, f16* __restrict__ y, const Params p) {
    __shared__ float tile_a[32][32];  // [row][k]
    __shared__ float tile_b[32][32];  // [k][column]
    const LEFT a = {x, p};
    const int i = threadIdx.x / 32, j = threadIdx.x % 32;
    const int row = blockIdx.y * 32 + i, column = blockIdx.x * 32 + j;
    float sum = 0.0f;
    for (int k = 0; k < p.k; k += 32) {
        tile_a[i][j] = element(a, row, k + j);
        tile_b[i][j] = element(b, p, k + i, column);
        __syncthreads();
        for (int l = 0; l < 32; ++l) sum += tile_a[i][l] * tile_b[l][j];
        __syncthreads();
    }
    if (row < p.m && column < p.n) y[static_cast<int64_t>(row) * p.n + column] = from_f32<f16>(sum);
}
