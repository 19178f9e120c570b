// Depthwise convolution of 3x3 on tensor cores:
// y[n,p,q,c] = epilogue( Σ_r,s x[n, p·S+r-pad, q·S+s-pad, c] · w[r,s,c] ).
//
// Shapes     see `window.cuh`, x of f16 or s8; y NHWC of f16, f32 or s8. Sums in f32, those of s8 exact in s32.
// Grid       one warp per 4 units, a unit being 8 channels of 8 columns by `rows` rows of y. The lanes t = lane%4 take
//            a unit each, lane/4 is the column.
// Method     Channels do not mix, so what two taps' pixels are multiplied with are diagonals:
//
//                   tap 0       tap 1           w0 .. .. ..
//      channel      0  1 ..     0  1 ..         .. w1 .. ..    tap 0
//      pixel 0      x0 x1 ..    x0 x1 ..    ·   .. .. .. ..            =   sums of pixels by channels
//      pixel 1      ..                          w0 .. .. ..
//      ..                                       .. w1 .. ..    tap 1
//
//            Most of the product is with zeros, and yet one instruction takes the place of 8 multiply-adds and of the
//            conversions before them, so that the kernel waits for memory instead of for its own instructions. A lane
//            reads its unit's 8 channels of every pixel and multiplies the words as they are: word i goes with a
//            diagonal of channels 2i and 2i+1 (of s8, each word goes with two), and the sums of those come back to the
//            same lane. The four lanes t may have any units, since between them there are zeros.
//            A warp goes down its columns in steps of TILE_H rows. The rows of x under them come into a ring in shared
//            memory that is the warp's own, STAGES - 2 steps ahead and behind its back.
// Not finite 0·Inf is NaN, in all channels of a pixel. A lane with such sums makes them once more, one by one.
// Shared     STAGES stages a warp, each with the rows of x that a step adds
// Traffic    x, y and the residual once; 2·R·S operations an output: memory speed decides. Units share the columns and
//            rows at their edges, which come from L2 again: (8 + 2)/8 and (rows + 2)/rows times at stride 1.

#include "depthwise/window.cuh"
#include "include/product.cuh"

constexpr int WARPS = 4;                                    // of a block
constexpr int PAIRS = TILE_H / 2;                           // of rows of y, PAIRS apart
constexpr int ROWS_X = (TILE_H - 1) * STRIDE + KERNEL_H;    // under a step's rows of y
constexpr int PARTS = CHANNELS / 2;                         // pairs of channels
constexpr int PARTS_OF_WORD = sizeof(X_TYPE) == 1 ? 2 : 1;  // a word of s8 has two
static_assert(KERNEL_H == 3 && KERNEL_W == 3, "taps of a row are multiplied as two and one");

constexpr int COLUMNS_Y = 8;
constexpr int COLUMNS_X = (COLUMNS_Y - 1) * STRIDE + KERNEL_W;
constexpr int STAGE_ROWS = TILE_H * STRIDE;
static_assert(STAGES > 2 && ROWS_X <= 2 * STAGE_ROWS, "a step reads from two stages while others are filled");

// 8 channels of a pixel, and a row of them in shared memory: those of the lanes t side by side, behind them the next
// column's. At stride 2 the even columns come first, so that what a warp reads at once is one piece of memory.
typedef Vector<uint32_t, CHANNELS * sizeof(X_TYPE) / 4> Piece;
typedef Piece RowX[COLUMNS_X][4];
typedef RowX Stage[STAGE_ROWS];
constexpr int place_of_column(int column) {
    return STRIDE == 1 ? column : column % 2 * ((COLUMNS_X + 1) / 2) + column / 2;
}

template <typename T>
struct ProductOf {
    typedef Fp16 Type;
};
template <>
struct ProductOf<int8_t> {
    typedef Int8 Type;
};
typedef ProductOf<X_TYPE>::Type Product;
typedef Product::Sum Sum;

