// What every kernel does to its sums before they are stored; `ops/epilogue.rs` is the definition.
//
//     y = post( pre(sum + bias) + residual )        all in float, rounded once
//
// Sums of floats are that. Sums of integers, of an INT8 product, become reals on the way, and everything after is
// exact, operation by operation, as `ops/exact.rs` defines it. Either may be stored as integers, and a residual
// may be integers of another scale:
//
//     x = fma(sum, scales[k], bias[k])     or, of floats, sum + bias[k]
//     x = pre(x);  x = fma(r, residual_scale, x)           with a residual only; scale 1 for reals
//     x = post(x)
//     q = clamp(round_half_even(x · inv_scale), -128, 127)     where y is s8
//
// The output is seen as a matrix: a row for each pixel (or row of a GEMM), a column for each channel. Rows lie
// `pitch` elements apart. Lanes from `columns` to `padded_columns` are written as zeros, so that whoever reads
// the tensor may load whole vectors; whoever stores the last columns writes all of them. The structs below are
// mirrored, field by field, in `kernels/src/epilogue.rs`.
#pragma once
#include "include/saturate.cuh"

struct EpilogueParams {
    ActivationParams pre;   // before the residual is added
    ActivationParams post;  // last
    int y_type;             // ElementType
    int residual_type;
    float inv_scale;        // 1 / scale of y's integers
    float residual_scale;   // of the residual's integers; 1 for reals
    int y_pitch;            // elements from one row to the next
    int residual_pitch;
    int columns;         // channels that hold numbers
    int padded_columns;  // channels written; those beyond `columns` as zeros
    int vectors;         // 1: eight columns of y and of the residual can be accessed at once; see row.cuh
};

// The tensors of an epilogue; a null pointer is one that the site does not have.
struct EpilogueTensors {
    const float* bias;    // one per column, zero-padded to a multiple of 8
    const float* scales;  // likewise; only sums of integers have them
    const void* residual;
    void* y;
};

// How sums of a type become reals, and which activations follow. `Terms` are what eight columns from `column` on are
// scaled by and added to, the same for every row; columns behind the last have padding there. `Term` is that of one.
template <typename Sum>
struct Real;

template <>
struct Real<float> {
    typedef Fast Way;
    struct Terms {
        float bias[8];
    };
    struct Term {
        float bias;
    };
    static __device__ __forceinline__ Terms terms(const EpilogueTensors& t, int column) {
        Terms terms = {};
        if (t.bias) load_row_8(t.bias + column, terms.bias);
        return terms;
    }
    static __device__ __forceinline__ void of(const Terms& terms, const float (&sums)[8], float (&x)[8]) {
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = sums[i] + terms.bias[i];
    }
    static __device__ __forceinline__ Term term(const EpilogueTensors& t, int column) {
        return {t.bias ? t.bias[column] : 0.0f};
    }
    static __device__ __forceinline__ float of(const Term& term, float sum) { return sum + term.bias; }
};

// A sum of integers as f32: rounded from s32, or summed up there where it stays below 2^24 and so is exact.
struct Whole {
    float value;
};

template <>
struct Real<Whole> {
    typedef Exact Way;
    struct Terms {
        float bias[8], scales[8];
    };
    struct Term {
        float bias, scale;
    };
    static __device__ __forceinline__ Terms terms(const EpilogueTensors& t, int column) {
        Terms terms = {};
        if (t.bias) load_row_8(t.bias + column, terms.bias);
        load_row_8(t.scales + column, terms.scales);
        return terms;
    }
    static __device__ __forceinline__ void of(const Terms& terms, const Whole (&sums)[8], float (&x)[8]) {
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = __fmaf_rn(sums[i].value, terms.scales[i], terms.bias[i]);
    }
    static __device__ __forceinline__ Term term(const EpilogueTensors& t, int column) {
        return {t.bias ? t.bias[column] : 0.0f, t.scales[column]};
    }
    static __device__ __forceinline__ float of(const Term& term, Whole sum) {
        return __fmaf_rn(sum.value, term.scale, term.bias);
    }
};

template <>
struct Real<int> {
    typedef Exact Way;
    typedef Real<Whole>::Terms Terms;
    typedef Real<Whole>::Term Term;
    static __device__ __forceinline__ Terms terms(const EpilogueTensors& t, int column) {
        return Real<Whole>::terms(t, column);
    }
    static __device__ __forceinline__ Term term(const EpilogueTensors& t, int column) {
        return Real<Whole>::term(t, column);
    }
    static __device__ __forceinline__ void of(const Terms& terms, const int (&sums)[8], float (&x)[8]) {
        Whole whole[8];
#pragma unroll
        for (int i = 0; i < 8; ++i) whole[i].value = __int2float_rn(sums[i]);
        Real<Whole>::of(terms, whole, x);
    }
    static __device__ __forceinline__ float of(const Term& term, int sum) {
        return Real<Whole>::of(term, Whole{__int2float_rn(sum)});
    }
};

