// conv/stem: convolution of few channels, as at the stem of a network: 7x7 of ResNet, 3x3 of VGG, UNet and MobileNet.
//
// y[n,p,q,k] = epilogue( Σ_{r,s,c} x[n, p·stride + r·dilation - pad, q·.. + s·.. - pad, c] · w[k,r,s,c] )
//
// Where a pixel has three numbers, a product over whole vectors of channels is mostly one of zeros. Here the pixels under
// a tile of y, the patch, lie in shared memory with no more than their channels, and depth is counted in words of four
// bytes (one f32, two f16, four s8), taken wherever taps begin and end:
//
//     word (r, j)     the j-th word of the line of S·channels numbers that row r of a window covers
//
// What a line's last word takes from the pixel behind the window is cut off, lest a NaN get into a neighbour's sum.
//
// Shapes     x (N,H,W,C), C <= 4, in 16-byte aligned pixels of s8 for PRECISION=Int8, f16 for Fp16, f32 for Tf32; or as a
//            network's caller gives it, f32 or f16 in any order, converted (to s8: quantized) as `layout/copy` does.
//            w [k_pad][row] of the precision's type as `Packing::Lines` has it; y (N,P,Q,K) and residual f32, f16 or s8.
// Requires   sm_75 for Int8 and Fp16, sm_80 for Tf32; words of neighbouring pixels aligned: the host chooses `channels`,
//            numbers of a pixel in the patch, so that the stride takes whole words.
// Grid       x: blocks that walk over the tiles of all pictures, each with its filters in shared memory; y: BLOCK_N
//            filters.
// Block      32·WARPS threads; a warp has WARP_M pixels and all BLOCK_N filters.
// Shared     filters, BLOCK_N·(32·steps + 16) bytes; where words of K lie, 64·steps bytes; the patch.
// Work       2·N·P·Q·K·R·S·channels operations; x is read once and where patches overlap again (from L2), w once a block.
#include "conv/patch.cuh"
#include "include/plain.cuh"

constexpr int TILES_M = WARP_M / 16, TILES_N = BLOCK_N / 8, GROUPS = BLOCK_N / 32;
static_assert(WARP_M % 16 == 0 && BLOCK_N % 32 == 0, "a lane's sums are eight neighbours of every 32 filters");

// ---- A warp's sums -------------------------------------------------------------------------------------------

template <class Math>
struct Sums {
    typedef typename Math::Sum Sum;
    Sum d[TILES_M][TILES_N][4];

    // Of the windows whose corners lie at words `corners` of the patch: rows g and g+8 of every 16.
    __device__ __forceinline__ void multiply(const Stage<Math>& stage, const int (&corners)[TILES_M][2], int lane) {
#pragma unroll
        for (int m = 0; m < TILES_M; ++m) {
#pragma unroll
            for (int n = 0; n < TILES_N; ++n) {
#pragma unroll
                for (int i = 0; i < 4; ++i) d[m][n][i] = 0;
            }
        }
        // Lane l points at row l%8 of matrix l/8 of the four that an ldmatrix_x4 loads: two times 8 filters, two halves.
        const int row_vectors = stage.row_vectors();
        const uint4* b = stage.filters + (lane / 16 * 8 + lane % 8) * row_vectors + lane / 8 % 2;
        const Place* place = stage.places + lane % 4;
#pragma unroll 2
        for (int step = 0; step < stage.p.steps; ++step) {
            const Place at = *place;
            uint32_t fragments[TILES_N / 2][4];
#pragma unroll
            for (int n = 0; n < TILES_N / 2; ++n) ldmatrix_x4(fragments[n], b + n * 16 * row_vectors);
#pragma unroll
            for (int m = 0; m < TILES_M; ++m) {
                const uint32_t a[4] = {stage.patch[corners[m][0] + at.first] & at.first_mask,
                                       stage.patch[corners[m][1] + at.first] & at.first_mask,
                                       stage.patch[corners[m][0] + at.second] & at.second_mask,
                                       stage.patch[corners[m][1] + at.second] & at.second_mask};
#pragma unroll
                for (int n = 0; n < TILES_N; ++n) {
                    const uint32_t two[2] = {fragments[n / 2][n % 2 * 2], fragments[n / 2][n % 2 * 2 + 1]};
                    Math::multiply(d[m][n], a, two);
                }
            }
            place += 4;
            b += 2;
        }
    }

    // Those of row 8h + g of the m-th 16, and of eight neighbours of the q-th 32 filters, from 8t on.
    __device__ __forceinline__ void eight(int m, int h, int q, Sum (&x)[8]) const {
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = d[m][4 * q + i / 2][2 * h + i % 2];
    }
};

// ---- The way out ---------------------------------------------------------------------------------------------

template <class Math>
struct WayOut {
    typedef typename Math::Sum Sum;
    const EpilogueParams& p;
    const EpilogueTensors t;
    const Saturate saturate;
    int column;  // the lane's first filter
    bool plain, saturated;

    __device__ __forceinline__ WayOut(const EpilogueParams& p_, const EpilogueTensors& t_, int lane)
        : p(p_), t(t_), saturate(Clip(p_.post), p_.inv_scale) {
        column = blockIdx.y * BLOCK_N + lane % 4 * 8;
        plain = is_plain(p, t);
        saturated = plain && p.y_type == ELEMENT_S8 && saturate.enough && p.pre.kind == ACTIVATION_IDENTITY &&
                    !t.residual && p.columns == p.padded_columns;
    }

