// conv/direct: convolution with any groups, any number of channels, any mixture of f16 and f32, or s8. The general way
// out: it takes every site, at the price of reading x once per tap and filter from L1.
//
// y[n,p,q,k] = epilogue( Σ_{r,s,c} x[n, p·stride + r·dilation - pad, q·.. + s·.. - pad, first(k) + c] · w[r,s,c,k] )
//
// Shapes     x (N,H,W,C) of type INPUT; w [R·S][C/groups][k_pad] of type WEIGHT, k over all groups; y (N,P,Q,K) and
//            residual f32, f16 or s8. Sums are f32, of s8 s32.
// Grid       one thread for one channel of PIXELS neighbouring output pixels; channels vary fastest, so that a warp
//            reads w and writes y in one piece and the lanes of a group read the same x.
// Work       2·N·P·Q·K·R·S·C/groups operations; w is read once per PIXELS pixels.
//
// Defined on the command line: INPUT, WEIGHT (f16 or float each, or both int8_t), PIXELS. The struct is mirrored in direct.rs.
#include "include/epilogue.cuh"

struct DirectParams {
    int height, width, pitch;  // of x
    int out_height, out_width;
    int kernel_height, kernel_width;
    int stride_h, stride_w;
    int dilation_h, dilation_w;
    int pad_h, pad_w;
    int pixels;
    int group_channels, group_filters;
    int filters_padded;  // a row of w
};

// What products are summed up in.
template <typename Input>
struct Product {
    typedef float Sum;
    static __device__ __forceinline__ float add(float sum, INPUT x, WEIGHT w) {
        return fmaf(to_f32(x), to_f32(w), sum);
    }
};
template <>
struct Product<int8_t> {
    typedef int Sum;
    static __device__ __forceinline__ int add(int sum, int8_t x, int8_t w) { return sum + x * w; }
};
typedef Product<INPUT>::Sum Sum;

extern "C" __global__ void __launch_bounds__(128, 4)
conv_direct(const INPUT* x, const WEIGHT* __restrict__ w, const float* __restrict__ bias,
            const float* __restrict__ scales, const void* residual, void* __restrict__ y,
            const DirectParams p, const EpilogueParams epilogue) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    const int64_t item = static_cast<int64_t>(blockIdx.x) * 128 + threadIdx.x;
    const int first = static_cast<int>(item / epilogue.padded_columns) * PIXELS;
    const int k = static_cast<int>(item % epilogue.padded_columns);
    if (first >= p.pixels) return;

    int top[PIXELS], left[PIXELS];
    const INPUT* corner[PIXELS];
    Sum sums[PIXELS];
    const bool real = k < epilogue.columns;  // not a padding lane
    const int channel = real ? k / p.group_filters * p.group_channels : 0;
#pragma unroll
    for (int i = 0; i < PIXELS; ++i) {
        const int line = (first + i) / p.out_width, image = line / p.out_height;
        // Pixels behind the last lie above every picture.
        top[i] = first + i < p.pixels ? (line - image * p.out_height) * p.stride_h - p.pad_h : -(1 << 30);
        left[i] = (first + i - line * p.out_width) * p.stride_w - p.pad_w;
        corner[i] = x + static_cast<int64_t>(image) * p.height * p.width * p.pitch + channel;
        sums[i] = 0;
    }

    for (int r = 0; real && r < p.kernel_height; ++r) {
        for (int s = 0; s < p.kernel_width; ++s) {
            const WEIGHT* filter = w + static_cast<int64_t>(r * p.kernel_width + s) * p.group_channels * p.filters_padded + k;
            const INPUT* pixel[PIXELS];
            bool inside[PIXELS];
#pragma unroll
            for (int i = 0; i < PIXELS; ++i) {
                const int row = top[i] + r * p.dilation_h, column = left[i] + s * p.dilation_w;
                inside[i] = static_cast<uint32_t>(row) < static_cast<uint32_t>(p.height) &&
                            static_cast<uint32_t>(column) < static_cast<uint32_t>(p.width);
                pixel[i] = corner[i] + (static_cast<int64_t>(row) * p.width + column) * p.pitch;
            }
#pragma unroll 4
            for (int c = 0; c < p.group_channels; ++c) {
                const WEIGHT weight = filter[static_cast<int64_t>(c) * p.filters_padded];
#pragma unroll
                for (int i = 0; i < PIXELS; ++i) {
                    if (inside[i]) sums[i] = Product<INPUT>::add(sums[i], pixel[i][c], weight);
                }
            }
        }
    }

#pragma unroll 1
    for (int i = 0; i < PIXELS; ++i) {
        Sum sum = sums[0];
#pragma unroll
        for (int j = 1; j < PIXELS; ++j) sum = j == i ? sums[j] : sum;
        if (first + i < p.pixels) epilogue_1(epilogue, {bias, scales, residual, y}, first + i, k, sum);
    }
}