// The term of one column; whoever asks for it ahead of the sum waits for memory once instead of twice.
template <typename Sum>
__device__ __forceinline__ typename Real<Sum>::Term load_term(const EpilogueParams& p, const EpilogueTensors& t,
                                                              int column) {
    if (column >= p.columns) return {};
    return Real<Sum>::term(t, column);
}

// Finishes and stores one sum. For kernels whose threads own single channels; they come to the padding by themselves.
template <typename Sum>
__device__ __forceinline__ void epilogue_1(const EpilogueParams& p, const EpilogueTensors& t,
                                           const typename Real<Sum>::Term& term, int64_t row, int column, Sum sum) {
    if (column >= p.padded_columns) return;
    float x = 0.0f;
    if (column < p.columns) {
        typedef typename Real<Sum>::Way Way;
        x = Real<Sum>::of(term, sum);
        if (t.residual) {
            const float addend = load_1(t.residual, p.residual_type, row * p.residual_pitch + column);
            x = __fmaf_rn(addend, p.residual_scale, activate<Way>(p.pre, x));
        }
        x = activate<Way>(p.post, x);
    }
    store_1(t.y, p.y_type, row * p.y_pitch + column, p.inv_scale, x);
}

template <typename Sum>
__device__ __forceinline__ void epilogue_1(const EpilogueParams& p, const EpilogueTensors& t, int64_t row,
                                           int column, Sum sum) {
    epilogue_1(p, t, load_term<Sum>(p, t, column), row, column, sum);
}

// The residual's share of eight sums, loaded ahead of their epilogue so that the wait overlaps other work.
__device__ __forceinline__ RawRow8 load_residual_8(const EpilogueParams& p, const EpilogueTensors& t, int64_t row,
                                                   int column) {
    if (!t.residual || !p.vectors || column >= p.columns) return {zero_vector(), zero_vector()};
    return load_raw_8(t.residual, p.residual_type, row * p.residual_pitch + column, p.columns - column);
}

// The terms of eight columns, for a thread that finishes several rows of them.
template <typename Sum>
__device__ __forceinline__ typename Real<Sum>::Terms load_terms_8(const EpilogueParams& p, const EpilogueTensors& t,
                                                                  int column) {
    if (!p.vectors || column >= p.columns) return {};
    return Real<Sum>::terms(t, column);
}

// What `epilogue_rows_8` does, where integers of 8 bits and a residual of such are all there is to it: an activation that
// saturation is enough for, and whole eights of columns. False, and nothing is done, where there is more to it.
template <int COUNT, typename Sum>
__device__ __forceinline__ bool saturate_rows_8(const EpilogueParams& p, const EpilogueTensors& t,
                                                const typename Real<Sum>::Terms& terms, int64_t row, int64_t step,
                                                int count, int column, const Sum (&sums)[COUNT][8],
                                                const RawRow8 (&residual)[COUNT]) {
    if (p.y_type != ELEMENT_S8 || !Clip::is(p.post) || p.columns - column < 8) return false;
    if (t.residual && (p.residual_type != ELEMENT_S8 || p.pre.kind != ACTIVATION_IDENTITY)) return false;
    const Saturate saturate(Clip(p.post), p.inv_scale);
    if (!saturate.enough) return false;
    const bool pads = p.columns - column == 8 && p.padded_columns - column > 8;
    float x[COUNT][8];
#pragma unroll
    for (int r = 0; r < COUNT; ++r) Real<Sum>::of(terms, sums[r], x[r]);
    if (t.residual) {
#pragma unroll
        for (int r = 0; r < COUNT; ++r) {
            float addend[8];
            unpack_s8(made_here(residual[r].low.x), addend);
            unpack_s8(made_here(residual[r].low.y), addend + 4);
#pragma unroll
            for (int i = 0; i < 8; ++i) x[r][i] = __fmaf_rn(addend[i], p.residual_scale, x[r][i]);
        }
    }
    char* line = static_cast<char*>(t.y) + row * p.y_pitch + column;
#pragma unroll
    for (int r = 0; r < COUNT; ++r, line += step * p.y_pitch) {
        const uint2 bytes = saturate(x[r]);
        if (r < count) *reinterpret_cast<uint2*>(line) = bytes;
        if (r < count && pads) reinterpret_cast<uint2*>(line)[1] = make_uint2(0, 0);
    }
    return true;
}