    // `rows` are the numbers of the lane's pixels, below 0 where y has none.
    __device__ __forceinline__ void store(const Sums<Math>& sums, const int (&rows)[TILES_M][2]) const {
        if (sizeof(typename Math::Element) == 1 && saturated) {
            store_saturated(sums, rows);
        } else if (plain) {
            store_plain(sums, rows);
        } else {
            store_any(sums, rows);
        }
    }

  private:
    // Integers that bias, scale and saturation are all there is to.
    __device__ __forceinline__ void store_saturated(const Sums<Math>& sums, const int (&rows)[TILES_M][2]) const {
#pragma unroll
        for (int q = 0; q < GROUPS; ++q) {
            const int at = column + 32 * q;
            if (at >= p.columns) continue;
            const auto terms = Real<Sum>::terms(t, at);
#pragma unroll
            for (int m = 0; m < TILES_M; ++m) {
#pragma unroll
                for (int h = 0; h < 2; ++h) {
                    Sum sum[8];
                    float x[8];
                    sums.eight(m, h, q, sum);
                    Real<Sum>::of(terms, sum, x);
                    int8_t* const line = static_cast<int8_t*>(t.y) + static_cast<int64_t>(rows[m][h]) * p.y_pitch + at;
                    if (rows[m][h] >= 0) *reinterpret_cast<uint2*>(line) = saturate(x);
                }
            }
        }
    }

    __device__ __forceinline__ void store_plain(const Sums<Math>& sums, const int (&rows)[TILES_M][2]) const {
        const Clip pre(p.pre), post(p.post);
#pragma unroll
        for (int q = 0; q < GROUPS; ++q) {
            const int at = column + 32 * q, left = p.columns - at;
            if (left <= 0) continue;
            const auto terms = Real<Sum>::terms(t, at);
            const int lanes = left > 8 ? 8 : p.padded_columns - at;
#pragma unroll
            for (int m = 0; m < TILES_M; ++m) {
#pragma unroll
                for (int h = 0; h < 2; ++h) {
                    const int row = rows[m][h];
                    if (row < 0) continue;
                    uint4 addend = zero_vector();
                    if (t.residual) {
                        addend = load_raw_8(t.residual, p.residual_type, static_cast<int64_t>(row) * p.residual_pitch + at,
                                            8).low;
                    }
                    Sum x[8];
                    sums.eight(m, h, q, x);
                    epilogue_plain_8(p, t, terms, pre, post, addend, x, left, lanes, t.y,
                                     static_cast<int64_t>(row) * p.y_pitch + at);
                }
            }
        }
    }

    __device__ __forceinline__ void store_any(const Sums<Math>& sums, const int (&rows)[TILES_M][2]) const {
#pragma unroll 1
        for (int item = 0; item < 2 * TILES_M * GROUPS; ++item) {
            // Registers cannot be indexed; a choice among all of them can.
            Sum x[8];
            sums.eight(0, 0, 0, x);
            int row = rows[0][0];
#pragma unroll
            for (int k = 1; k < 2 * TILES_M * GROUPS; ++k) {
                if (k == item) {
                    sums.eight(k / GROUPS / 2, k / GROUPS % 2, k % GROUPS, x);
                    row = rows[k / GROUPS / 2][k / GROUPS % 2];
                }
            }
            const int at = column + 32 * (item % GROUPS);
            if (row < 0 || at >= p.columns) continue;
            const RawRow8 residual = load_residual_8(p, t, row, at);
            epilogue_any_8(p, t, load_terms_8<Sum>(p, t, at), row, at, p.columns, x, residual);
        }
    }
};

extern "C" __global__ void __launch_bounds__(THREADS, MIN_BLOCKS)
conv_stem(const void* x, const uint4* __restrict__ w, const float* __restrict__ bias, const float* __restrict__ scales,
          const void* residual, void* __restrict__ y, const StemParams p, const EpilogueParams epilogue) {
    DYNAMIC_SHARED(uint4, shared);
    const Stage<PRECISION> stage(p, shared);
    stage.load_filters(w);
    stage.find_places();

    // The lane's pixels of a tile, counted row by row, and the corners of their windows in the patch.
    const int lane = threadIdx.x % 32, first = threadIdx.x / 32 * WARP_M + lane / 4;
    int down[TILES_M][2], along[TILES_M][2], corners[TILES_M][2];
#pragma unroll
    for (int m = 0; m < TILES_M; ++m) {
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const int pixel = first + 16 * m + 8 * h;
            down[m][h] = pixel >> p.tile_shift;
            along[m][h] = pixel & ((1 << p.tile_shift) - 1);
            corners[m][h] = down[m][h] * p.stride_h * p.patch_pitch +
                            along[m][h] * p.stride_w * p.channels / Stage<PRECISION>::WORD;
        }
    }
    const WayOut<PRECISION> out(epilogue, {bias, scales, residual, y}, lane);
    griddepcontrol_wait();

#pragma unroll 1
    for (int index = blockIdx.x; index < p.tiles; index += gridDim.x) {
        const Tile tile(p, index);
        stage.load_patch(x, tile);
        __syncthreads();
        Sums<PRECISION> sums;
        sums.multiply(stage, corners, lane);
        // The patch may be written again.
        __syncthreads();
        if (index + static_cast<int>(gridDim.x) >= p.tiles) griddepcontrol_launch_dependents();
        int rows[TILES_M][2];
#pragma unroll
        for (int m = 0; m < TILES_M; ++m) {
#pragma unroll
            for (int h = 0; h < 2; ++h) {
                const int row = tile.row + down[m][h], column = tile.column + along[m][h];
                const bool inside = row < p.out_height && column < p.out_width;
                rows[m][h] = inside ? (tile.image * p.out_height + row) * p.out_width + column : -1;
            }
        }
        out.store(sums, rows);
    }
}
