// One thread for one sum; neighbouring threads own neighbouring rows.
//
// Grid   x: 16 columns, y: 16 rows
extern "C" __global__ void __launch_bounds__(256)
product(const f16* __restrict__ x, const f16* __restrict__ b, f16* __restrict__ y, const Params p) {
    const LEFT a = {x, p};
    const int row = blockIdx.y * 16 + threadIdx.x % 16, column = blockIdx.x * 16 + threadIdx.x / 16;
    if (row >= p.m || column >= p.n) return;
    float sum = 0.0f;
    for (int k = 0; k < p.k; ++k) sum += element(a, row, k) * element(b, p, k, column);
    y[static_cast<int64_t>(row) * p.n + column] = from_f32<f16>(sum);
}
