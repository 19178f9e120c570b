// The way of a warpgroup's sums to memory, of which warpgroup.cuh tells who holds which: as shares of a split K, through
// the plain epilogue, or through any.
//
// The plain one is unrolled over all sums, with vectors of residuals on their way ahead. It takes outputs of every type
// whose activations only clip (none, Relu, Clip), with residuals of f16 or s8. What is beyond goes through the one copy
// of `epilogue_any_8`: unrolled, its text would be longer than the caches of instructions.
#pragma once
#include "include/plain.cuh"

template <class Math>
struct WayOut {
    typedef typename Math::Sum Sum;
    static constexpr int ROWS = 2 * Sums<Math>::TILES_M;  // of a lane
    static constexpr int GROUPS = BLOCK_N / 32;           // of columns
    static constexpr int AHEAD = GROUPS == 1 ? 1 : 2;     // groups whose residuals are under way

    const EpilogueParams& p;
    const EpilogueTensors t;
    void* partial;
    int rows, columns;   // of y
    int row, column;     // of this lane's first sum
    int64_t shared_row;  // of the partial sums of this share and batch
    bool plain;
    uint4 residuals[AHEAD][ROWS];

    __device__ __forceinline__ WayOut(const ProductParams& product, const EpilogueParams& epilogue,
                                      const EpilogueTensors& tensors, void* partial_, const Work& work, int warpgroup)
        : p(epilogue), t(tensors), partial(partial_), rows(product.rows), columns(product.columns) {
        const int lane = threadIdx.x % 32, warp = threadIdx.x / 32 % 4;
        row = work.row + warpgroup * Sums<Math>::ROWS + 16 * warp + lane / 4;
        column = work.column + lane % 4 * 8;
        shared_row = static_cast<int64_t>(work.split * product.grid.batches + work.batch) * rows;
        plain = is_plain(p, t);
    }

    // Starts loading the first residuals.
    __device__ __forceinline__ void prefetch() {
#pragma unroll
        for (int q = 0; q < AHEAD; ++q) fetch(q);
    }

    __device__ __forceinline__ void store(const Sums<Math>& sums) {
        if (partial) {
            store_partial(sums);
        } else if (plain) {
            store_plain(sums);
        } else {
            store_any(sums);
        }
    }

  private:
    // From the lane's first row to its r-th.
    static __device__ __forceinline__ int down(int r) { return r / 2 * 64 + r % 2 * 8; }
    __device__ __forceinline__ bool inside(int r, int q) const {
        return row + down(r) < rows && column + 32 * q < columns;
    }

    __device__ __forceinline__ void fetch(int q) {
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            uint4& vector = residuals[q % AHEAD][r];
            vector = zero_vector();
            if (t.residual && plain && !partial && inside(r, q)) {
                const int64_t at = static_cast<int64_t>(row + down(r)) * p.residual_pitch + column + 32 * q;
                vector = load_raw_8(t.residual, p.residual_type, at, 8).low;
            }
        }
    }

    __device__ __forceinline__ void store_partial(const Sums<Math>& sums) {
        const int pitch = (columns + 7) / 8 * 8;
        Sum* const first = static_cast<Sum*>(partial) + (shared_row + row) * pitch + column;
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            Sum* const line = first + static_cast<int64_t>(down(r)) * pitch;
#pragma unroll
            for (int q = 0; q < GROUPS; ++q) {
                Sum x[8];
                sums.eight(r / 2, r % 2, q, x);
                if (inside(r, q)) store_row_8(line + 32 * q, x);
            }
        }
    }

    __device__ __forceinline__ void store_plain(const Sums<Math>& sums) {
        const Clip pre(p.pre), post(p.post);
        char* lines[ROWS];
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            const int64_t at = static_cast<int64_t>(row + down(r)) * p.y_pitch + column;
            lines[r] = static_cast<char*>(t.y) + at * (4 >> p.y_type);
        }
#pragma unroll
        for (int q = 0; q < GROUPS; ++q) {
            uint4 addends[ROWS];
#pragma unroll
            for (int r = 0; r < ROWS; ++r) addends[r] = residuals[q % AHEAD][r];
            if (q + AHEAD < GROUPS) fetch(q + AHEAD);
            const int left = columns - (column + 32 * q);
            if (left <= 0) continue;
            const auto terms = Real<Sum>::terms(t, column + 32 * q);
            const int lanes = left > 8 ? 8 : p.padded_columns - (column + 32 * q);
#pragma unroll
            for (int r = 0; r < ROWS; ++r) {
                if (row + down(r) >= rows) continue;
                Sum sum[8];
                sums.eight(r / 2, r % 2, q, sum);
                epilogue_plain_8(p, t, terms, pre, post, addends[r], sum, left, lanes, lines[r], 32 * q);
            }
        }
    }

    __device__ __forceinline__ void store_any(const Sums<Math>& sums) {
#pragma unroll 1
        for (int item = 0; item < ROWS * GROUPS; ++item) {
            const int r = item / GROUPS, q = item % GROUPS;
            if (!inside(r, q)) continue;
            // Registers cannot be indexed; a choice among all of them can.
            Sum x[8];
            sums.eight(0, 0, 0, x);
#pragma unroll
            for (int k = 1; k < ROWS * GROUPS; ++k) {
                if (k == item) sums.eight(k / GROUPS / 2, k / GROUPS % 2, k % GROUPS, x);
            }
            const int at = column + 32 * q;
            const RawRow8 residual = load_residual_8(p, t, row + down(r), at);
            epilogue_any_8(p, t, load_terms_8<Sum>(p, t, at), row + down(r), at, columns, x, residual);
        }
    }
};
