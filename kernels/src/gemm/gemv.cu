// gemm/gemv: a few rows times a large matrix of weights; as fast as the weights can be read.
//
// y[i, j] = epilogue( Σ_k a[i, k] · w[j, k] ), i < m <= BATCH
//
// Shapes     a (M,K) with any pitch, w [n_pad][k_pad] row-major, both of type ELEMENT (f16 or float); y (M,N) and
//            residual f16 or f32. Sums are f32.
// Grid       x: ROWS rows of w for each group of WARPS_K warps; a block is 4 warps, so 4/WARPS_K groups.
// Work       2·M·N·K operations; w is read once (the point of it), a from L1 and L2.
// Sums       each lane takes every 32nd vector along K (every 32·WARPS_K-th); lanes are added by shuffles in a tree.
//
// Defined on the command line: ELEMENT, BATCH (1, 2, 4, 8), ROWS, WARPS_K.
#include "include/epilogue.cuh"

constexpr int WARPS = 4;
constexpr int WIDTH = 16 / sizeof(ELEMENT);

struct GemvParams {
    int m, n_padded, k;
    int pitch_a;
    int depth_vectors;  // k_pad / WIDTH
    int whole;          // 1: rows of a start 16-byte aligned and k is in whole vectors
};

__device__ __forceinline__ void widen(uint4 vector, float (&x)[4]) {
    x[0] = __uint_as_float(vector.x), x[1] = __uint_as_float(vector.y);
    x[2] = __uint_as_float(vector.z), x[3] = __uint_as_float(vector.w);
}
__device__ __forceinline__ void widen(uint4 vector, float (&x)[8]) { unpack_f16(vector, x); }

// WIDTH numbers of a row of a, from column k on; zeros behind its end.
__device__ __forceinline__ void load_a(const GemvParams& p, const ELEMENT* row, int k, float (&x)[WIDTH]) {
    if (p.whole) {
        widen(*reinterpret_cast<const uint4*>(row + k), x);
    } else {
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) x[i] = k + i < p.k ? to_f32(row[k + i]) : 0.0f;
    }
}

extern "C" __global__ void __launch_bounds__(32 * WARPS, 4)
gemv(const ELEMENT* __restrict__ a, const uint4* __restrict__ w, const float* __restrict__ bias,
     const float* __restrict__ scales, const void* __restrict__ residual, void* __restrict__ y, const GemvParams p,
     const EpilogueParams epilogue) {
    __shared__ float shares[WARPS][BATCH * ROWS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int column = (blockIdx.x * (WARPS / WARPS_K) + warp / WARPS_K) * ROWS;

    float sums[BATCH][ROWS] = {};
#pragma unroll 2
    for (int v = warp % WARPS_K * 32 + lane; v < p.depth_vectors; v += 32 * WARPS_K) {
        float weights[ROWS][WIDTH];
#pragma unroll
        for (int j = 0; j < ROWS; ++j) {
            const bool inside = column + j < p.n_padded;
            widen(inside ? w[static_cast<int64_t>(column + j) * p.depth_vectors + v] : zero_vector(), weights[j]);
        }
#pragma unroll
        for (int i = 0; i < BATCH; ++i) {
            if (i < p.m) {
                float x[WIDTH];
                load_a(p, a + static_cast<int64_t>(i) * p.pitch_a, v * WIDTH, x);
#pragma unroll
                for (int j = 0; j < ROWS; ++j) {
#pragma unroll
                    for (int e = 0; e < WIDTH; ++e) sums[i][j] += x[e] * weights[j][e];
                }
            }
        }
    }

#pragma unroll
    for (int i = 0; i < BATCH; ++i) {
#pragma unroll
        for (int j = 0; j < ROWS; ++j) {
#pragma unroll
            for (int distance = 16; distance > 0; distance /= 2) {
                sums[i][j] += __shfl_xor_sync(0xffffffffu, sums[i][j], distance);
            }
            if (lane == 0) shares[warp][i * ROWS + j] = sums[i][j];
        }
    }
    __syncthreads();

    // One lane finishes one number.
    if (warp % WARPS_K == 0 && lane < BATCH * ROWS && lane / ROWS < p.m) {
        float sum = 0.0f;
#pragma unroll
        for (int s = 0; s < WARPS_K; ++s) sum += shares[warp + s][lane];
        epilogue_1(epilogue, {bias, scales, residual, y}, lane / ROWS, column + lane % ROWS, sum);
    }
}
