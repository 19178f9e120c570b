// A thread owns 8x8 sums: 16 numbers from shared memory make 64 multiplications, where 2 made one. Shared memory, which
// step 3 waits for, is read an eighth as often.
//
// Grid   x: 128 columns, y: 128 rows
extern "C" __global__ void __launch_bounds__(256)
product(const f16* __restrict__ x, const f16* __restrict__ b, f16* __restrict__ y, const Params p) {
    __shared__ float tile_a[16][128];  // [k][row]
    __shared__ float tile_b[16][128];  // [k][column]
    const LEFT a = {x, p};
    const int row0 = blockIdx.y * 128, column0 = blockIdx.x * 128;
    const int i0 = threadIdx.x / 16 * 8, j0 = threadIdx.x % 16 * 8;  // the thread's sums
    float sums[8][8] = {};
    for (int k = 0; k < p.k; k += 16) {
        for (int item = threadIdx.x; item < 16 * 128; item += 256) {
            tile_a[item % 16][item / 16] = element(a, row0 + item / 16, k + item % 16);
            tile_b[item / 128][item % 128] = element(b, p, k + item / 128, column0 + item % 128);
        }
        __syncthreads();
        for (int l = 0; l < 16; ++l) {
            float rows[8], columns[8];
#pragma unroll
            for (int i = 0; i < 8; ++i) rows[i] = tile_a[l][i0 + i], columns[i] = tile_b[l][j0 + i];
#pragma unroll
            for (int i = 0; i < 8; ++i) {
#pragma unroll
                for (int j = 0; j < 8; ++j) sums[i][j] += rows[i] * columns[j];
            }
        }
        __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
#pragma unroll
        for (int j = 0; j < 8; ++j) {
            const int row = row0 + i0 + i, column = column0 + j0 + j;
            if (row < p.m && column < p.n) y[static_cast<int64_t>(row) * p.n + column] = from_f32<f16>(sums[i][j]);
        }
    }
}
