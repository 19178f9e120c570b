// Transposed convolution as matrix products, one for each phase and group.
//
// y[s·i + r·d - pad] += x[i]·w[r], turned round: output o gets tap r of input i = (o + pad - r·d) / s where that
// divides. Which taps divide depends only on the output's phase, o mod s; the outputs of one phase are a picture of
// their own, and on it the whole is an ordinary convolution that walks over x in steps of 1, with every few taps
// of w, from right to left:
//
//     s = 2, three taps, pad = 1      phase 0   y[2q]   = x[q]·w[1]
//                                     phase 1   y[2q+1] = x[q+1]·w[0] + x[q]·w[2]
//
//     rows     output pixels of one phase, (n·P + p)·Q + q
//     columns  filters of one group
//     depth    the phase's taps and channels, (tap·C + c), c fastest, in 16-byte vectors as in conv/implicit.cuh
//
// With kernel = stride, as networks upsample, each phase has a single tap. Phases differ in size by a row and a
// column at most; blocks beyond the end of a smaller one have nothing to do.
//
// The struct is mirrored in `kernels/src/conv_transpose/phase.rs`.
#pragma once
#include "include/tile.cuh"

struct PhaseParams {
    TileGrid grid;  // of the largest phase; batches are phases and groups, groups fastest
    int pictures;
    int height, width;          // of x
    int pixel_vectors;          // from one pixel of x to the next
    int out_height, out_width;  // of y
    int kernel_h, kernel_w;
    int stride_h, stride_w;
    int dilation_h, dilation_w;
    int pad_h, pad_w;     // cut off y above, left
    int groups;
    int filters;          // of one group
    int channel_vectors;  // of one group
};

// One axis of one phase.
struct PhaseAxis {
    int phase;               // output coordinate modulo stride
    int extent;              // outputs of this phase
    int first, every, taps;  // the taps first, first + every, … divide, so many of them
    int offset;              // at the first tap: input coordinate minus the output's number within the phase
    int pace;                // what each further tap adds to that

    __device__ __forceinline__ PhaseAxis(int phase_, int outputs, int kernel, int stride, int dilation, int pad)
        : phase(phase_), first(0), every(1) {
        extent = (outputs - phase + stride - 1) / stride;
        while (first < kernel && (phase + pad - first * dilation) % stride != 0) ++first;
        while (every * dilation % stride != 0) ++every;
        taps = first < kernel ? (kernel - 1 - first) / every + 1 : 0;
        offset = (phase + pad - first * dilation) / stride;
        pace = -(every * dilation / stride);
    }
};

// A block's phase and group.
struct Phase {
    PhaseAxis h, w;
    int group;
    int pixels;         // of all pictures
    int depth_vectors;  // K

    __device__ __forceinline__ Phase(const PhaseParams& p, int batch)
        : h(batch / p.groups / p.stride_w, p.out_height, p.kernel_h, p.stride_h, p.dilation_h, p.pad_h),
          w(batch / p.groups % p.stride_w, p.out_width, p.kernel_w, p.stride_w, p.dilation_w, p.pad_w),
          group(batch % p.groups) {
        pixels = p.pictures * h.extent * w.extent;
        depth_vectors = h.taps * w.taps * p.channel_vectors;
    }
};

// A thread's place along K: tap (i, j) of the phase and a vector of channels, moved on by carrying. Beyond the last
// tap i is out of range.
template <int VECTORS>
struct TapWalk {
    int i, j, c;
    int step_i, step_j, step_c;  // VECTORS as a count of rows of taps, taps, vectors

    __device__ __forceinline__ TapWalk(const PhaseParams& p, const Phase& phase, int vector) {
        const int columns = phase.w.taps > 0 ? phase.w.taps : 1;
        split(vector, p.channel_vectors, columns, i, j, c);
        split(VECTORS, p.channel_vectors, columns, step_i, step_j, step_c);
    }
    __device__ __forceinline__ void advance(const PhaseParams& p, const Phase& phase) {
        c += step_c;
        j += step_j;
        i += step_i;
        if (c >= p.channel_vectors) c -= p.channel_vectors, ++j;
        if (j >= phase.w.taps) j -= phase.w.taps, ++i;
    }

  private:
    static __device__ __forceinline__ void split(int n, int channels, int columns, int& i, int& j, int& c) {
        const int tap = n / channels;
        c = n - tap * channels;
        i = tap / columns;
        j = tap - i * columns;
    }
};

// The left matrix: pixels of x, as the phase's outputs meet them.
template <class TileLayout>
struct PixelSource {
    typedef TileLayout Layout;

    const PhaseParams& p;
    const Phase& phase;
    const uint4* x;              // channel 0 of the group
    int top[Layout::COPIES];     // of the row's first tap, in x; far outside for rows beyond the phase
    int left[Layout::COPIES];
    int corner[Layout::COPIES];  // vectors from x to (n, top, left); may lie before x
    TapWalk<Layout::VECTORS> walk;

    __device__ __forceinline__ PixelSource(const PhaseParams& p_, const Phase& phase_, const uint4* x_, int row)
        : p(p_), phase(phase_), walk(p_, phase_, Layout::thread_vector()) {
        x = x_ + phase.group * p.channel_vectors;
#pragma unroll
        for (int j = 0; j < Layout::COPIES; ++j) {
            const int pixel = row + Layout::thread_row() + j * Layout::ROW_STEP;
            const int line = pixel / phase.w.extent, picture = line / phase.h.extent;
            const int first = line - picture * phase.h.extent + phase.h.offset;
            left[j] = pixel - line * phase.w.extent + phase.w.offset;
            corner[j] = ((picture * p.height + first) * p.width + left[j]) * p.pixel_vectors;
            top[j] = pixel < phase.pixels ? first : OUTSIDE;
        }
    }

