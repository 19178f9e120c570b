// Convolution as a matrix product whose left matrix is never written down ("implicit GEMM").
//
//     rows     output pixels, (n·P + p)·Q + q                          M = N·P·Q
//     columns  filters of one group                                    N = K/groups
//     depth    taps and channels, ((r·S + s)·C + c), c fastest         K = R·S·C
//
// x is NHWC, channels padded with zeros to whole 16-byte vectors; depth is counted in such vectors, C of them a
// tap (`channel_vectors`). A step along K takes the next VECTORS of them wherever taps begin and end, so an image
// of 3 channels, one vector a pixel, fills a tile with VECTORS taps and wastes only the vector's own padding.
//
// The struct is mirrored in `kernels/src/conv/implicit.rs`.
#pragma once
#include "include/ahead.cuh"
#include "include/cluster.cuh"
#include "include/matrix.cuh"

struct ConvParams {
    TileGrid grid;
    int height, width;          // of x
    int pixel_vectors;          // from one pixel of x to the next
    int out_height, out_width;  // of y
    int kernel_height, kernel_width;
    int stride_h, stride_w;
    int dilation_h, dilation_w;
    int pad_h, pad_w;           // above, left
    int pixels;                 // M
    int filters;                // N, of one group
    int filters_padded;         // rows of one group in w
    int channel_vectors;        // C of one group, in vectors
    int depth_vectors;          // R·S·C
    int step_r, step_s, step_c; // VECTORS as a count of rows of taps, taps, vectors
    Divisor by_width, by_height;          // of y
    Divisor by_vectors, by_kernel_width;  // C, S
};

// The left matrix: each thread follows the same column of K in several rows, so it keeps one position (r, s, c),
// moved on by carrying instead of dividing, and per row the corner of the pixel's window. Which rows have the position's tap
// inside the picture is found out once a tap.
template <class TileLayout>
struct PixelSource {
    typedef TileLayout Layout;

    const ConvParams& p;
    const uint4* x;                // channel 0 of the group
    int top[Layout::COPIES];       // of the row's window, in x; far outside for rows beyond M
    int left[Layout::COPIES];
    int corner[Layout::COPIES];    // vectors from x to (n, top, left); may lie before x
    int r, s, c;                   // this thread's position along K; r = kernel_height is its end
    int tap;                       // vectors from a window's corner to (r, s)
    uint32_t inside;               // bit j: (r, s) of row j's window lies in x
    static_assert(Layout::COPIES <= 32, "a bit for every row");

    __device__ __forceinline__ PixelSource(const ConvParams& p_, const uint4* x_, const BlockWork& work) : p(p_) {
        x = x_ + work.batch * p.channel_vectors;
        settle(x);
#pragma unroll
        for (int j = 0; j < Layout::COPIES; ++j) {
            const int pixel = work.row + Layout::thread_row() + j * Layout::ROW_STEP;
            const int line = divide(pixel, p.by_width), image = divide(line, p.by_height);
            const int row = (line - image * p.out_height) * p.stride_h - p.pad_h;
            left[j] = (pixel - line * p.out_width) * p.stride_w - p.pad_w;
            corner[j] = ((image * p.height + row) * p.width + left[j]) * p.pixel_vectors;
            settle(corner[j]);
            top[j] = pixel < p.pixels ? row : OUTSIDE;
        }
        const int depth = work.first_step * Layout::VECTORS + Layout::thread_vector();
        const int taps = divide(depth, p.by_vectors);
        c = depth - taps * p.channel_vectors;
        r = divide(taps, p.by_kernel_width);
        s = taps - r * p.kernel_width;
        find_tap();
    }

    __device__ __forceinline__ bool valid(int j) const { return inside >> j & 1; }
    __device__ __forceinline__ const uint4* address(int j) const { return x + (corner[j] + (tap + c)); }
    __device__ __forceinline__ uint4 read(int j) const { return valid(j) ? *address(j) : zero_vector(); }

    __device__ __forceinline__ void advance() {
        c += p.step_c;
        if (c < p.channel_vectors && (p.step_s | p.step_r) == 0) return;
        s += p.step_s;
        r += p.step_r;
        if (c >= p.channel_vectors) c -= p.channel_vectors, ++s;
        if (s >= p.kernel_width) s -= p.kernel_width, ++r;
        find_tap();
    }

  private:
    // A row that no picture has, whatever is added; pictures are less than 2^28 high.
    static constexpr int OUTSIDE = -(1 << 30);

    __device__ __forceinline__ void find_tap() {
        const int down = r * p.dilation_h, right = s * p.dilation_w;
        tap = (down * p.width + right) * p.pixel_vectors;
        inside = 0;
        if (r >= p.kernel_height) return;
#pragma unroll
        for (int j = 0; j < Layout::COPIES; ++j) {
            // An index below 0 becomes a large unsigned one.
            const bool in = static_cast<uint32_t>(top[j] + down) < static_cast<uint32_t>(p.height) &&
                            static_cast<uint32_t>(left[j] + right) < static_cast<uint32_t>(p.width);
            inside |= static_cast<uint32_t>(in) << j;
        }
    }
};

// The whole kernel, for any way a warp multiplies.
template <class Math, class Warp>
__device__ __forceinline__ void convolve(const ConvParams& p, const EpilogueParams& epilogue, const uint4* x,
                                         const uint4* w, const EpilogueTensors& tensors, void* partial,
                                         const Ahead& ahead, uint4* shared) {
    const BlockWork work(p.grid);
    if (!partial && blockIdx.y == 0) prefetch_addends(epilogue, tensors, work, p.pixels, p.filters, work.batch * p.filters);
    const int depth = p.depth_vectors * Math::WIDTH;
    const typename Math::Element* const filters =
        reinterpret_cast<const typename Math::Element*>(w) + static_cast<int64_t>(work.batch) * p.filters_padded * depth;

    const PixelSource<typename Warp::TileA> a(p, x, work);
    const MatrixSource<Math, typename Warp::TileB, false, true> b(filters, depth, p.filters_padded, depth, work.column,
                                                                  work.first_step * BLOCK_K);
    const auto output = [&]() -> Output {
        const int64_t partial_row = partial ? static_cast<int64_t>(work.partial(p.grid)) * p.pixels : 0;
        return {epilogue, tensors, partial, partial_row, p.pixels, p.filters, work.batch * p.filters};
    };
    Warp warp;
    multiply_and_finish<true>(warp, a, b, work, output, shared, ahead.beside, [&] { prefetch_ahead(ahead); });
}
