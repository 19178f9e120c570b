// Transposed convolution on tensor cores: y[n,o,k] = epilogue( Σ over taps r that meet o, Σ_c x[n,i,c] · w[r,k,c] ).
//
// Shapes     x NHWC, w [groups][R·S][k_pad][c_pad], both of ELEMENT; y NHWC of f16 or f32. Products of f16 or TF32,
//            sums in f32. C/groups divides by one vector of 16 bytes and K/groups by 8 if there are groups.
// Grid       x: tiles of BLOCK_M output pixels of one phase, y: tiles of BLOCK_N filters, z: phase and group; see
//            conv_transpose/phase.cuh. With kernel = stride, as networks upsample, each phase has a single tap and is a
//            plain matrix product of the input with that tap's weights.
// Method     tiles of 64 bytes of channels travel through STAGES buffers of shared memory (cp.async); warps read
//            them with ldmatrix. Chunk j of row r lies at j ^ (r/2 % 4), so that eight rows fall on 32 banks.
// Traffic    x once a tile column and phase, w once a tile row, y once; 2·C·K·R·S operations an input pixel.
//
// Parameters ELEMENT             f16, or float for TF32
//            BLOCK_M, BLOCK_N    the tile; WARPS_M by WARPS_N warps share it
//            STAGES              buffers
//            ASYNC               1: cp.async and m16n8k16 (sm_80 on); 0: through registers and m16n8k8 (sm_75)

#include "conv_transpose/phase.cuh"
#include "include/vector.cuh"

constexpr int THREADS = WARPS_M * WARPS_N * 32;
constexpr int VECTOR = 16 / sizeof(ELEMENT);
constexpr int CHUNKS = 4;                 // vectors of a row of a tile
constexpr int BLOCK_K = CHUNKS * VECTOR;  // channels of a step
constexpr int ROWS_AT_ONCE = THREADS / CHUNKS;
constexpr int TILES_M = BLOCK_M / WARPS_M / 16;  // of a warp
constexpr int TILES_N = BLOCK_N / WARPS_N / 8;
constexpr int STAGE_VECTORS = (BLOCK_M + BLOCK_N) * CHUNKS;
constexpr int SUM_PITCH = BLOCK_N + 4;  // floats; the four keep rows on different banks

// Rows of x and of w that this thread brings into every tile.
struct Loader {
    PhasePixel pixels[BLOCK_M / ROWS_AT_ONCE];
    int first_pixel;  // of the block
    int first_filter;
};

__device__ __forceinline__ uint4* tile_vector(uint4* tile, int row, int chunk) {
    return tile + row * CHUNKS + (chunk ^ (row / 2 % CHUNKS));
}

__device__ __forceinline__ void copy_vector(uint4* shared, const ELEMENT* global, bool valid) {
#if ASYNC
    cp_async_16(shared, global, valid);
#else
    *shared = valid ? *reinterpret_cast<const uint4*>(global) : zero_vector();
#endif
}

// Starts the copies of one step: BLOCK_M pixels and BLOCK_N filters, BLOCK_K channels each.
__device__ __forceinline__ void load_stage(uint4* stage, const ELEMENT* x, const ELEMENT* weights, const Loader& own,
                                           const TapWalk& walk, const Phase& phase, const TransposedParams& p) {
    const int chunk = threadIdx.x % CHUNKS;
    const int first_row = threadIdx.x / CHUNKS;
    const int channel = walk.channel + chunk * VECTOR;
#pragma unroll
    for (int i = 0; i < BLOCK_M / ROWS_AT_ONCE; ++i) {
        const int row = first_row + i * ROWS_AT_ONCE;
        const PhasePixel& at = own.pixels[i];
        const int h = at.h + walk.dh, w = at.w + walk.dw;
        const bool valid = own.first_pixel + row < phase.pixels && h >= 0 && h < p.x_h && w >= 0 && w < p.x_w &&
                           channel < p.weight_channels;
        const int64_t pixel = (static_cast<int64_t>(at.picture) * p.x_h + h) * p.x_w + w;
        const ELEMENT* from = x + pixel * p.x_pitch + phase.group * p.channels + channel;
        copy_vector(tile_vector(stage, row, chunk), valid ? from : x, valid);
    }
    const int64_t tap = phase.group * p.kernel_h * p.kernel_w + walk.r * p.kernel_w + walk.s;
#pragma unroll
    for (int i = 0; i < BLOCK_N / ROWS_AT_ONCE; ++i) {
        const int row = first_row + i * ROWS_AT_ONCE;
        const int filter = own.first_filter + row;
        const bool valid = filter < p.weight_filters && channel < p.weight_channels;
        const ELEMENT* from = weights + (tap * p.weight_filters + filter) * p.weight_channels + channel;
        copy_vector(tile_vector(stage + BLOCK_M * CHUNKS, row, chunk), valid ? from : weights, valid);
    }
}

// d += a·b for two chunks of channels: 16 of f16, 8 of TF32.
__device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], f16) {
#if ASYNC
    mma_m16n8k16_f16(d, a, b);
#else
    mma_m16n8k8_f16(d, {a[0], a[1]}, {b[0]});
    mma_m16n8k8_f16(d, {a[2], a[3]}, {b[1]});
#endif
}

#if ASYNC
__device__ __forceinline__ void multiply(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], float) {
    mma_m16n8k8_tf32(d, a, b);
}
#endif