__device__ __forceinline__ void copy_piece(Piece& to, const X_TYPE* from, bool there) {
#if __CUDA_ARCH__ >= 800
    if (sizeof(Piece) == 16) {
        cp_async_16(&to, from, there);
    } else {
        cp_async_8(&to, from, there);
    }
#else
    Piece piece = {};
    if (there) piece = *reinterpret_cast<const Piece*>(from);
    to = piece;
#endif
}

// The rows of x on their way through a warp's ring.
struct Ring {
    Stage* stages;
    const X_TYPE* x;  // the lane's first column in the next row, its unit's channels
    int h, bottom;    // that row, and the first that is not wanted any more
    int column, t;
    int64_t line, far;  // to the next row, and to the lane's next column

    // Fills a stage with what the steps after those that have been fetched will want; the lane takes columns 8 apart.
    __device__ __forceinline__ void fetch(int number, int left, int x_w) {
        Stage& stage = stages[number];
#pragma unroll
        for (int r = 0; r < STAGE_ROWS; ++r, ++h, x += line) {
            const bool there = h >= 0 && h < bottom;
#pragma unroll
            for (int i = 0; i < (COLUMNS_X + 7) / 8; ++i) {
                const int j = column + 8 * i;
                if (j >= COLUMNS_X) continue;
                const bool inside = there && static_cast<uint32_t>(left + j) < static_cast<uint32_t>(x_w);
                copy_piece(stage[r][place_of_column(j)][t], x + i * far, inside);
            }
        }
#if __CUDA_ARCH__ >= 800
        cp_async_commit_group();
#endif
    }

    // Waits until all but the `AHEAD` youngest stages are there, for every lane.
    template <int AHEAD>
    static __device__ __forceinline__ void wait() {
#if __CUDA_ARCH__ >= 800
        cp_async_wait_group<AHEAD>();
#endif
        __syncwarp();
    }

    // The pixels of a step, the rows of which begin in stage `first`.
    __device__ __forceinline__ void read(PixelRow (&rows)[ROWS_X], int first) const {
        const Stage* const both[2] = {&stages[first], &stages[first + 1 < STAGES ? first + 1 : 0]};
#pragma unroll
        for (int r = 0; r < ROWS_X; ++r) {
            const RowX& row = (*both[r / STAGE_ROWS])[r % STAGE_ROWS];
#pragma unroll
            for (int s = 0; s < KERNEL_W; ++s) {
                // Columns column·S + s; at stride 2 those of one s are neighbours.
                const Piece piece = row[column + place_of_column(s)][t];
                rows[r].pixels[s] = {zero_vector(), zero_vector()};
                rows[r].pixels[s].low.x = piece.lane[0], rows[r].pixels[s].low.y = piece.lane[1];
                if (sizeof(Piece) == 16) {
                    rows[r].pixels[s].low.z = piece.lane[2 % (sizeof(Piece) / 4)];
                    rows[r].pixels[s].low.w = piece.lane[3 % (sizeof(Piece) / 4)];
                }
            }
        }
    }
};

// The word with channels 2·part and 2·part + 1.
__device__ __forceinline__ uint32_t word_of(const RawRow8& vector, int part) {
    const uint32_t words[4] = {vector.low.x, vector.low.y, vector.low.z, vector.low.w};
    return words[part / PARTS_OF_WORD];
}

// A unit's filters as this lane holds them of the diagonals: of a word the one number in its column.
struct Diagonals {
    RawRow8 taps[KERNEL_H][KERNEL_W];
    uint32_t masks[PARTS_OF_WORD];

