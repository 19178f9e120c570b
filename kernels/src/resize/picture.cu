// Pictures as bytes become a network's input: channels in order, resized, cut, normalised, stored in the network's type.
//
// Shapes     x bytes [n][h][w][3], red, green, blue; y NHWC of CHANNELS channels, `y_pitch` elements a pixel.
//            y[n,p,q] is pixel (p + corner_h, q + corner_w) of x resized.
// Numbers    as limpid_graph::ops::Picture, to the bit. A triangle as wide as the larger of a source and a target pixel
//            slides over the picture, first along rows, then along columns, each pass in integers: weights of 22
//            fractional bits, found in f64, and sums rounded to 8 bits. Then (pixel·scale - mean) / std, each step
//            rounded to f32; s8 gets the nearest integer of that times `inverse`.
// Grid       x: tiles of 32 columns, y: tiles of `block_rows` rows, z: pictures (a loop, should there be more than
//            65535).
// Method     A block finds the weights of its columns and rows once, resizes the source rows under its tile along their
//            rows into shared memory, and those along their columns into y. So a source byte is loaded by one block,
//            or by a few where tiles of rows share it, and weights need no table in memory that would depend on x's
//            extents.
// Traffic    x once or little more, y once.
// Source     Pillow, src/libImaging/Resample.c
//
// Parameters Y_TYPE    f16, float or int8_t
//            CHANNELS  1: brightness, 3: colours
//            THREADS   of a block

#include "include/vector.cuh"

constexpr int COLUMNS = 32;
constexpr int PRECISION_BITS = 22;
constexpr int VECTOR = 16 / sizeof(Y_TYPE);

enum Order { RGB, BGR, GRAY };
enum Axis { ROWS, LINES };  // along a row: columns of y; along a column: lines of y

struct PictureParams {
    double scale[2];    // source pixels to one target pixel, by Axis
    double support[2];  // half the triangle's width in source pixels
    int64_t y_pitch;
    int32_t source[2];  // extents of x: w, h
    int32_t target[2];  // extents of y: w, h
    int32_t corner[2];
    int32_t taps[2];  // the most source pixels under one triangle
    float pixel_scale;
    float mean[3];
    float std[3];
    float inverse;  // of y's scale
    int32_t order;
    int32_t block_rows;
    int32_t pictures;
    int32_t reserved;
};

// What a block knows of its columns and lines, in that order, in shared memory.
struct Taps {
    double* triangles;  // until weights are known; then the place of `lines`
    uint8_t* lines;     // source rows under the tile, resized along their rows
    double* sums;
    int32_t* weights;
    int32_t* first;  // source pixel
    int32_t* end;
};

__device__ __forceinline__ Taps taps_of(unsigned char* shared, const PictureParams& p) {
    const int positions = COLUMNS + p.block_rows;
    const int weights = COLUMNS * p.taps[ROWS] + p.block_rows * p.taps[LINES];
    Taps t;
    t.sums = reinterpret_cast<double*>(shared);
    t.weights = reinterpret_cast<int32_t*>(t.sums + positions);
    t.first = t.weights + weights;
    t.end = t.first + positions;
    // Two for each position, so that doubles behind them are aligned if there is an even number of weights.
    t.triangles = reinterpret_cast<double*>(t.end + positions + weights % 2);
    t.lines = reinterpret_cast<uint8_t*>(t.triangles);
    return t;
}

// The triangle's height over one source pixel. Products must not be fused into sums: the host rounds both.
__device__ __forceinline__ double triangle(int at, double center, double support) {
    return fmax(1.0 - fabs((at - center + 0.5) / support), 0.0);
}

// Which tap of which position number i is.
struct Tap {
    int axis, position, tap;
};

__device__ __forceinline__ Tap tap_of(int i, const PictureParams& p) {
    const int columns = COLUMNS * p.taps[ROWS];
    if (i < columns) return {ROWS, i / p.taps[ROWS], i % p.taps[ROWS]};
    i -= columns;
    return {LINES, COLUMNS + i / p.taps[LINES], i % p.taps[LINES]};
}

// What holds for an axis. A choice between two numbers: one between their addresses, which `both[axis]` is, would move
// all parameters to local memory.
template <typename T>
__device__ __forceinline__ T along(const T (&both)[2], int axis) {
    return axis == ROWS ? both[ROWS] : both[LINES];
}

__device__ __forceinline__ void find_weights(const Taps& t, const int (&origin)[2], const PictureParams& p) {
    const int positions = COLUMNS + p.block_rows;
    const int weights = COLUMNS * p.taps[ROWS] + p.block_rows * p.taps[LINES];
    for (int i = threadIdx.x; i < weights; i += THREADS) {
        const Tap own = tap_of(i, p);
        const int axis = own.axis, offset = own.position - (axis == ROWS ? 0 : COLUMNS);
        // What sticks out of y repeats its last pixel and is not stored.
        const int target = min(along(origin, axis) + offset, along(p.target, axis) - 1) + along(p.corner, axis);
        const double center = __dmul_rn(target + 0.5, along(p.scale, axis)), support = along(p.support, axis);
        const int first = static_cast<int>(fmax(center - support + 0.5, 0.0));
        const int end = min(static_cast<int>(center + support + 0.5), along(p.source, axis));
        const int at = first + own.tap;
        t.triangles[i] = at < end ? triangle(at, center, support) : 0.0;
        if (own.tap == 0) {
            t.first[own.position] = first;
            t.end[own.position] = end;
        }
    }
    __syncthreads();
    // One thread a position: the order of the additions is part of the definition.
    for (int i = threadIdx.x; i < positions; i += THREADS) {
        const bool column = i < COLUMNS;
        const int taps = along(p.taps, column ? ROWS : LINES);
        const double* from = t.triangles + (column ? i * taps : COLUMNS * p.taps[ROWS] + (i - COLUMNS) * taps);
        double sum = 0.0;
        for (int tap = 0; tap < taps; ++tap) sum += from[tap];
        t.sums[i] = sum;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < weights; i += THREADS) {
        // A product by a power of two is exact, fused or not.
        const double share = t.triangles[i] / t.sums[tap_of(i, p).position];
        t.weights[i] = static_cast<int>(share * (1 << PRECISION_BITS) + 0.5);
    }
    __syncthreads();
}

