// The way of a warpgroup's sums to memory, of which warpgroup.cuh tells who holds which.
//
//     store_copied    the usual one: finished in registers, gathered in shared memory in chunks of 16 rows, and written
//                     by tensor copies in whole lines while the warp goes on. Outputs, and residuals, of the operands'
//                     own type whose activations only clip (none, Relu, Clip); residuals come through the ring.
//     store_any       every other epilogue, by the threads themselves
//     store_partial   the shares of a split K
//
// Each warp finishes its own rows and needs no other.
#pragma once
#include "include/plain.cuh"
#include "include/vector.cuh"

// The sign of a zero does not matter to what is rounded to f16 or s8, nor to TF32.
__device__ __forceinline__ void clip_8(const Clip& clip, float (&x)[8]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) x[i] = Fast::at_most(Fast::at_least(x[i], clip.low), clip.high);
}

// The byte of a chunk where the swizzle of its BYTES a row puts byte `byte` of row `row`; `Swizzle` in tensor_map.rs.
template <int BYTES>
__device__ __forceinline__ int swizzled(int row, int byte) {
    const int at = row * BYTES + byte;
    return at ^ (at >> 7 & (BYTES / 16 - 1)) << 4;
}

// Eight neighbours of a chunk's row, from `byte` on, a multiple of their size.
__device__ __forceinline__ void load_residual_chunk_8(const unsigned char* chunk, int row, int byte, float (&x)[8]) {
    RawRow8 raw = {zero_vector(), zero_vector()};
    const unsigned char* const at = chunk + swizzled<RESIDUAL_BYTES>(row, byte);
    if constexpr (ELEMENT_BYTES == 1) {
        const uint2 bytes = *reinterpret_cast<const uint2*>(at);
        raw.low.x = bytes.x, raw.low.y = bytes.y;
        unpack_8(raw, ELEMENT_S8, x);
    } else if constexpr (ELEMENT_BYTES == 2) {
        unpack_f16(*reinterpret_cast<const uint4*>(at), x);
    } else {
        const float* const second = reinterpret_cast<const float*>(chunk + swizzled<RESIDUAL_BYTES>(row, byte + 16));
        load_halves_8(reinterpret_cast<const float*>(at), second, x);
    }
}
__device__ __forceinline__ void store_chunk_8(unsigned char* chunk, int row, int byte, float inv_scale,
                                              const float (&x)[8]) {
    unsigned char* const at = chunk + swizzled<CHUNK_BYTES>(row, byte);
    if constexpr (ELEMENT_BYTES == 1) {
        *reinterpret_cast<uint2*>(at) =
            make_uint2(quantize_4(x[0], x[1], x[2], x[3], inv_scale), quantize_4(x[4], x[5], x[6], x[7], inv_scale));
    } else if constexpr (ELEMENT_BYTES == 2) {
        *reinterpret_cast<uint4*>(at) = pack_f16(x);
    } else {
        *reinterpret_cast<float4*>(at) = make_float4(x[0], x[1], x[2], x[3]);
        *reinterpret_cast<float4*>(chunk + swizzled<CHUNK_BYTES>(row, byte + 16)) = make_float4(x[4], x[5], x[6], x[7]);
    }
}

template <class Math>
struct WayOut {
    typedef typename Math::Sum Sum;
    static constexpr int TILES_M = Sums<Math>::TILES_M;
    static constexpr int GROUPS = BLOCK_N / 32;      // of columns
    static constexpr int CHUNK_GROUPS = CHUNK / 32;  // of a chunk
    typedef typename Real<Sum>::Terms Terms;

    const Ring& ring;
    const ProductParams& product;
    const EpilogueParams& p;
    const EpilogueTensors& tensors;
    const TensorMap& y;
    void* partial;
    int lane;
    int first_row;  // of this warp, in the tile
    unsigned char* chunks;
    bool second = false;  // which of the two is written next
    Terms next;           // of the group that is finished next

    __device__ __forceinline__ WayOut(const Ring& ring_, const ProductParams& product_, const EpilogueParams& epilogue,
                                      const EpilogueTensors& tensors_, const TensorMap& y_, void* partial_)
        : ring(ring_), product(product_), p(epilogue), tensors(tensors_), y(y_), partial(partial_) {
        const int warp = threadIdx.x / 32;
        lane = threadIdx.x % 32;
        first_row = warp / 4 % TEAM * Sums<Math>::ROWS + warp % 4 * 16;
        chunks = ring.ways_out + warp * WAY_OUT_BYTES;
    }

    // Before the products of a tile: what can be fetched before its sums are there.
    __device__ __forceinline__ void begin(const Work& work) {
        if (product.copied) next = terms(work, 0);
    }

    // `place` is where the chunks of the tile's residual are, if it has one.
    __device__ __forceinline__ void store(const Sums<Math>& sums, const Work& work, Place& place) {
        if (product.copied) {
            store_copied(sums, work, place);
        } else if (partial) {
            store_partial(sums, work);
        } else {
            store_any(sums, work);
        }
    }

    // Before the block ends, and its shared memory with it.
    __device__ __forceinline__ void finish() const {
        if (lane == 0) cp_async_bulk_wait_group_read<0>();
    }

  private:
    // Of this lane's columns of a group.
    __device__ __forceinline__ Terms terms(const Work& work, int group) const {
        const int column = work.column + 32 * group + lane % 4 * 8;
        if (column >= product.columns) return {};
        return Real<Sum>::terms(tensors, column);
    }