// Finishes and stores eight sums of each of `count` <= COUNT rows, `row` and those `step` apart, columns `column`.. (a
// multiple of 8), and the padding that follows them. Only where `p.vectors` is set. What is known at run time only is
// asked once for all rows.
template <int COUNT, typename Sum>
__device__ __forceinline__ void epilogue_rows_8(const EpilogueParams& p, const EpilogueTensors& t,
                                                const typename Real<Sum>::Terms& terms, int64_t row, int64_t step,
                                                int count, int column, const Sum (&sums)[COUNT][8],
                                                const RawRow8 (&residual)[COUNT]) {
    if (column >= p.columns) return;
    if constexpr (Real<Sum>::Way::EXACT) {
        if (saturate_rows_8(p, t, terms, row, step, count, column, sums, residual)) return;
    }
    float x[COUNT][8];
#pragma unroll
    for (int r = 0; r < COUNT; ++r) Real<Sum>::of(terms, sums[r], x[r]);
    // Both activations go through one copy of the code, which is most of a kernel's length otherwise.
#pragma unroll 1
    for (int last = t.residual ? 0 : 1; last < 2; ++last) {
        // Field by field: a choice between two addresses would move the parameters to local memory.
        const ActivationParams f = {last ? p.post.kind : p.pre.kind, last ? p.post.a : p.pre.a,
                                    last ? p.post.b : p.pre.b};
        activate<typename Real<Sum>::Way>(f, reinterpret_cast<float(&)[COUNT * 8]>(x));
        if (!last) {
#pragma unroll
            for (int r = 0; r < COUNT; ++r) {
                // Else the numbers of every type would be unpacked ahead of the loop, for sites without a residual too.
                RawRow8 raw = residual[r];
                raw.low.x = made_here(raw.low.x), raw.low.y = made_here(raw.low.y);
                raw.low.z = made_here(raw.low.z), raw.low.w = made_here(raw.low.w);
                float addend[8];
                unpack_8(raw, p.residual_type, addend);
#pragma unroll
                for (int i = 0; i < 8; ++i) x[r][i] = __fmaf_rn(addend[i], p.residual_scale, x[r][i]);
            }
        }
    }
    const int left = p.columns - column;
    if (left < 8) {
#pragma unroll
        for (int r = 0; r < COUNT; ++r) {
#pragma unroll
            for (int i = 1; i < 8; ++i) x[r][i] = i < left ? x[r][i] : 0.0f;
        }
    }
    const int lanes = left > 8 ? 8 : p.padded_columns - column;
    store_raw_rows_8(t.y, p.y_type, row * p.y_pitch + column, step * p.y_pitch, count, lanes, p.inv_scale, x);
}

// The same for a single row.
template <typename Sum>
__device__ __forceinline__ void epilogue_8(const EpilogueParams& p, const EpilogueTensors& t,
                                           const typename Real<Sum>::Terms& terms, int64_t row, int column,
                                           const Sum (&sums)[8], const RawRow8& residual) {
    epilogue_rows_8<1, Sum>(p, t, terms, row, 0, 1, column, reinterpret_cast<const Sum(&)[1][8]>(sums), {residual});
}

// The same where there is nothing to overlap the residual's loading with.
template <typename Sum>
__device__ __forceinline__ void epilogue_8(const EpilogueParams& p, const EpilogueTensors& t, int64_t row,
                                           int column, const Sum (&sums)[8], const RawRow8& residual) {
    epilogue_8(p, t, load_terms_8<Sum>(p, t, column), row, column, sums, residual);
}
template <typename Sum>
__device__ __forceinline__ void epilogue_8(const EpilogueParams& p, const EpilogueTensors& t, int64_t row,
                                           int column, const Sum (&sums)[8]) {
    epilogue_8(p, t, row, column, sums, load_residual_8(p, t, row, column));
}

// The same whether or not rows can be accessed in vectors. Columns from `end` on are another group's; where there is
// none behind, that is `columns`.
template <typename Sum>
__device__ __forceinline__ void epilogue_any_8(const EpilogueParams& p, const EpilogueTensors& t,
                                               const typename Real<Sum>::Terms& terms, int64_t row, int column,
                                               int end, const Sum (&sums)[8], const RawRow8& residual) {
    if (p.vectors) {
        epilogue_8(p, t, terms, row, column, sums, residual);
        return;
    }
    const int stop = column + 8 < end ? column + 8 : end < p.columns ? end : p.padded_columns;
#pragma unroll 1
    for (int at = column; at < stop; ++at) {
        Sum sum = sums[0];
#pragma unroll
        for (int i = 1; i < 8; ++i) sum = at == column + i ? sums[i] : sum;
        epilogue_1(p, t, row, at, sum);
    }
}

// The tensors as batch `batch` of a batched product sees them: y moves by `stride_y` elements, the residual by
// `rows` of its rows.
__device__ __forceinline__ EpilogueTensors tensors_of_batch(const EpilogueParams& p, const EpilogueTensors& t, int batch,
                                                            int64_t stride_y, int rows) {
    const int64_t y_bytes = batch * stride_y * (4 >> p.y_type);
    const int64_t residual_bytes = static_cast<int64_t>(batch) * rows * p.residual_pitch * (4 >> p.residual_type);
    return {t.bias, t.scales, t.residual ? static_cast<const char*>(t.residual) + residual_bytes : nullptr,
            static_cast<char*>(t.y) + y_bytes};
}