__device__ __forceinline__ uint8_t rounded(int sum) {
    return static_cast<uint8_t>(min(max(sum >> PRECISION_BITS, 0), 255));
}

// sums += weight · the channels of a source pixel.
__device__ __forceinline__ void add(int (&sums)[CHANNELS], const uint8_t* pixel, int weight, int order) {
    const int r = pixel[0], g = pixel[1], b = pixel[2];
    if constexpr (CHANNELS == 1) {
        // ITU-R 601-2, in PIL's fixed-point numbers.
        sums[0] += ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) * weight;
    } else {
        sums[0] += (order == BGR ? b : r) * weight;
        sums[1] += g * weight;
        sums[2] += (order == BGR ? r : b) * weight;
    }
}

// Source rows [begin, end) along their rows: the tile's columns of each.
__device__ __forceinline__ void resize_rows(const Taps& t, const uint8_t* x, int begin, int end,
                                            const PictureParams& p) {
    for (int i = threadIdx.x; i < (end - begin) * COLUMNS; i += THREADS) {
        const int column = i % COLUMNS, row = begin + i / COLUMNS, first = t.first[column];
        const uint8_t* from = x + (static_cast<int64_t>(row) * p.source[ROWS] + first) * 3;
        const int32_t* weights = t.weights + column * p.taps[ROWS];
        int sums[CHANNELS];
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) sums[c] = 1 << (PRECISION_BITS - 1);
        for (int tap = 0; tap < t.end[column] - first; ++tap) add(sums, from + tap * 3, weights[tap], p.order);
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) t.lines[i * CHANNELS + c] = rounded(sums[c]);
    }
}

// The tile's pixels along their columns, normalised and stored.
__device__ __forceinline__ void resize_lines(const Taps& t, Y_TYPE* y, int begin, const int (&origin)[2],
                                             const PictureParams& p) {
    for (int i = threadIdx.x; i < p.block_rows * COLUMNS; i += THREADS) {
        const int column = i % COLUMNS, line = i / COLUMNS;
        if (origin[ROWS] + column >= p.target[ROWS] || origin[LINES] + line >= p.target[LINES]) continue;
        const int first = t.first[COLUMNS + line];
        const int32_t* weights = t.weights + COLUMNS * p.taps[ROWS] + line * p.taps[LINES];
        const uint8_t* from = t.lines + ((first - begin) * COLUMNS + column) * CHANNELS;
        int sums[CHANNELS];
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) sums[c] = 1 << (PRECISION_BITS - 1);
        for (int tap = 0; tap < t.end[COLUMNS + line] - first; ++tap) {
#pragma unroll
            for (int c = 0; c < CHANNELS; ++c) sums[c] += from[tap * COLUMNS * CHANNELS + c] * weights[tap];
        }
        float v[VECTOR] = {};
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c) {
            const float pixel = __fmul_rn(static_cast<float>(rounded(sums[c])), p.pixel_scale);
            v[c] = __fdiv_rn(__fsub_rn(pixel, p.mean[c]), p.std[c]);
            if (sizeof(Y_TYPE) == 1) v[c] = __fmul_rn(v[c], p.inverse);
        }
        const int64_t pixel = static_cast<int64_t>(origin[LINES] + line) * p.target[ROWS] + origin[ROWS] + column;
        Y_TYPE* to = y + pixel * p.y_pitch;
        if (p.y_pitch % VECTOR == 0) {
            store(to, v);
        } else {
#pragma unroll
            for (int c = 0; c < CHANNELS; ++c) to[c] = from_f32<Y_TYPE>(v[c]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    picture(const uint8_t* x, Y_TYPE* __restrict__ y, const PictureParams p) {
    DYNAMIC_SHARED(unsigned char, shared);
    griddepcontrol_launch_dependents();
    const Taps t = taps_of(shared, p);
    const int origin[2] = {static_cast<int>(blockIdx.x) * COLUMNS, static_cast<int>(blockIdx.y) * p.block_rows};
    find_weights(t, origin, p);
    griddepcontrol_wait();
    const int begin = t.first[COLUMNS], end = t.end[COLUMNS + p.block_rows - 1];
    const int64_t x_size = static_cast<int64_t>(p.source[ROWS]) * p.source[LINES] * 3;
    const int64_t y_size = static_cast<int64_t>(p.target[ROWS]) * p.target[LINES] * p.y_pitch;
    for (int n = blockIdx.z; n < p.pictures; n += gridDim.z) {
        resize_rows(t, x + n * x_size, begin, end, p);
        __syncthreads();
        resize_lines(t, y + n * y_size, begin, origin, p);
        __syncthreads();
    }
}
