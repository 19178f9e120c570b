// chain/wgmma: two or three dense layers one after another, by Hopper's means; the rows between them stay on chip.
//
// y = f_3( f_2( f_1( a · w_1ᵀ ) · w_2ᵀ ) · w_3ᵀ ),   f(sum) = clip(sum + bias), rounded as the layer's output is stored
//
// Shapes     a (M,K) row-major, f16 for PRECISION=Fp16, s8 for Int8; with A_IS_REAL=1 f32, which is rounded or quantized
//            on its way from shared memory; w_i [n_pad][k_pad] row-major; y (M,N) f32, f16 or s8. Sums are f32, those of
//            s8 s32.
// Requires   sm_90a; rows of a 16-byte aligned; layers of at most 256 columns, the last of 128; activations that
//            clip.
// Grid       x: 64 rows a block. (In clusters that share the weights they read, weights came no sooner, measured without
//            any products.)
// Block      two warpgroups that multiply, each half of a layer's columns, and one of which one thread copies.
// Shared     STAGES of (64 rows of a and 256 of w, 128 bytes of K of w each), the rows between layers, two mbarriers a
//            stage.
// Work       Σ 2·M·N·K operations; a is read once, w once a block (from L2), y written once.
// Sources    PTX ISA, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Operations"; NVIDIA, CUTLASS, example
//            13 ("two tensor op fusion").
//
// Defined on the command line: PRECISION (Fp16 or Int8), A_IS_REAL, STAGES.
#include "include/epilogue.cuh"
#include "include/ptx_wgmma.cuh"

constexpr int BLOCK_M = 64, CONSUMERS = 256, THREADS = CONSUMERS + 128;
constexpr int ROW_BYTES = 128;      // of K, of a row of w in a stage; the swizzle's
constexpr int MOST_COLUMNS = 256;
constexpr int BOX_BYTES = BLOCK_M * ROW_BYTES;  // of one copy of a
constexpr int PITCH = MOST_COLUMNS * 2 + 16;    // bytes of a row of y on its way out, f32; rows begin 4 banks apart
constexpr int BETWEEN_BYTES = BLOCK_M * PITCH;

// f16 products, f32 sums.
struct Fp16 {
    typedef float Sum;
    static constexpr int SIZE = 2;
    static constexpr int SPREAD = 2;  // rows of f32 apart that lanes read together; see `row_of`
    template <int N, class A>
    static __device__ __forceinline__ void multiply(float (&d)[N / 2], const A& a, uint64_t b, bool accumulate) {
        wgmma_m64k16_f16<N>(d, a, b, accumulate);
    }
    // The register of a fragment whose two numbers are these.
    static __device__ __forceinline__ uint32_t converted(const unsigned char* reals, int t, int row, int chunk, float) {
        const unsigned char* const at = reals + ((chunk + t / 2) ^ row % 8) * 16;
        const float2 x = reinterpret_cast<const float2*>(at)[t % 2];
        return cvt_rn_f16x2_f32(x.x, x.y);
    }
    static __device__ __forceinline__ void store_pair(unsigned char* to, float x, float y, float) {
        *reinterpret_cast<uint32_t*>(to) = cvt_rn_f16x2_f32(x, y);
    }
};

// s8 products, s32 sums: exact, in whatever order.
struct Int8 {
    typedef int Sum;
    static constexpr int SIZE = 1;
    static constexpr int SPREAD = 4;
    template <int N, class A>
    static __device__ __forceinline__ void multiply(int (&d)[N / 2], const A& a, uint64_t b, bool accumulate) {
        wgmma_m64k32_s8<N>(d, a, b, accumulate);
    }
    static __device__ __forceinline__ uint32_t converted(const unsigned char* reals, int t, int row, int chunk,
                                                         float inv_scale) {
        const float4 x = *reinterpret_cast<const float4*>(reals + ((chunk + t) ^ row % 8) * 16);
        return quantize_4(x.x, x.y, x.z, x.w, inv_scale);
    }
    static __device__ __forceinline__ void store_pair(unsigned char* to, float x, float y, float inv_scale) {
        *reinterpret_cast<uint16_t*>(to) = static_cast<uint16_t>(quantize_4(x, y, 0.0f, 0.0f, inv_scale));
    }
};

