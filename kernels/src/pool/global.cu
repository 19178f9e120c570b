// Global pooling: y[n,c] = the mean or the largest of x[n,:,:,c].
//
// Shapes     x NHWC, y one pixel a picture, both of TYPE.
// Grid       x: slabs of SLAB vectors of channels, y: pictures. A block's threads form SLAB columns (a vector of
//            16 bytes each) by THREADS / SLAB slices of the pixels; the slices meet in shared memory.
// Traffic    x and y once. Every access of a warp reads SLAB·16 neighbouring bytes of each of its pixels.
//
// Parameters TYPE     f16 or float
//            AVERAGE  1: the mean, summed in f32; 0: the largest, NaN above all
//            SLAB     vectors of channels a block takes; small where there are few pictures and channels
//            THREADS  of a block

#include "include/reduce.cuh"
#include "include/vector.cuh"

constexpr int VECTOR = 16 / sizeof(TYPE);
constexpr int SLICES = THREADS / SLAB;

struct GlobalPoolParams {
    int64_t x_pitch;
    int64_t y_pitch;
    int32_t pixels;           // of a picture
    int32_t channels;         // lanes from here on are zero
    int32_t channel_vectors;  // of a pixel
    int32_t pictures;
};

__device__ __forceinline__ void combine(float (&a)[VECTOR], const float (&b)[VECTOR]) {
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) a[i] = AVERAGE ? a[i] + b[i] : larger(a[i], b[i]);
}

// This thread's slice: every SLICES-th pixel from `slice` on. Four reads are under way at a time.
__device__ __forceinline__ void reduce_slice(float (&result)[VECTOR], const TYPE* x, int slice,
                                             const GlobalPoolParams& p) {
#pragma unroll 4
    for (int pixel = slice; pixel < p.pixels; pixel += SLICES) {
        float v[VECTOR];
        load(v, x + pixel * p.x_pitch);
        combine(result, v);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    global_pool(const TYPE* __restrict__ x, TYPE* __restrict__ y, const GlobalPoolParams p) {
    __align__(16) __shared__ float partial[SLICES][SLAB][VECTOR];
    const int column = threadIdx.x % SLAB;
    const int slice = threadIdx.x / SLAB;
    const int vector = static_cast<int>(blockIdx.x) * SLAB + column;
    for (int picture = blockIdx.y; picture < p.pictures; picture += gridDim.y) {
        float result[VECTOR];
        splat(result, AVERAGE ? 0.0f : minus_infinity());
        if (vector < p.channel_vectors) {
            reduce_slice(result, x + static_cast<int64_t>(picture) * p.pixels * p.x_pitch + vector * VECTOR, slice, p);
        }
        store(partial[slice][column], result);
        __syncthreads();
        // Halves the number of slices each round, always in the same order.
        for (int half = SLICES / 2; half > 0; half /= 2) {
            if (slice < half) {
                float other[VECTOR];
                load(other, partial[slice + half][column]);
                combine(result, other);
                store(partial[slice][column], result);
            }
            __syncthreads();
        }
        if (slice == 0 && vector < p.channel_vectors) {
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) result[i] = AVERAGE ? result[i] / p.pixels : result[i];
            clear_from(result, p.channels - vector * VECTOR);
            store(y + picture * p.y_pitch + vector * VECTOR, result);
        }
        __syncthreads();
    }
}
