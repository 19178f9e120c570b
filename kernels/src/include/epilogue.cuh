// What every kernel does to its sums before they are stored; `ops/epilogue.rs` is the definition.
//
//     y = post( pre(sum + bias) + residual )        all in float, rounded once
//
// The output is seen as a matrix: a row for each pixel (or row of a GEMM), a column for each channel. Rows lie
// `pitch` elements apart. Lanes from `columns` to `padded_columns` are written as zeros, so that whoever reads
// the tensor may load whole vectors. The structs below are mirrored, field by field, in `kernels/src/epilogue.rs`.
#pragma once
#include "include/ptx.cuh"

// Kinds of activation; the numbers are those of `ActivationParams::new` in epilogue.rs.
enum ActivationKind : int {
    ACTIVATION_IDENTITY = 0,
    ACTIVATION_CLIP = 1,          // min(max(x, a), b); Relu is Clip(0, infinity)
    ACTIVATION_LEAKY_RELU = 2,    // x >= 0 ? x : a·x
    ACTIVATION_SIGMOID = 3,       // 1 / (1 + e^-x)
    ACTIVATION_HARD_SIGMOID = 4,  // min(max(a·x + b, 0), 1)
    ACTIVATION_HARD_SWISH = 5,    // x · min(max(x/6 + 1/2, 0), 1)
    ACTIVATION_SILU = 6,          // x / (1 + e^-x)
    ACTIVATION_TANH = 7,
};

struct ActivationParams {
    int kind;
    float a;
    float b;
};

struct EpilogueParams {
    ActivationParams pre;   // before the residual is added
    ActivationParams post;  // last
    int y_is_f16;           // else f32
    int residual_is_f16;    // else f32
    int y_pitch;            // elements from one row to the next
    int residual_pitch;
    int columns;         // channels that hold numbers
    int padded_columns;  // channels written; those beyond `columns` as zeros
    int vectors;         // 1: rows of y and of the residual start 16-byte aligned, padding is whole vectors
};

// The tensors of an epilogue; a null pointer is one that the site does not have.
struct EpilogueTensors {
    const float* bias;     // one per column, zero-padded to a multiple of 8
    const void* residual;
    void* y;
};

// Not fmaxf and fminf: those turn NaN into a bound, and NaN has to stay visible.
__device__ __forceinline__ float clamp(float x, float low, float high) {
    const float raised = x < low ? low : x;
    return raised > high ? high : raised;
}

// Applies one activation to W numbers. The kind is the same for the whole grid, so it is asked for once and the
// loops inside have no branch. __fdividef is the division of two instructions, right to 2 units in the last place.
template <int W>
__device__ __forceinline__ void activate(const ActivationParams& f, float (&x)[W]) {
    switch (f.kind) {
        case ACTIVATION_CLIP:
#pragma unroll
            for (int i = 0; i < W; ++i) x[i] = clamp(x[i], f.a, f.b);
            break;
        case ACTIVATION_LEAKY_RELU:
#pragma unroll
            for (int i = 0; i < W; ++i) x[i] = x[i] >= 0.0f ? x[i] : f.a * x[i];
            break;
        case ACTIVATION_HARD_SIGMOID:
#pragma unroll
            for (int i = 0; i < W; ++i) x[i] = clamp(f.a * x[i] + f.b, 0.0f, 1.0f);
            break;
        case ACTIVATION_HARD_SWISH:
#pragma unroll
            for (int i = 0; i < W; ++i) x[i] *= clamp(x[i] * (1.0f / 6.0f) + 0.5f, 0.0f, 1.0f);
            break;
        case ACTIVATION_SIGMOID:
        case ACTIVATION_SILU:
#pragma unroll
            for (int i = 0; i < W; ++i) {
                x[i] = __fdividef(f.kind == ACTIVATION_SILU ? x[i] : 1.0f, 1.0f + expf(-x[i]));
            }
            break;
        case ACTIVATION_TANH:
#pragma unroll
            for (int i = 0; i < W; ++i) x[i] = tanhf(x[i]);
            break;
        default:
            break;
    }
}

__device__ __forceinline__ float activate(const ActivationParams& f, float x) {
    float one[1] = {x};
    activate(f, one);
    return one[0];
}

// Eight halves of a 16-byte vector, widened.
__device__ __forceinline__ void unpack_f16(uint4 vector, float (&x)[8]) {
    const uint32_t words[4] = {vector.x, vector.y, vector.z, vector.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        f16 low, high;
        low.bits = static_cast<uint16_t>(words[i]);
        high.bits = static_cast<uint16_t>(words[i] >> 16);
        x[2 * i] = to_f32(low);
        x[2 * i + 1] = to_f32(high);
    }
}

__device__ __forceinline__ uint4 pack_f16(const float (&x)[8]) {
    return make_uint4(cvt_rn_f16x2_f32(x[0], x[1]), cvt_rn_f16x2_f32(x[2], x[3]), cvt_rn_f16x2_f32(x[4], x[5]),
                      cvt_rn_f16x2_f32(x[6], x[7]));
}

// Eight neighbouring elements of a row that starts 16-byte aligned, as they lie in memory: one vector of f16, two of
// f32.
struct RawRow8 {
    uint4 low, high;
};

// The eight elements at `offset`. Where only `lanes` <= 4 of them are wanted, the second vector of an f32 matrix
// is not touched: it may lie behind the last row.
__device__ __forceinline__ RawRow8 load_raw_8(const void* matrix, bool is_f16, int64_t offset, int lanes) {
    RawRow8 row = {zero_vector(), zero_vector()};
    if (is_f16) {
        row.low = *reinterpret_cast<const uint4*>(static_cast<const f16*>(matrix) + offset);
    } else {
        const uint4* const source = reinterpret_cast<const uint4*>(static_cast<const float*>(matrix) + offset);
        row.low = source[0];
        if (lanes > 4) row.high = source[1];
    }
    return row;
}