    __device__ __forceinline__ Diagonals(const X_TYPE* filters, int64_t pitch, int column, int t) {
#pragma unroll
        for (int i = 0; i < KERNEL_H * KERNEL_W; ++i, filters += pitch) {
            taps[i / KERNEL_W][i % KERNEL_W] = load_raw_8(filters, X_ELEMENT, 0, CHANNELS);
        }
        // Columns 2t and 2t+1 belong to the lanes t; those have nothing in the others.
        constexpr int BITS = 8 * sizeof(X_TYPE);
#pragma unroll
        for (int i = 0; i < PARTS_OF_WORD; ++i) {
            masks[i] = column / 2 == t ? ((1u << BITS) - 1) << (column % 2 * BITS + i * 16) : 0;
        }
    }
    __device__ __forceinline__ uint32_t word(int r, int s, int part) const {
        return word_of(taps[r][s], part) & masks[part % PARTS_OF_WORD];
    }
};

// The sums of a thread's rows of y. Rows i and i + PAIRS are made together, the pixels of one product.
__device__ __forceinline__ void multiply(Sum (&sums)[TILE_H][CHANNELS], const PixelRow (&rows)[ROWS_X],
                                         const Diagonals& diagonals) {
    constexpr int APART = PAIRS * STRIDE;
#pragma unroll
    for (int part = 0; part < PARTS; ++part) {
        Sum d[PAIRS][4] = {};
#pragma unroll
        for (int h = 0; h + APART < ROWS_X; ++h) {
            const auto word = [&](int row, int s) { return word_of(rows[row].pixels[s], part); };
            const uint32_t two[4] = {word(h, 0), word(h + APART, 0), word(h, 1), word(h + APART, 1)};
            const uint32_t one[2] = {word(h, 2), word(h + APART, 2)};
            // Of up to three pairs of rows this row is a part.
#pragma unroll
            for (int r = 0; r < KERNEL_H; ++r) {
                const int i = (h - r) / STRIDE;
                if (h < r || (h - r) % STRIDE != 0 || i >= PAIRS) continue;
                const uint32_t w_two[2] = {diagonals.word(r, 0, part), diagonals.word(r, 1, part)};
                const uint32_t w_one[1] = {diagonals.word(r, 2, part)};
                Product::multiply(d[i], two, w_two);
                Product::multiply(d[i], one, w_one);
            }
        }
#pragma unroll
        for (int i = 0; i < PAIRS; ++i) {
            sums[i][2 * part] = d[i][0], sums[i][2 * part + 1] = d[i][1];
            sums[i + PAIRS][2 * part] = d[i][2], sums[i + PAIRS][2 * part + 1] = d[i][3];
        }
    }
}

__device__ __forceinline__ bool finite(const int (&)[TILE_H][CHANNELS]) { return true; }
// Sums of f16 are far from the end of f32, so that theirs is finite if they are.
__device__ __forceinline__ bool finite(const float (&sums)[TILE_H][CHANNELS]) {
    float all = 0.0f;
#pragma unroll
    for (int i = 0; i < TILE_H * CHANNELS; ++i) all += sums[i / CHANNELS][i % CHANNELS];
    return fabsf(all) < __int_as_float(0x7f800000);
}

// The same sums, channel by channel. `picture` and `filters` point at the thread's channels.
__device__ __forceinline__ void add_up(float (&sums)[TILE_H][CHANNELS], const X_TYPE* picture, const X_TYPE* filters,
                                       int top, int left, const DepthwiseParams& p) {
#pragma unroll
    for (int row = 0; row < TILE_H; ++row) splat(sums[row], 0.0f);
#pragma unroll 1
    for (int tap = 0; tap < KERNEL_H * KERNEL_W; ++tap) {
        float w[CHANNELS];
        load(w, filters + tap * p.weight_pitch);
        const int column = left + tap % KERNEL_W;
#pragma unroll
        for (int row = 0; row < TILE_H; ++row) {
            const int h = top + row * STRIDE + tap / KERNEL_W;
            if (h < 0 || h >= p.x_h || column < 0 || column >= p.x_w) continue;
            float v[CHANNELS];
            load(v, picture + (static_cast<int64_t>(h) * p.x_w + column) * p.x_pitch);
#pragma unroll
            for (int i = 0; i < CHANNELS; ++i) sums[row][i] = fmaf(v[i], w[i], sums[row][i]);
        }
    }
}
__device__ __forceinline__ void add_up(int (&)[TILE_H][CHANNELS], const X_TYPE*, const X_TYPE*, int, int,
                                       const DepthwiseParams&) {}