    __device__ __forceinline__ void store_copied(const Sums<Math>& sums, const Work& work, Place& place) {
#pragma unroll
        for (int c = 0; c < BLOCK_N / CHUNK; ++c) {
            const unsigned char* residuals[CHUNK / RESIDUAL_COLUMNS];
            Place seen = place;
            if (product.grid.tail != 0) {
#pragma unroll
                for (int i = 0; i < CHUNK / RESIDUAL_COLUMNS; ++i, seen.advance()) {
                    mbarrier_wait(ring.full + seen.stage, seen.parity);
                    residuals[i] = ring.stages + seen.stage * STAGE_BYTES;
                }
            }
#pragma unroll
            for (int m = 0; m < TILES_M; ++m) {
                unsigned char* const chunk = chunks + (second ? 16 * CHUNK_BYTES : 0);
                second = !second;
                // All copies but the youngest have been read: that is of the other chunk, and this one is free.
                if (lane == 0) cp_async_bulk_wait_group_read<1>();
                __syncwarp();
#pragma unroll
                for (int q = 0; q < CHUNK_GROUPS; ++q) {
                    const Terms now = next;
                    // Behind the last group of rows 64m come the first of rows 64m + 64, and then the next chunk.
                    next = terms(work, c * CHUNK_GROUPS + (q + 1 < CHUNK_GROUPS ? q + 1 : m + 1 < TILES_M ? 0 : CHUNK_GROUPS));
#pragma unroll
                    for (int h = 0; h < 2; ++h) {
                        finish_8(sums, work, now, m, h, c * CHUNK_GROUPS + q, residuals, chunk);
                    }
                }
                fence_proxy_async();
                __syncwarp();
                if (lane == 0) {
                    const int at[3] = {work.column + c * CHUNK, work.row + first_row + 64 * m, work.batch};
                    if (at[0] < p.padded_columns && at[1] < product.rows) cp_async_bulk_tensor_store(&y, at, chunk);
                    cp_async_bulk_commit_group();
                }
            }
            if (product.grid.tail != 0) {
#pragma unroll
                for (int i = 0; i < CHUNK / RESIDUAL_COLUMNS; ++i, place.advance()) {
                    Sums<Math>::release(ring, place.stage);
                }
            }
        }
    }

    // Eight sums of a row and a group of columns, on their way into the chunk.
    __device__ __forceinline__ void finish_8(const Sums<Math>& sums, const Work& work, const Terms& terms, int m, int h,
                                             int group, const unsigned char* const* residuals,
                                             unsigned char* chunk) const {
        const int row = lane / 4 + 8 * h, column = 32 * group + lane % 4 * 8;
        Sum sum[8];
        float x[8];
        sums.eight(m, h, group, sum);
        Real<Sum>::of(terms, sum, x);
        if (product.grid.tail != 0) {
            if (p.pre.kind == ACTIVATION_CLIP) clip_8(Clip(p.pre), x);
            const int in_chunk = 32 * group % CHUNK;
            float addend[8];
            load_residual_chunk_8(residuals[in_chunk / RESIDUAL_COLUMNS], first_row + 64 * m + row,
                                  column % RESIDUAL_COLUMNS * ELEMENT_BYTES, addend);
#pragma unroll
            for (int i = 0; i < 8; ++i) x[i] = __fmaf_rn(addend[i], p.residual_scale, x[i]);
        }
        clip_8(Clip(p.post), x);
        if (work.column + BLOCK_N > product.columns) clear_from(x, product.columns - work.column - column);
        store_chunk_8(chunk, row, column % CHUNK * ELEMENT_BYTES, p.inv_scale, x);
    }

    __device__ __forceinline__ void store_partial(const Sums<Math>& sums, const Work& work) const {
        const int pitch = (product.columns + 7) / 8 * 8, column = work.column + lane % 4 * 8;
        const int64_t share = static_cast<int64_t>(work.split * product.grid.batches + work.batch) * product.rows;
#pragma unroll
        for (int r = 0; r < 2 * TILES_M; ++r) {
            const int row = work.row + first_row + r / 2 * 64 + r % 2 * 8 + lane / 4;
            Sum* const line = static_cast<Sum*>(partial) + (share + row) * pitch + column;
#pragma unroll
            for (int q = 0; q < GROUPS; ++q) {
                Sum x[8];
                sums.eight(r / 2, r % 2, q, x);
                if (row < product.rows && column + 32 * q < product.columns) store_row_8(line + 32 * q, x);
            }
        }
    }

    // The text of a whole epilogue, once: registers cannot be indexed by the loop that goes over the columns, shared
    // memory can.
    __device__ __forceinline__ void store_any(const Sums<Math>& sums, const Work& work) const {
        const EpilogueTensors t = tensors_of_batch(p, tensors, work.batch, product.stride_y, product.rows);
        Sum* const own = reinterpret_cast<Sum*>(chunks) + 4 * lane;
#pragma unroll 1
        for (int item = 0; item < 2 * TILES_M * GROUPS; ++item) {
            const int r = item / GROUPS, q = item % GROUPS;
#pragma unroll
            for (int k = 0; k < 2 * TILES_M * GROUPS; ++k) {
                if (k != item) continue;
                Sum x[8];
                sums.eight(k / GROUPS / 2, k / GROUPS % 2, k % GROUPS, x);
                store_halves_8(own, own + 128, x);
            }
            const int row = work.row + first_row + r / 2 * 64 + r % 2 * 8 + lane / 4;
            const int column = work.column + 32 * q + lane % 4 * 8;
            if (row >= product.rows || column >= product.columns) continue;
            Sum x[8];
            load_halves_8(own, own + 128, x);
            const RawRow8 residual = load_residual_8(p, t, row, column);
            epilogue_any_8(p, t, load_terms_8<Sum>(p, t, column), row, column, product.columns, x, residual);
        }
    }
};
