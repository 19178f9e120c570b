// The plain epilogue: short enough to be unrolled over all sums of a lane. It takes outputs of every type whose
// activations only clip (none, Relu, Clip), with residuals of f16 or s8; `epilogue.cuh` has any other.
#pragma once
#include "include/epilogue.cuh"

// True if the epilogue is a plain one.
__device__ __forceinline__ bool is_plain(const EpilogueParams& p, const EpilogueTensors& t) {
    return p.vectors && Clip::is(p.pre) && Clip::is(p.post) && !(t.residual && p.residual_type == ELEMENT_F32);
}

// Finishes eight sums of a row, of which `left` are of columns that hold numbers, and stores `lanes` of them `offset`
// elements behind `line`. `addend` are the residual's, if there is one.
template <typename Sum>
__device__ __forceinline__ void epilogue_plain_8(const EpilogueParams& p, const EpilogueTensors& t,
                                                 const typename Real<Sum>::Terms& terms, const Clip& pre,
                                                 const Clip& post, const uint4& addend, const Sum (&sums)[8], int left,
                                                 int lanes, void* line, int64_t offset) {
    float x[8];
    Real<Sum>::of(terms, sums, x);
    if (t.residual) {
        float addends[8];
        unpack_8({addend, zero_vector()}, p.residual_type, addends);
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = __fmaf_rn(addends[i], p.residual_scale, pre(x[i]));
    }
    if (p.y_type != ELEMENT_F32) {
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = post.fast(x[i]);
    } else {
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = post(x[i]);
    }
    if (left < 8) {
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = i < left ? x[i] : 0.0f;
    }
    store_raw_8(line, p.y_type, offset, lanes, p.inv_scale, x);
}
