// What every step of the ladder computes; main.rs puts this text before a step's.
//
//     y (M,N) = a (M,K) · b (K,N)        f16, row-major, sums in f32
//
// Compiled with LEFT=Matrix, a lies in memory as x. With LEFT=Windows it is never written down: its row (n,p,q) is the
// window that an output pixel of a convolution sees in x, an NHWC picture, and K counts the window's elements, (r,s,c)
// with c fastest. So each step is a matrix product and a convolution at once. Only the naive ones need no more than that
// 1 <= M, N, K; from step 5 on a vector is eight elements, so N, K and channels are multiples of 8.
#include "include/ptx.cuh"

struct Params {
    int m, n, k;
    int height, width, channels;  // of x, as all that follows only where it is a picture
    int out_height, out_width;
    int kernel_width;
    int stride, pad;
};

struct Matrix {
    const f16* x;
    const Params& p;

    __device__ __forceinline__ bool valid(int row, int k) const { return row < p.m && k < p.k; }
    __device__ __forceinline__ const f16* address(int row, int k) const { return x + static_cast<int64_t>(row) * p.k + k; }
};

struct Windows {
    const f16* x;
    const Params& p;

    // Where the window's element k lies in the picture; outside of it, in the padding, for some.
    struct Place {
        int image, h, w, c;
    };
    __device__ __forceinline__ Place place(int row, int k) const {
        const int line = row / p.out_width, image = line / p.out_height;
        const int tap = k / p.channels, r = tap / p.kernel_width, s = tap - r * p.kernel_width;
        const int h = (line - image * p.out_height) * p.stride - p.pad + r;
        const int w = (row - line * p.out_width) * p.stride - p.pad + s;
        return {image, h, w, k - tap * p.channels};
    }
    __device__ __forceinline__ bool valid(int row, int k) const {
        const Place at = place(row, k);
        // An index below 0 becomes a large unsigned one.
        return row < p.m && k < p.k && static_cast<uint32_t>(at.h) < static_cast<uint32_t>(p.height) &&
               static_cast<uint32_t>(at.w) < static_cast<uint32_t>(p.width);
    }
    __device__ __forceinline__ const f16* address(int row, int k) const {
        const Place at = place(row, k);
        const int64_t pixel = (static_cast<int64_t>(at.image) * p.height + at.h) * p.width + at.w;
        return x + pixel * p.channels + at.c;
    }
};

// One element, 0 outside.
__device__ __forceinline__ float element(const LEFT& a, int row, int k) {
    return a.valid(row, k) ? to_f32(*a.address(row, k)) : 0.0f;
}
__device__ __forceinline__ float element(const f16* b, const Params& p, int k, int column) {
    return k < p.k && column < p.n ? to_f32(b[static_cast<int64_t>(k) * p.n + column]) : 0.0f;
}

// Eight neighbours, 0 outside.
__device__ __forceinline__ uint4 vector(const LEFT& a, int row, int k) {
    return a.valid(row, k) ? *reinterpret_cast<const uint4*>(a.address(row, k)) : zero_vector();
}
__device__ __forceinline__ uint4 vector(const f16* b, const Params& p, int k, int column) {
    const bool inside = k < p.k && column < p.n;
    return inside ? *reinterpret_cast<const uint4*>(b + static_cast<int64_t>(k) * p.n + column) : zero_vector();
}
