// Up to four planes become the channels of a picture, each pixel one vector of 16 bytes: an NCHW network input as NHWC,
// cast, quantized or rescaled on the way. y[n, pixel, c] = x[n, c, pixel], zeros in the lanes behind the last plane.
//
// Grid       one thread per PIXELS pixels, THREADS apart, of one picture. Every load of a warp reads neighbouring elements
//            of a plane, every store writes neighbouring pixels, and all loads of a thread are under way at once.
// Traffic    x and y once.
//
// Parameters PIXELS          pixels of a thread
//            X_TYPE, Y_TYPE  element types; moves use any type of the right size
//            SCALED          1: numbers are scaled on the way; see layout/convert.cuh
//            THREADS         of a block

#include "include/index.cuh"
#include "layout/convert.cuh"

constexpr int PLANES = 4;                                // at most
constexpr int WORDS = 4, WRITTEN = PLANES * sizeof(Y_TYPE) / 4;  // of a pixel: in all, and those with numbers

struct InterleaveParams {
    int64_t x_offset, x_picture, x_plane;  // in elements; pixels of a plane lie side by side
    int64_t y_offset, y_picture, y_pixel;
    uint32_t pixels;  // of a picture
    uint32_t planes;
    Divisor blocks;  // of a picture
    float factor;    // of `converted`
};

typedef Vector<uint32_t, WORDS> Pixel;

// A pixel of these numbers.
__device__ __forceinline__ Pixel pixel_of(const Vector<X_TYPE, PLANES>& numbers, float factor) {
    Vector<uint32_t, WRITTEN> written;
    store_converted(reinterpret_cast<Y_TYPE*>(&written), numbers, factor);
    Pixel pixel = {};
#pragma unroll
    for (int i = 0; i < WRITTEN; ++i) pixel.lane[i] = written.lane[i];
    return pixel;
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    interleave(const X_TYPE* x, Y_TYPE* __restrict__ y, const InterleaveParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    uint32_t picture = blockIdx.x;
    const uint32_t first = take_index(picture, p.blocks) * (THREADS * PIXELS) + threadIdx.x;
    x += p.x_offset + picture * p.x_picture + first;
    y += p.y_offset + picture * p.y_picture + first * p.y_pixel;

    Vector<X_TYPE, PLANES> numbers[PIXELS] = {};
#pragma unroll
    for (int c = 0; c < PLANES; ++c, x += p.x_plane) {
        if (c >= static_cast<int>(p.planes)) break;
#pragma unroll
        for (int i = 0; i < PIXELS; ++i) {
            if (first + i * THREADS < p.pixels) numbers[i].lane[c] = x[i * THREADS];
        }
    }
#pragma unroll
    for (int i = 0; i < PIXELS; ++i, y += THREADS * p.y_pixel) {
        if (first + i * THREADS < p.pixels) *reinterpret_cast<Pixel*>(y) = pixel_of(numbers[i], p.factor);
    }
}
