// Neighbouring threads own neighbouring columns: a warp reads 64 bytes of b, and writes 64 bytes of y, in one piece, and
// all its lanes read the same element of a.
//
// Grid   x: 32 columns, y: 8 rows
extern "C" __global__ void __launch_bounds__(256)
product(const f16* __restrict__ x, const f16* __restrict__ b, f16* __restrict__ y, const Params p) {
    const LEFT a = {x, p};
    const int row = blockIdx.y * 8 + threadIdx.x / 32, column = blockIdx.x * 32 + threadIdx.x % 32;
    if (row >= p.m || column >= p.n) return;
    float sum = 0.0f;
    for (int k = 0; k < p.k; ++k) sum += element(a, row, k) * element(b, p, k, column);
    y[static_cast<int64_t>(row) * p.n + column] = from_f32<f16>(sum);
}
