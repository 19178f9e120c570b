// Transposed convolution of any shape: y[n,o,k] = epilogue( Σ over taps r that meet o, Σ_c x[n,i,c] · w[r,k,c] ).
//
// Shapes     x NHWC of X_TYPE, w [groups][R·S][K/groups][C/groups] of W_TYPE, y NHWC of f16, f32 or s8. Sums in f32,
//            of s8 in s32.
// Grid       one thread per output element, channels fastest; fewer than 2^31 threads.
// Use        groups of few channels, such as the one filter a channel that upsamples a segmentation; those whose
//            channels do not divide into vectors. The other two kernels of this folder reuse what they load.
// Traffic    y once; x and w from L1 and L2 over and over.
//
// Parameters X_TYPE, W_TYPE  f16 or float, f16 weights wanting f16 inputs; or both int8_t
//            VECTOR          channels read at once: 16 bytes' worth where C/groups divides by it, else 1

#include "include/epilogue.cuh"
#include "include/index.cuh"
#include "include/vector.cuh"

typedef SumOf<X_TYPE>::Type Sum;

struct DirectParams {
    int64_t x_pitch;
    int32_t x_h, x_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_h, pad_w;
    int32_t channels;  // of x in a group
    int32_t filters;   // channels of y in a group
    uint32_t threads;
    Divisor lanes;  // channels of y, padding included
    Divisor columns;
    Divisor rows;
    EpilogueParams epilogue;
    uint32_t reserved;
};

// Whether tap `r` reaches output coordinate `o`, and which input coordinate it then meets.
__device__ __forceinline__ bool tap_meets(int o, int r, int stride, int dilation, int pad, int extent, int& i) {
    const int distance = o + pad - r * dilation;
    if (distance < 0) return false;
    i = distance / stride;
    return i * stride == distance && i < extent;
}

// sum + Σ_i x[i]·w[i] of N reals.
template <int N, typename X, typename W>
__device__ __forceinline__ float multiply_add(float sum, const X* x, const W* w) {
    float a[N], b[N];
    load(a, x);
    load(b, w);
#pragma unroll
    for (int i = 0; i < N; ++i) sum = fmaf(a[i], b[i], sum);
    return sum;
}

// Of integers, four products an instruction.
template <int N>
__device__ __forceinline__ int32_t multiply_add(int32_t sum, const int8_t* x, const int8_t* w) {
    if constexpr (N % 4 == 0) {
        const auto a = load_vector<N / 4>(reinterpret_cast<const int32_t*>(x));
        const auto b = load_vector<N / 4>(reinterpret_cast<const int32_t*>(w));
#pragma unroll
        for (int i = 0; i < N / 4; ++i) sum = __dp4a(a.lane[i], b.lane[i], sum);
        return sum;
    } else {
        return sum + *x * *w;
    }
}

// Σ_c x[c]·w[c].
__device__ __forceinline__ Sum dot(Sum sum, const X_TYPE* x, const W_TYPE* w, int channels) {
#pragma unroll 2
    for (int c = 0; c < channels; c += VECTOR) sum = multiply_add<VECTOR>(sum, x + c, w + c);
    return sum;
}

// The sum for one output element.
__device__ __forceinline__ Sum gather(const X_TYPE* x, const W_TYPE* weights, int picture, int h, int w, int filter,
                                        const DirectParams& p) {
    const int group = filter / p.filters;
    const int64_t taps = p.kernel_h * p.kernel_w;
    const W_TYPE* own = weights + (group * taps * p.filters + filter - group * p.filters) * p.channels;
    Sum sum = 0;
    int i, j;
    for (int r = 0; r < p.kernel_h; ++r) {
        if (!tap_meets(h, r, p.stride_h, p.dilation_h, p.pad_h, p.x_h, i)) continue;
        for (int s = 0; s < p.kernel_w; ++s) {
            if (!tap_meets(w, s, p.stride_w, p.dilation_w, p.pad_w, p.x_w, j)) continue;
            const int64_t pixel = (static_cast<int64_t>(picture) * p.x_h + i) * p.x_w + j;
            const int64_t tap = r * p.kernel_w + s;
            sum = dot(sum, x + pixel * p.x_pitch + group * p.channels, own + tap * p.filters * p.channels, p.channels);
        }
    }
    return sum;
}

extern "C" __global__ void __launch_bounds__(256, 1)
    conv_transpose_direct(const X_TYPE* x, const W_TYPE* __restrict__ weights,
                          const float* __restrict__ bias, const float* __restrict__ scales,
                          const void* residual, void* __restrict__ y, const DirectParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    uint32_t n = thread_number();
    if (n >= p.threads) return;
    const int filter = static_cast<int>(take_index(n, p.lanes));
    const int64_t pixel = n;
    const int w = static_cast<int>(take_index(n, p.columns));
    const int h = static_cast<int>(take_index(n, p.rows));
    Sum sum = 0;
    if (filter < p.epilogue.columns) sum = gather(x, weights, static_cast<int>(n), h, w, filter, p);
    epilogue_1(p.epilogue, {bias, scales, residual, y}, pixel, filter, sum);
}
