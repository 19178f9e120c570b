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

// Folds in shared memory, in pieces of up to 16 bytes: neighbouring threads' pieces lie side by side in its banks.
constexpr int PIECES = sizeof(Fold) > 16 ? sizeof(Fold) / 16 : 1;
typedef Vector<uint32_t, sizeof(Fold) / 4 / PIECES> Piece;
typedef Piece Partial[PIECES][SLAB];

__device__ __forceinline__ void put(Partial& partial, int column, const Fold& fold) {
#pragma unroll
    for (int i = 0; i < PIECES; ++i) partial[i][column] = reinterpret_cast<const Piece(&)[PIECES]>(fold)[i];
}

__device__ __forceinline__ Fold get(const Partial& partial, int column) {
    Fold fold;
#pragma unroll
    for (int i = 0; i < PIECES; ++i) reinterpret_cast<Piece(&)[PIECES]>(fold)[i] = partial[i][column];
    return fold;
}

// This thread's slice: every SLICES-th pixel from `slice` on. AHEAD reads are under way at a time.
__device__ __forceinline__ void fold_slice(Fold& fold, const X_TYPE* x, int slice, const GlobalPoolParams& p) {
    constexpr int AHEAD = SLICES > 8 ? 4 : 8;
#pragma unroll 1
    for (int first = slice; first < p.pixels; first += AHEAD * SLICES) {
        Words words[AHEAD];
#pragma unroll
        for (int i = 0; i < AHEAD; ++i) {
            words[i] = absent();
            if (first + i * SLICES < p.pixels) words[i] = load_words(x + (first + i * SLICES) * p.x_pitch);
        }
#pragma unroll
        for (int i = 0; i < AHEAD; ++i) Folding::join(fold, Folding::of(words[i]));
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    global_pool(const X_TYPE* x, Y_TYPE* __restrict__ y, const GlobalPoolParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    __align__(16) __shared__ Partial partial[SLICES];
    const int column = threadIdx.x % SLAB;
    const int slice = threadIdx.x / SLAB;
    const int vector = static_cast<int>(blockIdx.x) * SLAB + column;
    for (int picture = blockIdx.y; picture < p.pictures; picture += gridDim.y) {
        Fold fold = Folding::of(absent());
        if (vector < p.channel_vectors) {
            fold_slice(fold, x + static_cast<int64_t>(picture) * p.pixels * p.x_pitch + vector * VECTOR, slice, p);
        }
        put(partial[slice], column, fold);
        __syncthreads();
        // Halves the number of slices each round, always in the same order.
        for (int half = SLICES / 2; half > 0; half /= 2) {
            if (slice < half) {
                Folding::join(fold, get(partial[slice + half], column));
                put(partial[slice], column, fold);
            }
            __syncthreads();
        }
        if (slice == 0 && vector < p.channel_vectors) {
            Y_TYPE* const to = y + picture * p.y_pitch + vector * VECTOR;
            store_fold(to, fold, static_cast<float>(p.pixels), p.channels - vector * VECTOR, p.scales);
        }
        __syncthreads();
    }
}