// Numbers as the tensor core takes them: TF32 must be rounded to, f16 is as it should be.
template <int N>
__device__ __forceinline__ void round_operand(uint32_t (&)[N], f16) {}
#if ASYNC
template <int N>
__device__ __forceinline__ void round_operand(uint32_t (&v)[N], float) {
#pragma unroll
    for (int i = 0; i < N; ++i) v[i] = cvt_rna_tf32_f32(v[i]);
}
#endif

__device__ __forceinline__ void multiply_stage(float (&sum)[TILES_M][TILES_N][4], uint4* stage) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int row_m = warp / WARPS_N * TILES_M * 16 + lane % 16;
    const int row_n = warp % WARPS_N * TILES_N * 8 + lane / 16 * 8 + lane % 8;
#pragma unroll
    for (int chunk = 0; chunk < CHUNKS; chunk += 2) {
        uint32_t a[TILES_M][4];
#pragma unroll
        for (int m = 0; m < TILES_M; ++m) {
            ldmatrix_x4(a[m], tile_vector(stage, row_m + m * 16, chunk + lane / 16));
            round_operand(a[m], ELEMENT());
        }
#pragma unroll
        for (int n = 0; n < TILES_N; n += 2) {
            uint32_t b[4];
            ldmatrix_x4(b, tile_vector(stage + BLOCK_M * CHUNKS, row_n + n * 8, chunk + lane / 8 % 2));
            round_operand(b, ELEMENT());
#pragma unroll
            for (int m = 0; m < TILES_M; ++m) {
                multiply(sum[m][n], a[m], {b[0], b[1]}, ELEMENT());
                multiply(sum[m][n + 1], a[m], {b[2], b[3]}, ELEMENT());
            }
        }
    }
}

// All steps, with STAGES - 1 of them under way ahead of the one that is multiplied.
__device__ __forceinline__ void main_loop(float (&sum)[TILES_M][TILES_N][4], uint4* stages, const ELEMENT* x,
                                          const ELEMENT* weights, const Loader& own, const Phase& phase,
                                          const TransposedParams& p) {
    TapWalk ahead;
    bool more = ahead.start(p, phase);
    int loaded = 0, done = 0;
    const auto load_next = [&]() {
        if (more) {
            load_stage(stages + loaded % STAGES * STAGE_VECTORS, x, weights, own, ahead, phase, p);
            ++loaded;
            more = ahead.next(p, phase, BLOCK_K);
        }
#if ASYNC
        cp_async_commit_group();
#endif
    };
    for (int i = 0; i < STAGES - 1; ++i) load_next();
    while (done < loaded) {
#if ASYNC
        cp_async_wait_group<STAGES - 2>();
#endif
        // Behind it everyone sees the oldest stage and has left the one that is loaded next.
        __syncthreads();
        load_next();
        multiply_stage(sum, stages + done % STAGES * STAGE_VECTORS);
        ++done;
    }
#if ASYNC
    cp_async_wait_group<0>();
#endif
    __syncthreads();
}

// Lays the sums down as rows of BLOCK_N floats, so that each thread finishes eight neighbouring channels.
__device__ __forceinline__ void write_sums(float* sums, const float (&sum)[TILES_M][TILES_N][4]) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int row = warp / WARPS_N * TILES_M * 16 + lane / 4;
    const int column = warp % WARPS_N * TILES_N * 8 + lane % 4 * 2;
#pragma unroll
    for (int m = 0; m < TILES_M; ++m) {
#pragma unroll
        for (int n = 0; n < TILES_N; ++n) {
            float* at = sums + (row + m * 16) * SUM_PITCH + column + n * 8;
            at[0] = sum[m][n][0];
            at[1] = sum[m][n][1];
            at[8 * SUM_PITCH] = sum[m][n][2];
            at[8 * SUM_PITCH + 1] = sum[m][n][3];
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    conv_transpose_mma(const ELEMENT* __restrict__ x, const ELEMENT* __restrict__ weights,
                       const float* __restrict__ bias, const void* __restrict__ residual, void* __restrict__ y,
                       const TransposedParams p) {
    DYNAMIC_SHARED(uint4, shared);
    const Phase phase = phase_of_block(p);
    Loader own;
    own.first_pixel = static_cast<int>(blockIdx.x) * BLOCK_M;
    own.first_filter = static_cast<int>(blockIdx.y) * BLOCK_N;
    if (own.first_pixel >= phase.pixels) return;
#pragma unroll
    for (int i = 0; i < BLOCK_M / ROWS_AT_ONCE; ++i) {
        own.pixels[i] = phase_pixel(phase, own.first_pixel + threadIdx.x / CHUNKS + i * ROWS_AT_ONCE);
    }

    float sum[TILES_M][TILES_N][4] = {};
    main_loop(sum, shared, x, weights, own, phase, p);

    float* sums = reinterpret_cast<float*>(shared);
    write_sums(sums, sum);
    __syncthreads();
    for (int i = threadIdx.x; i < BLOCK_M * BLOCK_N / 8; i += THREADS) {
        const int row = i / (BLOCK_N / 8), column = i % (BLOCK_N / 8) * 8;
        const int pixel = own.first_pixel + row, filter = own.first_filter + column;
        if (pixel >= phase.pixels || filter >= p.filters) continue;
        float finished[8];
        load(finished, sums + row * SUM_PITCH + column);
        epilogue_8(p.epilogue, {bias, residual, y}, output_row(p, phase, pixel), phase.group * p.filters + filter,
                   finished);
    }
}
