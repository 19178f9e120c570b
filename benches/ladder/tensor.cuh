// What the steps on tensor cores share: the block tile, and a warp's part of it. main.rs puts this text after product.cuh.
//
// 256 threads, 2x4 warps of 64x32 sums each. A tile is an array of vectors of eight f16: a's 128 rows of 4, b's 32 rows
// of 16. `Layout::slot(row, vector, row_vectors)` says where in the array a vector lies.
constexpr int BLOCK_M = 128, BLOCK_N = 128, BLOCK_K = 32, THREADS = 256;
constexpr int VECTORS_A = BLOCK_K / 8, VECTORS_B = BLOCK_N / 8;
constexpr int SIZE_A = BLOCK_M * VECTORS_A, SIZE_B = BLOCK_K * VECTORS_B;

// Row after row.
struct Plain {
    static __device__ __forceinline__ int slot(int row, int vector, int row_vectors) { return row * row_vectors + vector; }
};

// Row after row, the vectors of a row permuted; see `TileLayout` in include/tile.cuh.
struct Swizzled {
    static __device__ __forceinline__ int slot(int row, int vector, int row_vectors) {
        const int period = row_vectors < 8 ? row_vectors : 8;
        return row * row_vectors + (vector ^ (row / (8 / period) % period));
    }
};

template <class Layout>
struct WarpTile {
    float sums[4][4][4];  // [16 rows][8 columns][fragment]
    int lane, row, column;

    __device__ __forceinline__ WarpTile() {
        lane = threadIdx.x % 32;
        row = threadIdx.x / 128 * 64;
        column = threadIdx.x / 32 % 4 * 32;
#pragma unroll
        for (int i = 0; i < 64; ++i) sums[i / 16][i / 4 % 4][i % 4] = 0.0f;
    }

    // sums += a·b over the tile's BLOCK_K.
    __device__ __forceinline__ void multiply(const uint4* a, const uint4* b) {
#pragma unroll
        for (int step = 0; step < BLOCK_K / 16; ++step) {
            uint32_t left[4][4], right[4][2];
#pragma unroll
            for (int m = 0; m < 4; ++m) {
                ldmatrix_x4(left[m], a + Layout::slot(row + 16 * m + lane % 16, 2 * step + lane / 16, VECTORS_A));
            }
#pragma unroll
            for (int n = 0; n < 4; n += 2) {
                // Rows are k, columns are n: `trans` turns each 8x8 matrix on the way.
                uint32_t two[4];
                const int vector = column / 8 + n + lane / 16;
                ldmatrix_x4_trans(two, b + Layout::slot(16 * step + lane % 16, vector, VECTORS_B));
                right[n][0] = two[0], right[n][1] = two[1];
                right[n + 1][0] = two[2], right[n + 1][1] = two[3];
            }
#pragma unroll
            for (int m = 0; m < 4; ++m) {
#pragma unroll
                for (int n = 0; n < 4; ++n) mma_m16n8k16_f16(sums[m][n], left[m], right[n]);
            }
        }
    }

    // Two neighbouring columns are one store of 4 bytes.
    __device__ __forceinline__ void store(f16* y, const Params& p) const {
#pragma unroll
        for (int m = 0; m < 4; ++m) {
#pragma unroll
            for (int n = 0; n < 4; ++n) {
#pragma unroll
                for (int half = 0; half < 2; ++half) {
                    const int i = blockIdx.y * BLOCK_M + row + 16 * m + 8 * half + lane / 4;
                    const int j = blockIdx.x * BLOCK_N + column + 8 * n + lane % 4 * 2;
                    if (i < p.m && j < p.n) {
                        *reinterpret_cast<uint32_t*>(y + static_cast<int64_t>(i) * p.n + j) =
                            cvt_rn_f16x2_f32(sums[m][n][2 * half], sums[m][n][2 * half + 1]);
                    }
                }
            }
        }
    }
};

// Copies the tiles of the step of K at `k`, two vectors of each a thread, by way of registers.
template <class Layout>
__device__ __forceinline__ void copy_tiles(uint4* tile_a, uint4* tile_b, const LEFT& a, const f16* b, const Params& p, int k) {
#pragma unroll
    for (int i = threadIdx.x; i < SIZE_A; i += THREADS) {
        const int row = i / VECTORS_A, at = i % VECTORS_A;
        tile_a[Layout::slot(row, at, VECTORS_A)] = vector(a, blockIdx.y * BLOCK_M + row, k + 8 * at);
    }
#pragma unroll
    for (int i = threadIdx.x; i < SIZE_B; i += THREADS) {
        const int row = i / VECTORS_B, at = i % VECTORS_B;
        tile_b[Layout::slot(row, at, VECTORS_B)] = vector(b, p, k + row, blockIdx.x * BLOCK_N + 8 * at);
    }
}

// Starts the same copies behind the threads' backs: `cp.async` goes past the registers, and writes zeros where there is
// nothing to read. Both tiles lie in one stage; behind the last step of K nothing is copied.
template <class Layout>
__device__ __forceinline__ void start_copy(uint4* stage, const LEFT& a, const f16* b, const Params& p, int k) {
    if (k >= p.k) return;
#pragma unroll
    for (int i = threadIdx.x; i < SIZE_A; i += THREADS) {
        const int row = i / VECTORS_A, at = i % VECTORS_A;
        const int y = blockIdx.y * BLOCK_M + row, x = k + 8 * at;
        const bool inside = a.valid(y, x);
        cp_async_16(stage + Layout::slot(row, at, VECTORS_A), inside ? a.address(y, x) : a.x, inside);
    }
#pragma unroll
    for (int i = threadIdx.x; i < SIZE_B; i += THREADS) {
        const int row = i / VECTORS_B, at = i % VECTORS_B;
        const int y = k + row, x = blockIdx.x * BLOCK_N + 8 * at;
        const bool inside = y < p.k && x < p.n;
        cp_async_16(stage + SIZE_A + Layout::slot(row, at, VECTORS_B), inside ? b + static_cast<int64_t>(y) * p.n + x : b, inside);
    }
}