typedef PRECISION Math;
typedef Math::Sum Sum;
constexpr int STEP = ROW_BYTES / Math::SIZE;                // numbers of K
constexpr int BOXES = A_IS_REAL ? 4 / Math::SIZE : 1;       // copies of a in a step
constexpr int A_BYTES = BOXES * BOX_BYTES;
constexpr int STAGE_BYTES = A_BYTES + MOST_COLUMNS * ROW_BYTES;

// Mirrored in `kernels/src/chain/wgmma.rs`.
struct ChainLayer {
    int steps;             // of STEP along K
    int columns;           // that hold numbers
    int width;             // a warpgroup's columns: 64 or 128, of the last layer 16 or 64
    float low, high;       // what the activation clips to
    float inv_scale;       // 1 / scale of the output's integers
};
struct ChainParams {
    ChainLayer layers[3];
    int count;             // 2 or 3
    int rows;
    float inv_scale_a;
    int y_type, y_pitch, y_padded;  // the last layer's output, as in EpilogueParams
};

struct Tensors {
    const float* bias;
    const float* scales;
};

// What a thread's sums are finished with, by column, where a warpgroup has N. Asked for before the main loop: behind it,
// everyone would wait for memory.
template <int N>
struct Terms {
    static constexpr bool SCALED = Math::SIZE == 1;  // sums of integers
    float2 bias[N / 8], scales[SCALED ? N / 8 : 1];

    // `first` is the thread's first column; both end with whole eights.
    __device__ __forceinline__ Terms(const Tensors& t, int first, int columns) {
#pragma unroll
        for (int j = 0; j < N / 8; ++j) {
            const int column = first + 8 * j;
            const bool inside = column < columns;
            bias[j] = t.bias && inside ? *reinterpret_cast<const float2*>(t.bias + column) : make_float2(0.0f, 0.0f);
            if (SCALED) scales[j] = inside ? *reinterpret_cast<const float2*>(t.scales + column) : make_float2(0.0f, 0.0f);
        }
    }
    static __device__ __forceinline__ float real(float sum, float bias, float) { return sum + bias; }
    static __device__ __forceinline__ float real(int sum, float bias, float scale) {
        return __fmaf_rn(__int2float_rn(sum), scale, bias);
    }
    // Of the j-th pair of columns, its first or second.
    __device__ __forceinline__ float of(Sum sum, int j, bool second) const {
        const float2& scale = scales[SCALED ? j : 0];
        return second ? real(sum, bias[j].y, scale.y) : real(sum, bias[j].x, scale.x);
    }
};

#include "chain/feed.cuh"

// ---- Multiplying ----------------------------------------------------------------------------------------------

struct Consumer {
    const Ring& ring;
    const ChainParams& p;
    Place place;
    int warpgroup, lane, first;  // the first of this warp's 16 rows of the block

    __device__ __forceinline__ Consumer(const Ring& ring_, const ChainParams& p_) : ring(ring_), p(p_) {
        warpgroup = __shfl_sync(0xffffffffu, static_cast<int>(threadIdx.x) / 128, 0);
        lane = threadIdx.x % 32;
        first = threadIdx.x / 32 % 4 * 16;
    }

    // The row, of eight, that wgmma's g-th is. Where rows are converted in registers they may come in any order, if they go
    // in the same; in this one the lanes that shared memory serves together read f32 from different banks.
    template <bool OF_A>
    static __device__ __forceinline__ int row_of(int g) {
        constexpr int SPREAD = OF_A && A_IS_REAL ? Math::SPREAD : 1, RUN = 8 / SPREAD;
        return g % RUN * SPREAD + g / RUN;
    }