extern "C" __global__ void __launch_bounds__(32 * WARPS, MIN_BLOCKS)
    depthwise_mma(const X_TYPE* x, const X_TYPE* __restrict__ weights, const float* __restrict__ bias,
                  const float* __restrict__ scales, const void* residual, void* __restrict__ y,
                  const DepthwiseParams p) {
    DYNAMIC_SHARED(Stage, shared);
    const int warp = static_cast<int>(threadIdx.x) / 32, column = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    // All lanes take part in the products, those without a unit too.
    const uint32_t unit = (blockIdx.x * WARPS + warp) * 4 + t;
    const bool here = unit < p.units;
    const WindowWork work(p, here ? unit : 0, p.rows, COLUMNS_Y);
    const int q = work.q + column;
    int rows = here ? min(p.rows, p.y_h - work.p) : 0;  // still to be made
    const int top = work.p * STRIDE - p.pad_h, left = work.q * STRIDE - p.pad_w;

    // Constants come while the kernel before is still making x.
    const Diagonals diagonals(weights + work.channel, p.weight_pitch, column, t);
    const EpilogueTensors tensors = {bias, scales, residual, y};
    const auto terms = load_terms_8<Sum>(p.epilogue, tensors, work.channel);

    const int64_t line = p.x_w * p.x_pitch;
    const X_TYPE* const first =
        x + (static_cast<int64_t>(work.picture) * p.x_h + top) * line + (left + column) * p.x_pitch + work.channel;
    const int bottom = rows > 0 ? min(p.x_h, top + (rows - 1) * STRIDE + KERNEL_H) : 0;
    Ring ring = {shared + warp * STAGES, first, top, bottom, column, t, line, 8 * p.x_pitch};

    griddepcontrol_wait();
    griddepcontrol_launch_dependents();
#pragma unroll 1
    for (int i = 0; i < STAGES - 1; ++i) ring.fetch(i, left, p.x_w);

    int64_t pixel = (static_cast<int64_t>(work.picture) * p.y_h + work.p) * p.y_w + q;
    int stage = 0;
#pragma unroll 1
    for (int step = 0; step < p.rows / TILE_H; ++step) {
        // This step's two stages are there, and nobody reads the last step's first any more.
        Ring::wait<STAGES - 3>();
        ring.fetch(stage > 0 ? stage - 1 : STAGES - 1, left, p.x_w);
        PixelRow pixels[ROWS_X];
        ring.read(pixels, stage);
        stage = stage + 1 < STAGES ? stage + 1 : 0;

        Sum sums[TILE_H][CHANNELS];
        multiply(sums, pixels, diagonals);
        if (!finite(sums)) {
            // Places are worked out anew, so that none is kept for what hardly ever comes.
            const int channel = static_cast<int>(made_here(work.channel));
            const int64_t lines = static_cast<int64_t>(work.picture) * p.x_h;
            const int first_row = ring.h - STAGES * STAGE_ROWS;
            add_up(sums, x + lines * line + channel, weights + channel, first_row, left + column * STRIDE, p);
        }

        const int count = q < p.y_w ? min(TILE_H, rows) : 0;
        RawRow8 addends[TILE_H] = {};
        if (residual) {
#pragma unroll
            for (int i = 0; i < TILE_H; ++i) {
                if (i < count) addends[i] = load_residual_8(p.epilogue, tensors, pixel + i * p.y_w, work.channel);
            }
        }
        epilogue_rows_8(p.epilogue, tensors, terms, pixel, p.y_w, count, work.channel, sums, addends);
        rows -= TILE_H, pixel += TILE_H * p.y_w;
    }
    Ring::wait<0>();
}
