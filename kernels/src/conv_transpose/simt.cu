// Transposed convolution in plain f32: y[n,o,k] = epilogue( Σ over taps r that meet o, Σ_c x[n,i,c] · w[r,k,c] ).
//
// Shapes     x NHWC of f32, w [groups][R·S][k_pad][c_pad] of f32, y NHWC of f16 or f32. C/groups divides by 4 and
//            K/groups by 8 if there are groups.
// Grid       x: tiles of BLOCK_M output pixels of one phase, y: tiles of BLOCK_N filters, z: phase and group; see
//            conv_transpose/phase.cuh. A thread computes THREAD_M pixels by eight filters.
// Method     two buffers of shared memory, channels as rows, so that a thread reads its pixels and its filters as
//            vectors; while one buffer is multiplied the next step's numbers are on their way to registers.
// Traffic    x once a tile column and phase, w once a tile row, y once; 2·C·K·R·S operations an input pixel.
//
// Parameters BLOCK_M, BLOCK_N  the tile
//            THREAD_M          pixels of a thread: 4 or 8

#include "conv_transpose/phase.cuh"
#include "include/vector.cuh"

constexpr int BLOCK_K = 16;  // channels of a step
constexpr int VECTOR = 4;
constexpr int THREAD_N = 8;
constexpr int THREADS = BLOCK_M / THREAD_M * (BLOCK_N / THREAD_N);
constexpr int CHUNKS = BLOCK_K / VECTOR;
constexpr int ROWS_AT_ONCE = THREADS / CHUNKS;
constexpr int LOADS_M = BLOCK_M / ROWS_AT_ONCE;
constexpr int LOADS_N = BLOCK_N / ROWS_AT_ONCE;
// Four floats more a row: the transposing stores of a warp then fall on different banks.
constexpr int PITCH_M = BLOCK_M + 4;
constexpr int PITCH_N = BLOCK_N + 4;

struct Tiles {
    float x[2][BLOCK_K * PITCH_M];
    float w[2][BLOCK_K * PITCH_N];
};

// What one thread carries from global to shared memory each step.
struct Cargo {
    PhasePixel pixels[LOADS_M];
    int first_pixel;  // of the block
    int first_filter;
    Vector<float, VECTOR> x[LOADS_M];
    Vector<float, VECTOR> w[LOADS_N];

    __device__ __forceinline__ void fetch(const float* from_x, const float* from_w, const TapWalk& walk,
                                          const Phase& phase, const TransposedParams& p) {
        const int channel = walk.channel + threadIdx.x % CHUNKS * VECTOR;
        const int first_row = threadIdx.x / CHUNKS;
        const bool inside = channel < p.weight_channels;
#pragma unroll
        for (int i = 0; i < LOADS_M; ++i) {
            const int h = pixels[i].h + walk.dh, column = pixels[i].w + walk.dw;
            const bool valid = inside && first_pixel + first_row + i * ROWS_AT_ONCE < phase.pixels && h >= 0 &&
                               h < p.x_h && column >= 0 && column < p.x_w;
            const int64_t pixel = (static_cast<int64_t>(pixels[i].picture) * p.x_h + h) * p.x_w + column;
            x[i] = {};
            if (valid) x[i] = load_vector<VECTOR>(from_x + pixel * p.x_pitch + phase.group * p.channels + channel);
        }
        const int64_t tap = phase.group * p.kernel_h * p.kernel_w + walk.r * p.kernel_w + walk.s;
#pragma unroll
        for (int i = 0; i < LOADS_N; ++i) {
            const int filter = first_filter + first_row + i * ROWS_AT_ONCE;
            w[i] = {};
            if (inside && filter < p.weight_filters) {
                w[i] = load_vector<VECTOR>(from_w + (tap * p.weight_filters + filter) * p.weight_channels + channel);
            }
        }
    }

    __device__ __forceinline__ void put_down(Tiles& tiles, int buffer) const {
        const int channel = threadIdx.x % CHUNKS * VECTOR;
        const int first_row = threadIdx.x / CHUNKS;
#pragma unroll
        for (int i = 0; i < LOADS_M; ++i) {
#pragma unroll
            for (int j = 0; j < VECTOR; ++j) {
                tiles.x[buffer][(channel + j) * PITCH_M + first_row + i * ROWS_AT_ONCE] = x[i].lane[j];
            }
        }
#pragma unroll
        for (int i = 0; i < LOADS_N; ++i) {
#pragma unroll
            for (int j = 0; j < VECTOR; ++j) {
                tiles.w[buffer][(channel + j) * PITCH_N + first_row + i * ROWS_AT_ONCE] = w[i].lane[j];
            }
        }
    }
};

__device__ __forceinline__ void multiply_step(float (&sum)[THREAD_M][THREAD_N], const Tiles& tiles, int buffer, int row,
                                              int column) {
#pragma unroll
    for (int k = 0; k < BLOCK_K; ++k) {
        float a[THREAD_M], b[THREAD_N];
        load(a, &tiles.x[buffer][k * PITCH_M + row]);
        load(b, &tiles.w[buffer][k * PITCH_N + column]);
#pragma unroll
        for (int m = 0; m < THREAD_M; ++m) {
#pragma unroll
            for (int n = 0; n < THREAD_N; ++n) sum[m][n] = fmaf(a[m], b[n], sum[m][n]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    conv_transpose_simt(const float* __restrict__ x, const float* __restrict__ weights, const float* __restrict__ bias,
                        const void* __restrict__ residual, void* __restrict__ y, const TransposedParams p) {
    __shared__ __align__(16) Tiles tiles;
    const Phase phase = phase_of_block(p);
    Cargo cargo;
    cargo.first_pixel = static_cast<int>(blockIdx.x) * BLOCK_M;
    cargo.first_filter = static_cast<int>(blockIdx.y) * BLOCK_N;
    if (cargo.first_pixel >= phase.pixels) return;
#pragma unroll
    for (int i = 0; i < LOADS_M; ++i) {
        cargo.pixels[i] = phase_pixel(phase, cargo.first_pixel + threadIdx.x / CHUNKS + i * ROWS_AT_ONCE);
    }
    const int row = threadIdx.x / (BLOCK_N / THREAD_N) * THREAD_M;
    const int column = threadIdx.x % (BLOCK_N / THREAD_N) * THREAD_N;

    float sum[THREAD_M][THREAD_N] = {};
    TapWalk walk;
    bool more = walk.start(p, phase);
    if (more) {
        cargo.fetch(x, weights, walk, phase, p);
        cargo.put_down(tiles, 0);
    }
    for (int buffer = 0; more; buffer ^= 1) {
        __syncthreads();
        more = walk.next(p, phase, BLOCK_K);
        if (more) cargo.fetch(x, weights, walk, phase, p);
        multiply_step(sum, tiles, buffer, row, column);
        if (more) cargo.put_down(tiles, buffer ^ 1);
    }

    const int filter = cargo.first_filter + column;
    if (filter >= p.filters) return;
#pragma unroll
    for (int m = 0; m < THREAD_M; ++m) {
        const int pixel = cargo.first_pixel + row + m;
        if (pixel >= phase.pixels) return;
        epilogue_8(p.epilogue, {bias, residual, y}, output_row(p, phase, pixel), phase.group * p.filters + filter,
                   sum[m]);
    }
}