    // This warp's rows of a stage of f32, as wgmma's fragments.
    __device__ __forceinline__ void convert(uint32_t (&fragments)[4][4]) const {
        const unsigned char* const rows = ring.stages + place.stage * STAGE_BYTES;
        const int g = row_of<true>(lane / 4), t = lane % 4;
#pragma unroll
        for (int k = 0; k < 4; ++k) {
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                // In 16-byte vectors of f32: where the fragment's 32 bytes begin, and its second half.
                const int vector = k * (8 / Math::SIZE) + i / 2 * (4 / Math::SIZE), row = first + i % 2 * 8 + g;
                const unsigned char* const reals = rows + vector / 8 * BOX_BYTES + row * ROW_BYTES;
                fragments[k][i] = Math::converted(reals, t, row, vector % 8, p.inv_scale_a);
            }
        }
    }

    // A layer before the last.
    template <bool OF_A>
    __device__ __forceinline__ void inner(const ChainLayer& layer, const Tensors& t) {
        if (layer.width == 64) {
            Sum d[32];
            const Terms<64> terms(t, column<64>(), layer.columns);
            multiply<OF_A, 64>(d, layer);
            pass_on<OF_A, 64>(d, layer, terms);
        } else {
            Sum d[64];
            const Terms<128> terms(t, column<128>(), layer.columns);
            multiply<OF_A, 128>(d, layer);
            pass_on<OF_A, 128>(d, layer, terms);
        }
    }

    __device__ __forceinline__ void last(const ChainLayer& layer, const Tensors& t, void* y) {
        if (layer.width == 16) {
            Sum d[8];
            const Terms<16> terms(t, column<16>(), layer.columns);
            multiply<false, 16>(d, layer);
            store<16>(d, layer, terms, y);
        } else {
            Sum d[32];
            const Terms<64> terms(t, column<64>(), layer.columns);
            multiply<false, 64>(d, layer);
            store<64>(d, layer, terms, y);
        }
    }

  private:
    // This thread's first, where a warpgroup has N.
    template <int N>
    __device__ __forceinline__ int column() const {
        return warpgroup * N + lane % 4 * 2;
    }

    // One layer's sums of this warpgroup's N columns.
    template <bool OF_A, int N>
    __device__ __forceinline__ void multiply(Sum (&d)[N / 2], const ChainLayer& layer) {
        const uint64_t b = descriptor(ring.stages + A_BYTES + warpgroup * N * ROW_BYTES);
        const uint64_t rows = descriptor(OF_A ? ring.stages : ring.between);
        int last = 0;
#pragma unroll 1
        for (int step = 0; step < layer.steps; ++step) {
            mbarrier_wait(ring.full + place.stage, place.parity);
            // Descriptors count in units of 16 bytes.
            const int stage = place.stage * (STAGE_BYTES / 16);
            if constexpr (OF_A && A_IS_REAL) {
                // Products read their registers as long as they are under way, and the compiler loads into the same ones
                // again; meanwhile the other warpgroup multiplies.
                if (step > 0) finish(d, last);
                uint32_t fragments[4][4];
                convert(fragments);
                start<N>(d, step, [&](int k) -> const uint32_t(&)[4] { return fragments[k]; }, b + stage);
            } else {
                const uint64_t a = rows + (OF_A ? stage : step * (BOX_BYTES / 16));
                start<N>(d, step, [&](int k) { return a + 2 * k; }, b + stage);
                wgmma_wait_group<1>();
                if (step > 0) ring.release(last);
            }
            last = place.stage;
            place.advance();
        }
        finish(d, last);
    }

    // Begins the products of a step; `a` gives rows for the k-th 32 bytes along K.
    template <int N, class A>
    __device__ __forceinline__ void start(Sum (&d)[N / 2], int step, const A& a, uint64_t b) const {
        wgmma_hold(d);
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < 4; ++k) Math::template multiply<N>(d, a(k), b + 2 * k, step > 0 || k > 0);
        wgmma_commit_group();
        wgmma_hold(d);
    }

    static __device__ __forceinline__ uint64_t descriptor(const unsigned char* rows) {
        return wgmma_descriptor(rows, 16, 8 * ROW_BYTES, WgmmaSwizzle::B128);
    }

    template <int COUNT>
    __device__ __forceinline__ void finish(Sum (&d)[COUNT], int stage) const {
        wgmma_wait_group<0>();
        wgmma_hold(d);
        ring.release(stage);
    }

    // Sum 2h + e of the j-th four; zero behind the layer's columns, if it has not all of them.
    template <bool WHOLE, int N>
    __device__ __forceinline__ float finished(const Sum (&d)[N / 2], const ChainLayer& layer, const Terms<N>& terms, int j,
                                              int h, int e) const {
        typedef typename Real<Sum>::Way Way;
        const float x = terms.of(d[4 * j + 2 * h + e], j, e == 1);
        const float clipped = Way::at_most(Way::at_least(x, layer.low), layer.high);
        return WHOLE || column<N>() + 8 * j + e < layer.columns ? clipped : 0.0f;
    }

    // To the rows between layers, as tensor copies bring rows: step after step along K, swizzled.
    template <bool OF_A, int N>
    __device__ __forceinline__ void pass_on(const Sum (&d)[N / 2], const ChainLayer& layer, const Terms<N>& terms) const {
        static_assert(2 * N * Math::SIZE % ROW_BYTES == 0, "the next layer reads whole steps");
        if (!OF_A) bar_sync(1, CONSUMERS);  // everyone has multiplied what the layer before left
        if (layer.columns == 2 * N) {
            write<OF_A, true, N>(d, layer, terms);
        } else {
            write<OF_A, false, N>(d, layer, terms);
        }
        fence_proxy_async();  // wgmma reads it
        bar_sync(1, CONSUMERS);
    }

    template <bool OF_A, bool WHOLE, int N>
    __device__ __forceinline__ void write(const Sum (&d)[N / 2], const ChainLayer& layer, const Terms<N>& terms) const {
        const int top = first + row_of<OF_A>(lane / 4);
#pragma unroll
        for (int j = 0; j < N / 8; ++j) {
            const int at = (column<N>() + 8 * j) * Math::SIZE, vector = at % ROW_BYTES / 16;
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                const int row = top + 8 * h;
                unsigned char* const line = ring.between + at / ROW_BYTES * BOX_BYTES + row * ROW_BYTES;
                Math::store_pair(line + (vector ^ row % 8) * 16 + at % 16, finished<WHOLE>(d, layer, terms, j, h, 0),
                                 finished<WHOLE>(d, layer, terms, j, h, 1), layer.inv_scale);
            }
        }
    }

    // To memory, by way of the rows between layers: threads write neighbours, and a loop converts, which is long.
    template <int N>
    __device__ __forceinline__ void store(const Sum (&d)[N / 2], const ChainLayer& layer, const Terms<N>& terms,
                                          void* y) const {
        static_assert(2 * N * sizeof(float) <= PITCH, "a row of reals fits");
        bar_sync(1, CONSUMERS);  // everyone has multiplied what the layer before left
        const int row = first + lane / 4;
#pragma unroll
        for (int j = 0; j < N / 8; ++j) {
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                unsigned char* const to = ring.between + (row + 8 * h) * PITCH + (column<N>() + 8 * j) * sizeof(float);
                *reinterpret_cast<float2*>(to) =
                    make_float2(finished<false>(d, layer, terms, j, h, 0), finished<false>(d, layer, terms, j, h, 1));
            }
        }
        bar_sync(1, CONSUMERS);
        const int top = static_cast<int>(blockIdx.x) * BLOCK_M;
        const int rows = p.rows - top < BLOCK_M ? p.rows - top : BLOCK_M;