__device__ __forceinline__ void unpack_8(const RawRow8& row, bool is_f16, float (&x)[8]) {
    if (is_f16) {
        unpack_f16(row.low, x);
    } else {
        const uint32_t words[8] = {row.low.x,  row.low.y,  row.low.z,  row.low.w,
                                   row.high.x, row.high.y, row.high.z, row.high.w};
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = __uint_as_float(words[i]);
    }
}

// Eight 16-byte aligned floats.
__device__ __forceinline__ void load_row_8(const float* row, float (&x)[8]) {
    unpack_8(load_raw_8(row, false, 0, 8), false, x);
}

// The counterpart: writes 8 elements, or 4 of an f32 matrix whose padding ends there.
__device__ __forceinline__ void store_row_8(void* matrix, bool is_f16, int64_t offset, int lanes,
                                            const float (&x)[8]) {
    if (is_f16) {
        *reinterpret_cast<uint4*>(static_cast<f16*>(matrix) + offset) = pack_f16(x);
    } else {
        float4* target = reinterpret_cast<float4*>(static_cast<float*>(matrix) + offset);
        target[0] = make_float4(x[0], x[1], x[2], x[3]);
        if (lanes > 4) target[1] = make_float4(x[4], x[5], x[6], x[7]);
    }
}

// One number of a matrix stored as f16 or f32.
__device__ __forceinline__ float load_1(const void* matrix, bool is_f16, int64_t offset) {
    return is_f16 ? to_f32(static_cast<const f16*>(matrix)[offset]) : static_cast<const float*>(matrix)[offset];
}

__device__ __forceinline__ void store_1(void* matrix, bool is_f16, int64_t offset, float x) {
    if (is_f16) {
        static_cast<f16*>(matrix)[offset] = from_f32<f16>(x);
    } else {
        static_cast<float*>(matrix)[offset] = x;
    }
}

// Finishes and stores one sum. For kernels whose threads own single channels.
__device__ __forceinline__ void epilogue_1(const EpilogueParams& p, const EpilogueTensors& t, int64_t row,
                                           int column, float sum) {
    if (column >= p.padded_columns) return;
    float x = 0.0f;
    if (column < p.columns) {
        x = sum;
        if (t.bias) x += t.bias[column];
        if (t.residual) {
            x = activate(p.pre, x) + load_1(t.residual, p.residual_is_f16, row * p.residual_pitch + column);
        }
        x = activate(p.post, x);
    }
    store_1(t.y, p.y_is_f16, row * p.y_pitch + column, x);
}

// The residual's share of eight sums, loaded ahead of their epilogue so that the wait overlaps other work.
__device__ __forceinline__ RawRow8 load_residual_8(const EpilogueParams& p, const EpilogueTensors& t, int64_t row,
                                                   int column) {
    if (!t.residual || !p.vectors) return {zero_vector(), zero_vector()};
    return load_raw_8(t.residual, p.residual_is_f16, row * p.residual_pitch + column, p.columns - column);
}

// Finishes and stores eight sums of one row, columns `column`.. (a multiple of 8). Only where `p.vectors` is set.
__device__ __forceinline__ void epilogue_8(const EpilogueParams& p, const EpilogueTensors& t, int64_t row,
                                           int column, float (&x)[8], const RawRow8& residual) {
    const int lanes = p.padded_columns - column;
    if (lanes <= 0) return;
    if (t.bias) {
        float bias[8];
        load_row_8(t.bias + column, bias);
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] += bias[i];
    }
    // Both activations go through one copy of the code, which is most of a kernel's length otherwise.
#pragma unroll 1
    for (int last = t.residual ? 0 : 1; last < 2; ++last) {
        // Field by field: a choice between two addresses would move the parameters to local memory.
        const ActivationParams f = {last ? p.post.kind : p.pre.kind, last ? p.post.a : p.pre.a,
                                    last ? p.post.b : p.pre.b};
        activate(f, x);
        if (!last) {
            float addend[8];
            unpack_8(residual, p.residual_is_f16, addend);
#pragma unroll
            for (int i = 0; i < 8; ++i) x[i] += addend[i];
        }
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        if (column + i >= p.columns) x[i] = 0.0f;
    }
    store_row_8(t.y, p.y_is_f16, row * p.y_pitch + column, lanes, x);
}

// The same where there is nothing to overlap the residual's loading with.
__device__ __forceinline__ void epilogue_8(const EpilogueParams& p, const EpilogueTensors& t, int64_t row,
                                           int column, float (&x)[8]) {
    epilogue_8(p, t, row, column, x, load_residual_8(p, t, row, column));
}

// The tensors as batch `batch` of a batched product sees them: y moves by `stride_y` elements, the residual by
// `rows` of its rows.
__device__ __forceinline__ EpilogueTensors tensors_of_batch(const EpilogueParams& p, const EpilogueTensors& t, int batch,
                                                            int64_t stride_y, int rows) {
    const int64_t y_bytes = batch * stride_y * (p.y_is_f16 ? 2 : 4);
    const int64_t residual_bytes = static_cast<int64_t>(batch) * rows * p.residual_pitch * (p.residual_is_f16 ? 2 : 4);
    return {t.bias, t.residual ? static_cast<const char*>(t.residual) + residual_bytes : nullptr,
            static_cast<char*>(t.y) + y_bytes};
}
