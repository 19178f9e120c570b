// All movement in vectors of 16 bytes: a thread brings eight neighbours of a and of b with one instruction each, reads
// shared memory four numbers at a time, and writes eight numbers of y at once. An eighth of the instructions that only
// move things, and of the divisions by which a convolution finds its elements.
//
// Grid   x: 128 columns, y: 128 rows
__device__ __forceinline__ void unpack(uint4 vector, float (&x)[8]) {
    const uint32_t words[4] = {vector.x, vector.y, vector.z, vector.w};
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        f16 half;
        half.bits = static_cast<uint16_t>(words[i / 2] >> (i % 2 * 16));
        x[i] = to_f32(half);
    }
}

// Eight floats of shared memory.
__device__ __forceinline__ void load_8(float (&x)[8], const float* from) {
    const float4 low = *reinterpret_cast<const float4*>(from), high = *reinterpret_cast<const float4*>(from + 4);
    x[0] = low.x, x[1] = low.y, x[2] = low.z, x[3] = low.w;
    x[4] = high.x, x[5] = high.y, x[6] = high.z, x[7] = high.w;
}

extern "C" __global__ void __launch_bounds__(256)
product(const f16* __restrict__ x, const f16* __restrict__ b, f16* __restrict__ y, const Params p) {
    __shared__ __align__(16) float tile_a[16][128];  // [k][row]
    __shared__ __align__(16) float tile_b[16][128];  // [k][column]
    const LEFT a = {x, p};
    const int row0 = blockIdx.y * 128, column0 = blockIdx.x * 128, t = threadIdx.x;
    const int i0 = t / 16 * 8, j0 = t % 16 * 8;
    float sums[8][8] = {};
    for (int k = 0; k < p.k; k += 16) {
        // The tiles are 256 vectors each: thread t brings row t/2 of a, and row t/16 of b.
        float eight[8];
        unpack(vector(a, row0 + t / 2, k + t % 2 * 8), eight);
#pragma unroll
        for (int i = 0; i < 8; ++i) tile_a[t % 2 * 8 + i][t / 2] = eight[i];
        unpack(vector(b, p, k + t / 16, column0 + j0), eight);
        float4* const to = reinterpret_cast<float4*>(&tile_b[t / 16][j0]);
        to[0] = make_float4(eight[0], eight[1], eight[2], eight[3]);
        to[1] = make_float4(eight[4], eight[5], eight[6], eight[7]);
        __syncthreads();
        for (int l = 0; l < 16; ++l) {
            float rows[8], columns[8];
            load_8(rows, &tile_a[l][i0]);
            load_8(columns, &tile_b[l][j0]);
#pragma unroll
            for (int i = 0; i < 8; ++i) {
#pragma unroll
                for (int j = 0; j < 8; ++j) sums[i][j] += rows[i] * columns[j];
            }
        }
        __syncthreads();
    }
    if (column0 + j0 >= p.n) return;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const int row = row0 + i0 + i;
        const float(&s)[8] = sums[i];
        const uint4 packed = make_uint4(cvt_rn_f16x2_f32(s[0], s[1]), cvt_rn_f16x2_f32(s[2], s[3]),
                                        cvt_rn_f16x2_f32(s[4], s[5]), cvt_rn_f16x2_f32(s[6], s[7]));
        if (row < p.m) *reinterpret_cast<uint4*>(y + static_cast<int64_t>(row) * p.n + column0 + j0) = packed;
    }
}