#pragma unroll 1
        for (int i = threadIdx.x; i < rows * p.y_padded; i += CONSUMERS) {
            const int line = i / p.y_padded, at = i - line * p.y_padded;
            const float x = reinterpret_cast<const float*>(ring.between + line * PITCH)[at];
            store_1(y, p.y_type, static_cast<int64_t>(top + line) * p.y_pitch + at, layer.inv_scale, x);
        }
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, 1)
chain_wgmma(const __grid_constant__ TensorMap a, const __grid_constant__ TensorMap w0,
            const __grid_constant__ TensorMap w1, const __grid_constant__ TensorMap w2, const float* bias0,
            const float* scales0, const float* bias1, const float* scales1,
            const float* bias2, const float* scales2, void* y,
            const __grid_constant__ ChainParams p) {
    DYNAMIC_SHARED_1024(unsigned char, shared);
    const Ring ring(shared);
    Producer producer = {ring, a, w0, w1, w2};
    if (threadIdx.x == CONSUMERS + 32) {
        prefetch_tensormap(&a);
        prefetch_tensormap(&w1);
        prefetch_tensormap(&w2);
    }
    if (threadIdx.x == CONSUMERS) {
        prefetch_tensormap(&w0);
        ring.initialise();
        producer.run(p, STAGES);  // ahead of the others, who need only know the barriers
    }
    __syncthreads();
    griddepcontrol_wait();
    if (threadIdx.x >= CONSUMERS) {
        setmaxnreg_dec<40>();
        if (threadIdx.x == CONSUMERS) producer.run(p, 1 << 30);
        __syncwarp();
    } else {
        setmaxnreg_inc<232>();
        Consumer consumer(ring, p);
        consumer.inner<true>(p.layers[0], {bias0, scales0});
        if (p.count == 3) consumer.inner<false>(p.layers[1], {bias1, scales1});
        const bool third = p.count == 3;
        consumer.last(third ? p.layers[2] : p.layers[1], {third ? bias2 : bias1, third ? scales2 : scales1}, y);
    }
    griddepcontrol_launch_dependents();
}
