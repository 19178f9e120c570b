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
#include "include/vector.cuh"

// An activation that clips or does nothing.
struct Clip {
    float low, high;
    __device__ __forceinline__ explicit Clip(const ActivationParams& f) {
        low = f.kind == ACTIVATION_CLIP ? f.a : __int_as_float(0xff800000);
        high = f.kind == ACTIVATION_CLIP ? f.b : __int_as_float(0x7f800000);
    }
    __device__ __forceinline__ float operator()(float x) const { return clamp(x, low, high); }
};

// The byte of a chunk's row where the swizzle of CHUNK_BYTES puts it; `Swizzle` in tensor_map.rs.
static __device__ __forceinline__ int swizzled(int row, int byte) {
    const int at = row * CHUNK_BYTES + byte;
    return at ^ (at >> 7 & (CHUNK_BYTES / 16 - 1)) << 4;
}

// Eight neighbours of a chunk's row, from `byte` on, a multiple of their size.
static __device__ __forceinline__ void load_chunk_8(const unsigned char* chunk, int row, int byte, float (&x)[8]) {
    RawRow8 raw = {zero_vector(), zero_vector()};
    const unsigned char* const at = chunk + swizzled(row, byte);
    if constexpr (ELEMENT_BYTES == 1) {
        const uint2 bytes = *reinterpret_cast<const uint2*>(at);
        raw.low.x = bytes.x, raw.low.y = bytes.y;
        unpack_8(raw, ELEMENT_S8, x);
    } else if constexpr (ELEMENT_BYTES == 2) {
        unpack_f16(*reinterpret_cast<const uint4*>(at), x);
    } else {
        const float* const second = reinterpret_cast<const float*>(chunk + swizzled(row, byte + 16));
        load_halves_8(reinterpret_cast<const float*>(at), second, x);
    }
}
static __device__ __forceinline__ void store_chunk_8(unsigned char* chunk, int row, int byte, float inv_scale,
                                                     const float (&x)[8]) {
    unsigned char* const at = chunk + swizzled(row, byte);
    if constexpr (ELEMENT_BYTES == 1) {
        *reinterpret_cast<uint2*>(at) =
            make_uint2(quantize_4(x[0], x[1], x[2], x[3], inv_scale), quantize_4(x[4], x[5], x[6], x[7], inv_scale));
    } else if constexpr (ELEMENT_BYTES == 2) {
        *reinterpret_cast<uint4*>(at) = pack_f16(x);
    } else {
        *reinterpret_cast<float4*>(at) = make_float4(x[0], x[1], x[2], x[3]);
        *reinterpret_cast<float4*>(chunk + swizzled(row, byte + 16)) = make_float4(x[4], x[5], x[6], x[7]);
    }
}

template <class Math>
struct WayOut {
    typedef typename Math::Sum Sum;
    static constexpr int TILES_M = Sums<Math>::TILES_M;
    static constexpr int GROUPS = BLOCK_N / 32;  // of columns

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

    __device__ __forceinline__ WayOut(const Ring& ring_, const ProductParams& product_, const EpilogueParams& epilogue,
                                      const EpilogueTensors& tensors_, const TensorMap& y_, void* partial_)
        : ring(ring_), product(product_), p(epilogue), tensors(tensors_), y(y_), partial(partial_) {
        const int warp = threadIdx.x / 32;
        lane = threadIdx.x % 32;
        first_row = warp / 4 % TEAM * Sums<Math>::ROWS + warp % 4 * 16;
        chunks = ring.ways_out + warp * WAY_OUT_BYTES;
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
    __device__ __forceinline__ void store_copied(const Sums<Math>& sums, const Work& work, Place& place) {
        const Clip pre(p.pre), post(p.post);
#pragma unroll
        for (int c = 0; c < CHUNKS; ++c) {
            const int first_column = work.column + c * CHUNK;
            const unsigned char* const residual = ring.stages + place.stage * STAGE_BYTES;
            if (product.grid.tail != 0) mbarrier_wait(ring.full + place.stage, place.parity);
#pragma unroll
            for (int m = 0; m < TILES_M; ++m) {
                unsigned char* const chunk = chunks + (second ? 16 * CHUNK_BYTES : 0);
                second = !second;
                // All copies but the youngest have read what they write: the other chunk is on its way, this one is free.
                if (lane == 0) cp_async_bulk_wait_group_read<1>();
                __syncwarp();
#pragma unroll
                for (int q = 0; q < CHUNK / 32; ++q) {
                    const int column = first_column + 32 * q + lane % 4 * 8, left = product.columns - column;
                    typename Real<Sum>::Terms terms = {};
                    if (left > 0) terms = Real<Sum>::terms(tensors, column);
#pragma unroll
                    for (int h = 0; h < 2; ++h) {
                        const int row = lane / 4 + 8 * h, byte = (32 * q + lane % 4 * 8) * ELEMENT_BYTES;
                        Sum sum[8];
                        float x[8];
                        sums.eight(m, h, c * (CHUNK / 32) + q, sum);
                        Real<Sum>::of(terms, sum, x);
                        if (product.grid.tail != 0) {
                            float addend[8];
                            load_chunk_8(residual, first_row + 64 * m + row, byte, addend);
#pragma unroll
                            for (int i = 0; i < 8; ++i) x[i] = __fmaf_rn(addend[i], p.residual_scale, pre(x[i]));
                        }
#pragma unroll
                        for (int i = 0; i < 8; ++i) x[i] = post(x[i]);
                        if (left < 8) clear_from(x, left);
                        store_chunk_8(chunk, row, byte, p.inv_scale, x);
                    }
                }
                fence_proxy_async();
                __syncwarp();
                if (lane == 0) {
                    const int at[3] = {first_column, work.row + first_row + 64 * m, work.batch};
                    if (at[0] < p.padded_columns && at[1] < product.rows) cp_async_bulk_tensor_store(&y, at, chunk);
                    cp_async_bulk_commit_group();
                }
            }
            if (product.grid.tail != 0) {
                Sums<Math>::release(ring, place.stage);
                place.advance();
            }
        }
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
