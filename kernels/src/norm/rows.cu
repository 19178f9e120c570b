// Normalization of rows: of a layer's trailing axes, or of each channel's plane.
//
//     y = (x - μ) / √(σ² + ε) · scale + bias,    μ and σ² (divided by n, not n-1) of the row itself
//
// Shapes     rows of `length` neighbouring elements, any outer strides. Lanes [length, padded) of y are written as
//            zeros. The parameters have strides of their own: 1 along a row and 0 from row to row for a layer's, the
//            other way round for a channel's.
// Types      x and y f16 or f32, the parameters f16 or f32; computed in f32, rounded once.
// Grid       LANES threads a row, THREADS / LANES rows a block.
// Method     three walks over the row: the mean; the mean square of what differs from it, which loses nothing where
//            the mean is large against the deviation (as Σx² - μ² would); the result.
// Traffic    x once from device memory, twice from L1 or L2; y once.
//
// Parameters LANES    threads of a row: a warp or THREADS
//            THREADS  of a block
//            X_TYPE   of x and y
//            P_TYPE   of scale and bias

#include "include/index.cuh"
#include "include/reduce.cuh"
#include "include/vector.cuh"

constexpr int VECTOR = 16 / sizeof(X_TYPE);

enum Operand { X, Y, SCALE, BIAS };

// Mirrored by `Params` in rows.rs.
struct NormParams {
    int64_t outer_strides[4][5];  // of x, y, scale, bias in elements; the last varies fastest
    int64_t scale_step;           // along a row
    int64_t bias_step;
    Divisor outer[5];
    uint32_t rank;    // of the other dims
    uint32_t rows;    // their product
    uint32_t length;  // of a row
    uint32_t padded;  // elements of a row of y to write
    uint32_t whole;   // nonzero: vectors of x and y are aligned
    uint32_t biased;  // nonzero: there is a bias
    float epsilon;
};

// The elements of a vector, zeros beyond the row.
__device__ __forceinline__ void fetch(float (&v)[VECTOR], const X_TYPE* x, int first, const NormParams& p) {
    if (p.whole && first + VECTOR <= static_cast<int>(p.length)) {
        load(v, x + first);
        return;
    }
#pragma unroll
    for (int i = 0; i < VECTOR; ++i) v[i] = first + i < static_cast<int>(p.length) ? to_f32(x[first + i]) : 0.0f;
}

// The sum over the threads of a row; all of them get it.
__device__ __forceinline__ float row_sum(float x) {
    if constexpr (LANES <= WARP) {
        return lanes_reduce<LANES>(x, Add());
    } else {
        __shared__ float shared[THREADS / WARP];
        return block_reduce(x, Add(), shared);
    }
}

extern "C" __global__ void __launch_bounds__(THREADS, 1)
    norm_rows(const X_TYPE* x, const P_TYPE* scale, const P_TYPE* bias,
              X_TYPE* __restrict__ y, const NormParams p) {
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    const uint32_t row = thread_number() / LANES;
    const int lane = threadIdx.x % LANES;
    // Threads beyond the last row stay, because the sums want whole warps.
    const bool present = row < p.rows;
    const int length = present ? static_cast<int>(p.length) : 0;
    int64_t offset[4] = {0, 0, 0, 0};
    uint32_t n = present ? row : 0;
    for (int d = static_cast<int>(p.rank) - 1; d >= 0; --d) {
        const int64_t index = take_index(n, p.outer[d]);
        for (int o = X; o <= BIAS; ++o) offset[o] += index * p.outer_strides[o][d];
    }
    x += offset[X];
    y += offset[Y];
    scale += offset[SCALE];

    float sum = 0.0f;
    for (int first = lane * VECTOR; first < length; first += LANES * VECTOR) {
        float v[VECTOR];
        fetch(v, x, first, p);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) sum += v[i];
    }
    const float mean = row_sum(sum) / static_cast<float>(p.length);

    float squares = 0.0f;
    for (int first = lane * VECTOR; first < length; first += LANES * VECTOR) {
        float v[VECTOR];
        fetch(v, x, first, p);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) {
            const float difference = first + i < length ? v[i] - mean : 0.0f;
            squares += difference * difference;
        }
    }
    const float variance = row_sum(squares) / static_cast<float>(p.length);
    const float factor = 1.0f / sqrtf(variance + p.epsilon);

    const int written = present ? static_cast<int>(p.padded) : 0;
    for (int first = lane * VECTOR; first < written; first += LANES * VECTOR) {
        float v[VECTOR];
        fetch(v, x, first, p);
#pragma unroll
        for (int i = 0; i < VECTOR; ++i) {
            const int at = first + i;
            if (at >= length) continue;
            const float shift = p.biased ? to_f32(bias[offset[BIAS] + at * p.bias_step]) : 0.0f;
            v[i] = (v[i] - mean) * factor * to_f32(scale[at * p.scale_step]) + shift;
        }
        clear_from(v, length - first);
        if (p.whole && first + VECTOR <= written) {
            store(y + first, v);
        } else {
#pragma unroll
            for (int i = 0; i < VECTOR; ++i) {
                if (first + i < written) y[first + i] = from_f32<X_TYPE>(v[i]);
            }
        }
    }
}
