// gemm/gemv: a few rows times a large matrix of weights; as fast as the weights can be read.
//
// y[i, j] = epilogue( Σ_k a[i, k] · w[j, k] ), i < m <= BATCH
//
// Shapes     a (M,K) with any pitch, w [n_pad][k_pad] row-major, both of type ELEMENT (float, f16 or int8_t), or a of
//            float: rounded to f16 or quantized to s8 as it is read; y (M,N) and residual f32, f16 or s8. Sums are
//            f32, of s8 s32.
// Grid       x: ROWS rows of w for each group of WARPS_K warps; a block is 4 warps, so 4/WARPS_K groups.
// Pipeline   what no kernel writes is asked for before the kernels ahead have ended: the first vectors of w, the bias; the
//            others a step of K before they are multiplied.
// Work       2·M·N·K operations; w is read once (the point of it), a from L1 and L2.
// Sums       each lane takes every 32nd vector along K (every 32·WARPS_K-th); lanes are added by shuffles in a tree.
//
// Defined on the command line: ELEMENT, A_ELEMENT (ELEMENT or float), BATCH (1, 2, 4, 8), ROWS, WARPS_K.
#include "include/epilogue.cuh"
#include "include/reduce.cuh"

constexpr int WARPS = 4;
constexpr int WIDTH = 16 / sizeof(ELEMENT);

struct GemvParams {
    int m, n_padded, k;
    int pitch_a;
    int depth_vectors;  // k_pad / WIDTH
    int whole;          // 1: rows of a start 16-byte aligned and k is in whole vectors
    float inv_scale_a;  // what float is quantized by
};

// A vector as it is multiplied, and the sum of its products with another.
template <typename T>
struct Operand {
    typedef float Sum;
    float x[16 / sizeof(T)];

    __device__ __forceinline__ void take(uint4 vector) { unpack(vector, x); }
    // `count` elements one by one, zeros behind them.
    __device__ __forceinline__ void take(const T* from, int count) {
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) x[i] = i < count ? to_f32(from[i]) : 0.0f;
    }
    __device__ __forceinline__ void convert(const float (&reals)[WIDTH], float) {
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) x[i] = to_f32(from_f32<T>(reals[i]));
    }
    __device__ __forceinline__ float add_products(float sum, const Operand& other) const {
#pragma unroll
        for (int i = 0; i < WIDTH; ++i) sum = fmaf(x[i], other.x[i], sum);
        return sum;
    }
};

// Four integers a word, multiplied by one instruction.
template <>
struct Operand<int8_t> {
    typedef int Sum;
    uint32_t words[4];

    __device__ __forceinline__ void take(uint4 vector) {
        words[0] = vector.x, words[1] = vector.y, words[2] = vector.z, words[3] = vector.w;
    }
    __device__ __forceinline__ void take(const int8_t* from, int count) {
#pragma unroll
        for (int i = 0; i < 4; ++i) words[i] = 0;
#pragma unroll
        for (int i = 0; i < 16; ++i) {
            if (i < count) words[i / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(from[i])) << (i % 4 * 8);
        }
    }
    __device__ __forceinline__ void convert(const float (&reals)[16], float inv_scale) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            words[i] = quantize_4(reals[4 * i], reals[4 * i + 1], reals[4 * i + 2], reals[4 * i + 3], inv_scale);
        }
    }
    __device__ __forceinline__ int add_products(int sum, const Operand& other) const {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            sum = __dp4a(static_cast<int>(words[i]), static_cast<int>(other.words[i]), sum);
        }
        return sum;
    }
};

typedef Operand<ELEMENT>::Sum Sum;

// A vector of a, `count` of its numbers inside: as it is stored, or converted.
template <typename Stored>
struct Left {
    static __device__ __forceinline__ void take(Operand<ELEMENT>& x, const Stored* from, int count, const GemvParams& p) {
        float reals[WIDTH];
        if (p.whole) {
            load(reals, from);
        } else {
#pragma unroll
            for (int i = 0; i < WIDTH; ++i) reals[i] = i < count ? from[i] : 0.0f;
        }
        x.convert(reals, p.inv_scale_a);
    }

