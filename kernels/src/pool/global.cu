// Global pooling: y[n,c] = the mean or the largest of x[n,:,:,c].
//
// Shapes     x NHWC, y one pixel a picture, of the same floats, or x of s8 and y of anything.
// Grid       x: slabs of SLAB vectors of channels, y: pictures. A block's threads form SLAB columns (a vector
//            each) by THREADS / SLAB slices of the pixels; the slices meet in shared memory.
// Traffic    x and y once. Every access of a warp reads SLAB neighbouring vectors of each of its pixels.
//
// Parameters X_TYPE, Y_TYPE  f16 or float; int8_t
//            AVERAGE         1: the mean; 0: the largest; see pool/fold.cuh
//            SLAB            vectors of channels a block takes; small where there are few pictures and channels
//            THREADS         of a block

#include "pool/fold.cuh"

constexpr int SLICES = THREADS / SLAB;

struct GlobalPoolParams {
    int64_t x_pitch;
    int64_t y_pitch;
    int32_t pixels;           // of a picture
    int32_t channels;         // lanes from here on are zero
    int32_t channel_vectors;  // of a pixel
    int32_t pictures;
    PoolScales scales;
};

// This thread's slice: every SLICES-th pixel from `slice` on. Four reads are under way at a time.
__device__ __forceinline__ void reduce_slice(Fold& fold, const X_TYPE* x, int slice, const GlobalPoolParams& p) {
#pragma unroll 4
    for (int pixel = slice; pixel < p.pixels; pixel += SLICES) {
        join(fold, load_vector<VECTOR>(x + pixel * p.x_pitch));
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    global_pool(const X_TYPE* x, Y_TYPE* __restrict__ y, const GlobalPoolParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    __shared__ Fold partial[SLICES][SLAB];
    const int column = threadIdx.x % SLAB;
    const int slice = threadIdx.x / SLAB;
    const int vector = static_cast<int>(blockIdx.x) * SLAB + column;
    for (int picture = blockIdx.y; picture < p.pictures; picture += gridDim.y) {
        Fold fold = nothing();
        if (vector < p.channel_vectors) {
            reduce_slice(fold, x + static_cast<int64_t>(picture) * p.pixels * p.x_pitch + vector * VECTOR, slice, p);
        }
        partial[slice][column] = fold;
        __syncthreads();
        // Halves the number of slices each round, always in the same order.
        for (int half = SLICES / 2; half > 0; half /= 2) {
            if (slice < half) {
                join(fold, partial[slice + half][column]);
                partial[slice][column] = fold;
            }
            __syncthreads();
        }
        if (slice == 0 && vector < p.channel_vectors) {
            float result[VECTOR];
            finish(result, fold, static_cast<float>(p.pixels), p.scales);
            clear_from(result, p.channels - vector * VECTOR);
            store(y + picture * p.y_pitch + vector * VECTOR, result);
        }
        __syncthreads();
    }
}
