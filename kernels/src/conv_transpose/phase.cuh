// A block's share of a transposed convolution as a matrix product: BLOCK_M output pixels of one phase by BLOCK_N
// filters of one group, summed over the phase's taps and the group's channels.
//
// Grid: x: tiles of pixels, y: tiles of filters, z: phase and group. Phases differ in size by a row and a column
// at most; blocks beyond the end of a smaller one have nothing to do.
#pragma once

#include "conv_transpose/transposed.cuh"

// The taps of one axis that count in one phase are every `step`-th from `first` on.
struct PhaseAxis {
    int phase;   // output coordinate modulo stride
    int extent;  // outputs of this phase
};

struct Phase {
    PhaseAxis h, w;
    int group;
    int pixels;  // of all pictures
};

__device__ __forceinline__ Phase phase_of_block(const TransposedParams& p) {
    int z = static_cast<int>(blockIdx.z);
    Phase phase;
    phase.group = z % p.groups;
    z /= p.groups;
    phase.w.phase = z % p.stride_w;
    phase.h.phase = z / p.stride_w;
    phase.h.extent = (p.y_h - phase.h.phase + p.stride_h - 1) / p.stride_h;
    phase.w.extent = (p.y_w - phase.w.phase + p.stride_w - 1) / p.stride_w;
    phase.pixels = p.pictures * phase.h.extent * phase.w.extent;
    return phase;
}

// Pixel `m` of a phase.
struct PhasePixel {
    int picture, h, w;  // h and w count outputs of the phase
};

__device__ __forceinline__ PhasePixel phase_pixel(const Phase& phase, int m) {
    PhasePixel at;
    at.w = m % phase.w.extent;
    m /= phase.w.extent;
    at.h = m % phase.h.extent;
    at.picture = m / phase.h.extent;
    return at;
}

// Where a pixel of a phase lies in y, as a row of the epilogue's matrix.
__device__ __forceinline__ int64_t output_row(const TransposedParams& p, const Phase& phase, int m) {
    const PhasePixel at = phase_pixel(phase, m);
    const int64_t h = at.h * p.stride_h + phase.h.phase;
    return (at.picture * static_cast<int64_t>(p.y_h) + h) * p.y_w + at.w * p.stride_w + phase.w.phase;
}

// Walks the taps that count in a phase and, for each, the channels in steps of `step`.
struct TapWalk {
    int r, s;      // the tap
    int channel;   // first of the step
    int dh, dw;    // input coordinate minus the pixel's coordinate within the phase

    // Moves on from tap (r, s - 1) to the first one that counts; false if there is none.
    __device__ __forceinline__ bool settle(const TransposedParams& p, const Phase& phase) {
        for (; r < p.kernel_h; ++r, s = 0) {
            const int h = phase.h.phase + p.pad_h - r * p.dilation_h;
            if (h % p.stride_h != 0) continue;
            for (; s < p.kernel_w; ++s) {
                const int w = phase.w.phase + p.pad_w - s * p.dilation_w;
                if (w % p.stride_w != 0) continue;
                dh = h / p.stride_h;
                dw = w / p.stride_w;
                return true;
            }
        }
        return false;
    }

    __device__ __forceinline__ bool start(const TransposedParams& p, const Phase& phase) {
        r = s = channel = dh = dw = 0;
        return settle(p, phase);
    }

    __device__ __forceinline__ bool next(const TransposedParams& p, const Phase& phase, int step) {
        channel += step;
        if (channel < p.channels) return true;
        channel = 0;
        ++s;
        return settle(p, phase);
    }
};