  private:
    static __device__ __forceinline__ void load(float (&reals)[WIDTH], const float* from) {
#pragma unroll
        for (int i = 0; i < WIDTH; i += 4) {
            const float4 four = *reinterpret_cast<const float4*>(from + i);
            reals[i] = four.x, reals[i + 1] = four.y, reals[i + 2] = four.z, reals[i + 3] = four.w;
        }
    }
};

template <>
struct Left<ELEMENT> {
    static __device__ __forceinline__ void take(Operand<ELEMENT>& x, const ELEMENT* from, int count,
                                                const GemvParams& p) {
        if (p.whole) {
            x.take(*reinterpret_cast<const uint4*>(from));
        } else {
            x.take(from, count);
        }
    }
};

// One vector of each of a group's rows of w.
struct Weights {
    uint4 vectors[ROWS];

    __device__ __forceinline__ void load(const uint4* w, int column, int v, const GemvParams& p) {
#pragma unroll
        for (int j = 0; j < ROWS; ++j) {
            const bool inside = column + j < p.n_padded && v < p.depth_vectors;
            vectors[j] = inside ? w[static_cast<int64_t>(column + j) * p.depth_vectors + v] : zero_vector();
        }
    }
};

// Asks for the rows of w that a group of warps will read: no grid writes weights, so they need not wait for one.
__device__ __forceinline__ void prefetch_rows(const uint4* w, int column, int thread, const GemvParams& p) {
    constexpr int LINE = 128 / sizeof(uint4);
#pragma unroll 1
    for (int v = thread * LINE; v < p.depth_vectors; v += 32 * WARPS_K * LINE) {
#pragma unroll
        for (int j = 0; j < ROWS; ++j) {
            if (column + j < p.n_padded) prefetch_l2(w + static_cast<int64_t>(column + j) * p.depth_vectors + v);
        }
    }
}

extern "C" __global__ void __launch_bounds__(32 * WARPS, BATCH * ROWS > 16 ? 3 : 4)
gemv(const A_ELEMENT* a, const uint4* __restrict__ w, const float* __restrict__ bias,
     const float* __restrict__ scales, const void* residual, void* __restrict__ y, const GemvParams p,
     const EpilogueParams epilogue) {
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int column = (blockIdx.x * (WARPS / WARPS_K) + warp / WARPS_K) * ROWS;

    const int own = column + lane % ROWS;
    int v = warp % WARPS_K * 32 + lane;

    prefetch_rows(w, column, v, p);
    Weights ahead;
    ahead.load(w, column, v, p);
    const EpilogueTensors tensors = {bias, scales, residual, y};
    const Real<Sum>::Term term = load_term<Sum>(epilogue, tensors, own);
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();

    Sum sums[BATCH][ROWS] = {};
#pragma unroll 2
    for (; v < p.depth_vectors; v += 32 * WARPS_K) {
        Operand<ELEMENT> weights[ROWS];
#pragma unroll
        for (int j = 0; j < ROWS; ++j) weights[j].take(ahead.vectors[j]);
        ahead.load(w, column, v + 32 * WARPS_K, p);
#pragma unroll
        for (int i = 0; i < BATCH; ++i) {
            if (i < p.m) {
                Operand<ELEMENT> x;
                Left<A_ELEMENT>::take(x, a + static_cast<int64_t>(i) * p.pitch_a + v * WIDTH, p.k - v * WIDTH, p);
#pragma unroll
                for (int j = 0; j < ROWS; ++j) sums[i][j] = x.add_products(sums[i][j], weights[j]);
            }
        }
    }

    // One lane has one number.
    Sum mine = 0;
#pragma unroll
    for (int i = 0; i < BATCH; ++i) {
#pragma unroll
        for (int j = 0; j < ROWS; ++j) {
            const Sum sum = lanes_reduce<WARP>(sums[i][j], Add());
            mine = lane == i * ROWS + j ? sum : mine;
        }
    }
    const bool has = lane < BATCH * ROWS && lane / ROWS < p.m;
    if constexpr (WARPS_K > 1) {
        __shared__ Sum shares[WARPS][BATCH * ROWS];
        if (has) shares[warp][lane] = mine;
        __syncthreads();
        if (warp % WARPS_K != 0 || !has) return;
        mine = 0;
#pragma unroll
        for (int s = 0; s < WARPS_K; ++s) mine += shares[warp + s][lane];
    }
    if (has) epilogue_1(epilogue, tensors, term, lane / ROWS, own, mine);
}
