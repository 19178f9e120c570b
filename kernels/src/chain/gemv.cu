// chain/gemv: a few rows through two or three dense layers in one launch of one cluster.
//
// y = f_3( f_2( f_1( a · w_1ᵀ ) · w_2ᵀ ) · w_3ᵀ ),   f(sum) = post(sum + bias), rounded as the layer's output is stored
//
// Shapes     a (M,K), M <= BATCH, with any pitch, of ELEMENT (float, f16 or int8_t), or with A_IS_REAL=1 float, which is
//            rounded or quantized as it is read; w_i [n_pad][k_pad] row-major, ELEMENT; y (M,N) f32, f16 or s8. Sums are f32,
//            of s8 s32.
// Requires   sm_90: clusters.
// Grid       one cluster of 8 blocks; a warp takes ROWS rows of w at a time.
// Block      8 warps.
// Shared     the rows that each layer reads, which every block has in whole: a, and what the layer before sent (distributed
//            shared memory); an mbarrier for each layer that hands on.
// Work       Σ 2·M·N·K operations; w is read once, by eight multiprocessors: for layers that are small.
// Sums       each lane takes every 32nd vector along K; lanes are added by shuffles in a tree.
//
// Defined on the command line: ELEMENT, A_IS_REAL, BATCH (1, 4, 8).
#include "include/epilogue.cuh"
#include "include/ptx_hopper.cuh"
#include "include/reduce.cuh"

constexpr int BLOCKS = 8, WARPS = 8, ROWS = 4;
constexpr int WIDTH = 16 / sizeof(ELEMENT);
constexpr int REALS = WIDTH == 4 ? 4 : 8;  // of a vector, where it holds reals

// Mirrored in `kernels/src/chain/gemv.rs`.
struct ChainLayer {
    ActivationParams post;
    float inv_scale;    // 1 / scale of the output's integers
    int columns;        // that hold numbers
    int written;        // columns that the next layer reads, or memory gets; those beyond `columns` as zeros
    int depth_vectors;  // of a row of w
};
struct ChainParams {
    ChainLayer layers[3];
    int count;
    int rows, k, pitch_a;
    int row_vectors;  // between rows in shared memory
    float inv_scale_a;
    int y_type, y_pitch;
};

struct Layer {
    const uint4* w;
    const float* bias;
    const float* scales;
};

// Products of the numbers of two vectors, added to a sum.
__device__ __forceinline__ float add_products(float sum, uint4 a, uint4 b) {
    float x[REALS], y[REALS];
    unpack(a, x);
    unpack(b, y);
#pragma unroll
    for (int i = 0; i < REALS; ++i) sum = fmaf(x[i], y[i], sum);
    return sum;
}
__device__ __forceinline__ int add_products(int sum, uint4 a, uint4 b) {
    sum = __dp4a(static_cast<int>(a.x), static_cast<int>(b.x), sum);
    sum = __dp4a(static_cast<int>(a.y), static_cast<int>(b.y), sum);
    sum = __dp4a(static_cast<int>(a.z), static_cast<int>(b.z), sum);
    return __dp4a(static_cast<int>(a.w), static_cast<int>(b.w), sum);
}

template <typename T>
struct SumOfProducts {
    typedef float Type;
};
template <>
struct SumOfProducts<int8_t> {
    typedef int Type;
};
typedef SumOfProducts<ELEMENT>::Type Sum;

// A number as the next layer reads it.
__device__ __forceinline__ void keep(float* to, float x, float) { *to = x; }
__device__ __forceinline__ void keep(f16* to, float x, float) { *to = from_f32<f16>(x); }
__device__ __forceinline__ void keep(int8_t* to, float x, float inv_scale) {
    *to = from_f32<int8_t>(__fmul_rn(x, inv_scale));
}

template <bool REAL, typename T>
struct Given {
    typedef T Type;
};
template <typename T>
struct Given<true, T> {
    typedef float Type;
};

