// What the depthwise kernels share whose window the compiler knows: x NHWC of X_TYPE, w [R·S][c_pad] of X_TYPE, one
// filter a channel, dilation 1, the same stride along both axes. A thread takes 8 channels of some output pixels,
// channels fastest, so that a warp reads whole lines. The struct is mirrored in `depthwise/window.rs`.
//
// Parameters KERNEL_H, KERNEL_W, STRIDE   the window
//            TILE_W, or TILE_H            output pixels of a thread, side by side or one below the other
//            X_TYPE                       f16, float or int8_t
//            MIN_BLOCKS                   blocks of 128 threads that registers are limited for
#pragma once
#include "depthwise/finish.cuh"
#include "include/index.cuh"
#include "include/vector.cuh"

#ifndef TILE_W
#define TILE_W 1
#endif
constexpr int COLUMNS = (TILE_W - 1) * STRIDE + KERNEL_W;  // of x under the pixels of one row
constexpr int X_ELEMENT = sizeof(X_TYPE) == 4 ? ELEMENT_F32 : sizeof(X_TYPE) == 2 ? ELEMENT_F16 : ELEMENT_S8;

struct DepthwiseParams {
    int64_t x_pitch;
    int32_t x_h, x_w;
    int32_t x_lanes;  // channels of x, padding included
    int32_t y_h, y_w;
    int32_t pad_h, pad_w;
    int32_t weight_pitch;
    uint32_t units;  // what WindowWork is asked for
    Divisor channel_vectors;
    Divisor tiles_w;
    Divisor tiles_h;
    EpilogueParams epilogue;
    int32_t rows;  // of y in a unit
};

// The channels and the first pixel of unit n, which is 8 channels of `rows` x `columns` pixels of y.
struct WindowWork {
    int channel, q, p, picture;

    __device__ __forceinline__ WindowWork(const DepthwiseParams& params, uint32_t n, int rows, int columns) {
        channel = static_cast<int>(take_index(n, params.channel_vectors)) * CHANNELS;
        q = static_cast<int>(take_index(n, params.tiles_w)) * columns;
        p = static_cast<int>(take_index(n, params.tiles_h)) * rows;
        picture = static_cast<int>(n);
    }
};

// Pixels of x from column `left` on, as they lie in memory, zeros where there are none. No branch goes around a load,
// so many can be under way: a thread that waited for one after the other would wait most of the time.
struct PixelRow {
    RawRow8 pixels[COLUMNS];

    // `row` points at the thread's channels in column `left`, `there` says whether x has the row.
    __device__ __forceinline__ void load(int j, const X_TYPE* row, bool there, int left, int lanes,
                                         const DepthwiseParams& p) {
        pixels[j] = {zero_vector(), zero_vector()};
        if (there && static_cast<uint32_t>(left + j) < static_cast<uint32_t>(p.x_w)) {
            pixels[j] = load_raw_8(row, X_ELEMENT, j * p.x_pitch, lanes);
        }
    }
};