    __device__ __forceinline__ bool valid(int j) const {
        // An index below 0 becomes a large unsigned one.
        return static_cast<uint32_t>(top[j] + walk.i * phase.h.pace) < static_cast<uint32_t>(p.height) &&
               static_cast<uint32_t>(left[j] + walk.j * phase.w.pace) < static_cast<uint32_t>(p.width) &&
               walk.i < phase.h.taps;
    }
    __device__ __forceinline__ const uint4* address(int j) const {
        const int tap = (walk.i * phase.h.pace * p.width + walk.j * phase.w.pace) * p.pixel_vectors + walk.c;
        return x + (corner[j] + tap);
    }
    __device__ __forceinline__ uint4 read(int j) const { return valid(j) ? *address(j) : zero_vector(); }
    __device__ __forceinline__ void advance() { walk.advance(p, phase); }

  private:
    static constexpr int OUTSIDE = -(1 << 30);
};

// The right matrix: w [groups][R·S][filters][channels], of which a phase takes its own taps.
template <class TileLayout>
struct FilterSource {
    typedef TileLayout Layout;

    const PhaseParams& p;
    const Phase& phase;
    const uint4* w;  // tap 0 of the group, this thread's first filter
    int filter;
    TapWalk<Layout::VECTORS> walk;

    __device__ __forceinline__ FilterSource(const PhaseParams& p_, const Phase& phase_, const uint4* w_, int column)
        : p(p_), phase(phase_), walk(p_, phase_, Layout::thread_vector()) {
        filter = column + Layout::thread_row();
        const int64_t group_rows = static_cast<int64_t>(p.kernel_h) * p.kernel_w * p.filters;
        w = w_ + (phase.group * group_rows + filter) * p.channel_vectors;
    }

    __device__ __forceinline__ bool valid(int j) const {
        return filter + j * Layout::ROW_STEP < p.filters && walk.i < phase.h.taps;
    }
    __device__ __forceinline__ const uint4* address(int j) const {
        const int r = phase.h.first + walk.i * phase.h.every, s = phase.w.first + walk.j * phase.w.every;
        const int64_t row = static_cast<int64_t>(r * p.kernel_w + s) * p.filters + j * Layout::ROW_STEP;
        return w + row * p.channel_vectors + walk.c;
    }
    __device__ __forceinline__ uint4 read(int j) const { return valid(j) ? *address(j) : zero_vector(); }
    __device__ __forceinline__ void advance() { walk.advance(p, phase); }
};

// Puts the rows of a phase to their pixels of y.
struct PhaseOutput {
    Output output;  // its rows are all pixels of y
    const PhaseParams& p;
    const Phase& phase;

    __device__ __forceinline__ int pixel(int row) const {
        const int line = row / phase.w.extent, picture = line / phase.h.extent;
        const int h = (line - picture * phase.h.extent) * p.stride_h + phase.h.phase;
        const int w = (row - line * phase.w.extent) * p.stride_w + phase.w.phase;
        return row < phase.pixels ? (picture * p.out_height + h) * p.out_width + w : output.rows;
    }
    template <typename Sum>
    __device__ __forceinline__ typename Real<Sum>::Terms terms(int column) const {
        return output.terms<Sum>(column);
    }
    __device__ __forceinline__ RawRow8 residual(int row, int column) const {
        return output.residual(pixel(row), column);
    }
    template <typename Sum>
    __device__ __forceinline__ void store(const typename Real<Sum>::Terms& terms, int row, int column,
                                          const Sum (&x)[8], const RawRow8& residual) const {
        output.store(terms, pixel(row), column, x, residual);
    }
};

// The whole kernel, for any way a warp multiplies.
template <class Warp>
__device__ __forceinline__ void convolve_transposed(const PhaseParams& p, const EpilogueParams& epilogue,
                                                    const uint4* x, const uint4* w, const EpilogueTensors& tensors,
                                                    uint4* shared) {
    griddepcontrol_wait();
    const BlockWork work(p.grid);
    const Phase phase(p, work.batch);
    if (work.row >= phase.pixels) return;

    Warp warp;
    constexpr int VECTORS = Warp::TileA::VECTORS;
    const int steps = (phase.depth_vectors + VECTORS - 1) / VECTORS;
    // A stride longer than the kernel leaves phases without a tap: only the epilogue happens there.
    if (steps > 0) {
        const PixelSource<typename Warp::TileA> a(p, phase, x, work.row);
        const FilterSource<typename Warp::TileB> b(p, phase, w, work.column);
        accumulate<true>(warp, a, b, steps, shared, false, [] {});
    }

    const int pixels = p.pictures * p.out_height * p.out_width;
    const Output output = {epilogue, tensors, nullptr, 0, pixels, p.filters, phase.group * p.filters};
    const PhaseOutput phase_output = {output, p, phase};
    const FirstPlace<Warp> place(work);
    const Addends<typename Warp::Sum> first = {phase_output.terms<typename Warp::Sum>(place.column),
                                               phase_output.residual(place.row, place.column)};
    store_sums(warp, place, phase_output, first, shared);
}