// Brings a into shared memory, zeros behind each row; some numbers under way at once.
__device__ __forceinline__ void read_rows(const void* a, ELEMENT* to, const ChainParams& p) {
    typedef typename Given<A_IS_REAL, ELEMENT>::Type From;
    constexpr int AT_ONCE = 4, STEP = 32 * WARPS;
    const int depth = p.layers[0].depth_vectors * WIDTH;
#pragma unroll 1
    for (int row = 0; row < BATCH; ++row) {
        ELEMENT* const line = to + row * p.row_vectors * WIDTH;
        const From* const given = static_cast<const From*>(a) + static_cast<int64_t>(row) * p.pitch_a;
        const int count = row < p.rows ? p.k : 0;
#pragma unroll 1
        for (int first = threadIdx.x; first < depth; first += AT_ONCE * STEP) {
            From numbers[AT_ONCE];
#pragma unroll
            for (int i = 0; i < AT_ONCE; ++i) {
                const int at = first + i * STEP;
                numbers[i] = at < count ? given[at] : from_f32<From>(0.0f);
            }
#pragma unroll
            for (int i = 0; i < AT_ONCE; ++i) {
                const int at = first + i * STEP;
                // What is multiplied as it is given stays so: its scale is 1.
                if (at < depth) keep(line + at, to_f32(numbers[i]), p.inv_scale_a);
            }
        }
    }
}

// Asks for the weights that this warp will read: a network's do not stay in the second-level cache, and no kernel writes
// them.
__device__ __forceinline__ void prefetch_weights(const uint4* w, const ChainLayer& layer, int first) {
    if (threadIdx.x % 32 != 0) return;
#pragma unroll 1
    for (int column = first; column < layer.columns; column += BLOCKS * WARPS * ROWS) {
        const int64_t at = static_cast<int64_t>(column) * layer.depth_vectors;
        cp_async_bulk_prefetch_l2(w + at, ROWS * layer.depth_vectors * 16);
    }
}

// Four neighbours of a row, one from each of four lanes, sent to every block: each lane sends a word, if there are so many.
__device__ __forceinline__ void send(ELEMENT* to, float x, float inv_scale, uint64_t* full) {
    constexpr int WORDS = sizeof(ELEMENT);
    static_assert(ROWS == 4, "four numbers are as many words as a number has bytes");
    union {
        ELEMENT numbers[ROWS];
        uint32_t words[WORDS];
    } packed;
#pragma unroll
    for (int j = 0; j < ROWS; ++j) keep(packed.numbers + j, __shfl_sync(0xffffffffu, x, j, ROWS), inv_scale);
    const int own = threadIdx.x % ROWS;
    if (!full || own >= WORDS) return;
    uint32_t word = packed.words[0];
#pragma unroll
    for (int i = 1; i < WORDS; ++i) word = own == i ? packed.words[i] : word;
#pragma unroll
    for (int rank = 0; rank < BLOCKS; ++rank) {
        st_async(mapa(reinterpret_cast<uint32_t*>(to) + own, rank), word, mapa(full, rank));
    }
}

// What a warp needs of a layer that no kernel writes: the next few vectors of each of its rows of w, and the terms that its
// sums are finished with. It is asked for before the layer's input is there.
struct Ahead {
    static constexpr int DEEP = 4;
    uint4 weights[DEEP][ROWS];
    Real<Sum>::Term term;

    __device__ __forceinline__ Ahead(const Layer& of, const ChainLayer& layer, int column) {
        const int lane = threadIdx.x % 32, own = column + lane % ROWS;
        load(of, layer, column, lane);
        term = {};
        if (own < layer.columns) term = Real<Sum>::term({of.bias, of.scales, nullptr, nullptr}, own);
    }
    __device__ __forceinline__ void load(const Layer& of, const ChainLayer& layer, int column, int v) {
#pragma unroll
        for (int d = 0; d < DEEP; ++d, v += 32) {
#pragma unroll
            for (int j = 0; j < ROWS; ++j) {
                const bool inside = column + j < layer.columns && v < layer.depth_vectors;
                const int64_t at = static_cast<int64_t>(column + j) * layer.depth_vectors + v;
                weights[d][j] = inside ? of.w[at] : zero_vector();
            }
        }
    }
};

// A warp's share of one layer: its sums, finished, go to `store(row, column, x, there)`, in all lanes; `there` is whether
// the layer has such a number. `ahead` is of the first columns.
template <class Store>
__device__ __forceinline__ void multiply(const uint4* x, Ahead ahead, const Layer& of, const ChainLayer& layer,
                                         const ChainParams& p, int first, const Store& store) {
    typedef typename Real<Sum>::Way Way;
    const int lane = threadIdx.x % 32;
#pragma unroll 1
    for (int column = first; column < layer.written; column += BLOCKS * WARPS * ROWS) {
        if (column > first) ahead = Ahead(of, layer, column);
        Sum sums[BATCH][ROWS] = {};
#pragma unroll 1
        for (int v = lane;;) {
#pragma unroll
            for (int d = 0; d < Ahead::DEEP; ++d, v += 32) {
                if (v >= layer.depth_vectors) continue;
#pragma unroll
                for (int i = 0; i < BATCH; ++i) {
                    const uint4 numbers = x[i * p.row_vectors + v];
#pragma unroll
                    for (int j = 0; j < ROWS; ++j) sums[i][j] = add_products(sums[i][j], numbers, ahead.weights[d][j]);
                }
            }
            if (v >= layer.depth_vectors) break;
            ahead.load(of, layer, column, v);
        }
        Sum mine = 0;
#pragma unroll
        for (int i = 0; i < BATCH; ++i) {
#pragma unroll
            for (int j = 0; j < ROWS; ++j) {
                const Sum sum = lanes_reduce<WARP>(sums[i][j], Add());
                mine = lane == i * ROWS + j ? sum : mine;
            }
        }
        // One lane finishes one number.
        const int row = lane / ROWS, own = column + lane % ROWS;
        const bool there = row < BATCH && own < layer.written;
        float y = 0.0f;
        if (there && own < layer.columns) y = activate<Way>(layer.post, Real<Sum>::of(ahead.term, mine));
        store(row, own, y, there);
    }
}

CLUSTER_KERNEL(8, 1, 1) __launch_bounds__(32 * WARPS, 1)
chain_gemv(const void* a, const uint4* __restrict__ w0, const uint4* __restrict__ w1, const uint4* __restrict__ w2,
           const float* __restrict__ bias0, const float* __restrict__ scales0, const float* __restrict__ bias1,
           const float* __restrict__ scales1, const float* __restrict__ bias2, const float* __restrict__ scales2,
           void* __restrict__ y, const __grid_constant__ ChainParams p) {
    DYNAMIC_SHARED(uint4, shared);
    const int rows = BATCH * p.row_vectors;  // of one layer, vectors
    const int first = (static_cast<int>(cluster_ctarank()) * WARPS + static_cast<int>(threadIdx.x) / 32) * ROWS;
    uint64_t* const full = reinterpret_cast<uint64_t*>(shared + 3 * rows);  // what a layer hands on has come
    if (threadIdx.x == 0) {
#pragma unroll
        for (int index = 0; index < 2; ++index) mbarrier_init(full + index, 1);
        fence_mbarrier_init();
#pragma unroll
        for (int index = 0; index < 2; ++index) {
            mbarrier_arrive_expect_tx(full + index, BATCH * p.layers[index].written * static_cast<int>(sizeof(ELEMENT)));
        }
    }
    __syncwarp();
    barrier_cluster_arrive_relaxed();
    prefetch_weights(w0, p.layers[0], first);
    prefetch_weights(w1, p.layers[1], first);
    if (p.count > 2) prefetch_weights(w2, p.layers[2], first);
    const auto layer = [&](int index) {
        return index == 0 ? Layer{w0, bias0, scales0} : index == 1 ? Layer{w1, bias1, scales1} : Layer{w2, bias2, scales2};
    };
    Ahead ahead(layer(0), p.layers[0], first);
    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
    read_rows(a, reinterpret_cast<ELEMENT*>(shared), p);
    __syncthreads();
    // Nobody writes to a block that has not begun.
    barrier_cluster_wait();
    const int last = p.count - 1;
#pragma unroll 1
    for (int index = 0; index < last; ++index) {
        ELEMENT* const made = reinterpret_cast<ELEMENT*>(shared + (index + 1) * rows);
        multiply(shared + index * rows, ahead, layer(index), p.layers[index], p, first,
                 [&](int row, int column, float x, bool there) {
                     ELEMENT* const four = made + row * p.row_vectors * WIDTH + column / ROWS * ROWS;
                     send(four, x, p.layers[index].inv_scale, there ? full + index : nullptr);
                 });
        ahead = Ahead(layer(index + 1), p.layers[index + 1], first);
        mbarrier_wait(full + index, 0);
    }
    multiply(shared + last * rows, ahead, layer(last), p.layers[last], p, first,
             [&](int row, int column, float x, bool there) {
                 if (!there || row >= p.rows) return;
                 store_1(y, p.y_type, static_cast<int64_t>(row) * p.y_pitch + column, p.layers[last].inv_scale, x);
             });
}
