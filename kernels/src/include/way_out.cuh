// The way of a warpgroup's sums to memory, of which warpgroup.cuh tells who holds which.
//
//     store_copied    the usual one: finished in registers, gathered in shared memory in chunks of 16 rows, and written
//                     by tensor copies in whole lines while the warp goes on. Outputs, and residuals, of the operands'
//                     own type whose activations only clip (none, Relu, Clip); residuals come through the ring.
//     store_any       every other epilogue, by the threads themselves
//     store_partial   the shares of a split K
//
// A kernel has one of them, by WAY_OUT on the command line, and is short: in a network each kernel's instructions come
// from far away.
//
// Each warp finishes its own rows and needs no other.
#pragma once
#include "include/plain.cuh"
#include "include/vector.cuh"

// The byte of a chunk where the swizzle of its BYTES a row puts byte `byte` of row `row`; `Swizzle` in tensor_map.rs.
// Eight rows further it is 8·BYTES further, and where bits of `byte` above those of 16 are 0, they may be XORed to it later.
template <int BYTES>
__device__ __forceinline__ int swizzled(int row, int byte) {
    const int at = row * BYTES + byte;
    return at ^ (at >> 7 & (BYTES / 16 - 1)) << 4;
}

// Eight numbers of the operands' type, `second` where the last 16 bytes of 32 are.
__device__ __forceinline__ RawRow8 load_chunk_8(const unsigned char* first, const unsigned char* second) {
    RawRow8 row = {zero_vector(), zero_vector()};
    if constexpr (ELEMENT_BYTES == 1) {
        const uint2 bytes = *reinterpret_cast<const uint2*>(first);
        row.low.x = bytes.x, row.low.y = bytes.y;
    } else {
        row.low = *reinterpret_cast<const uint4*>(first);
        if constexpr (ELEMENT_BYTES == 4) row.high = *reinterpret_cast<const uint4*>(second);
    }
    return row;
}

// Ways out, and what is known of those that are copied. PLAIN: nothing is done to a number before the residual is added;
// behind it, to integers what `Saturate` does, to reals no upper bound. `WayOut` in tile/warpgroup/output.rs.
enum Way { ANY, PARTIAL, COPIED, COPIED_PLAIN, RESIDUAL, RESIDUAL_PLAIN };
constexpr bool COPIES = WAY_OUT >= COPIED, ADDS = WAY_OUT >= RESIDUAL;
constexpr bool PLAIN = WAY_OUT == COPIED_PLAIN || WAY_OUT == RESIDUAL_PLAIN;

// What is done to a number before and behind the residual, and the type of y.
struct Finish {
    Clip pre, clip;
    Saturate saturate;
    float residual_scale;

    __device__ __forceinline__ explicit Finish(const EpilogueParams& p)
        : pre(p.pre), clip(p.post), saturate(clip, p.inv_scale), residual_scale(p.residual_scale) {}

    __device__ __forceinline__ void add(const RawRow8& residual, float (&x)[8]) const {
        if constexpr (!PLAIN) {
#pragma unroll
            for (int i = 0; i < 8; ++i) x[i] = pre.fast(x[i]);
        }
        float addend[8];
        unpack_8(residual, ELEMENT_BYTES == 1 ? ELEMENT_S8 : ELEMENT_BYTES == 2 ? ELEMENT_F16 : ELEMENT_F32, addend);
#pragma unroll
        for (int i = 0; i < 8; ++i) x[i] = __fmaf_rn(addend[i], residual_scale, x[i]);
    }

    __device__ __forceinline__ void store(unsigned char* first, unsigned char* second, float (&x)[8]) const {
        if constexpr (!PLAIN) {
#pragma unroll
            for (int i = 0; i < 8; ++i) x[i] = clip.fast(x[i]);
        } else if constexpr (ELEMENT_BYTES > 1) {
#pragma unroll
            for (int i = 0; i < 8; ++i) x[i] = Fast::at_least(x[i], clip.low);
        }
        if constexpr (ELEMENT_BYTES == 1) {
            *reinterpret_cast<uint2*>(first) = PLAIN ? saturate(x) : saturate.rounded(x);
        } else if constexpr (ELEMENT_BYTES == 2) {
            *reinterpret_cast<uint4*>(first) = pack_f16(x);
        } else {
            *reinterpret_cast<float4*>(first) = make_float4(x[0], x[1], x[2], x[3]);
            *reinterpret_cast<float4*>(second) = make_float4(x[4], x[5], x[6], x[7]);
        }
    }
};

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
    int own_out, own_residual;  // where this lane's first columns of its first row are in a chunk
    bool second = false;  // which of the two is written next
    Terms next;           // of the group that is finished next

    __device__ __forceinline__ WayOut(const Ring& ring_, const ProductParams& product_, const EpilogueParams& epilogue,
                                      const EpilogueTensors& tensors_, const TensorMap& y_, void* partial_)
        : ring(ring_), product(product_), p(epilogue), tensors(tensors_), y(y_), partial(partial_) {
        const int warp = threadIdx.x / 32;
        lane = threadIdx.x % 32;
        first_row = warp / 4 % TEAM * Sums<Math>::ROWS + warp % 4 * 16;
        chunks = ring.ways_out + warp * WAY_OUT_BYTES;
        own_out = swizzled<CHUNK_BYTES>(lane / 4, lane % 4 * 8 * ELEMENT_BYTES);
        own_residual = swizzled<RESIDUAL_BYTES>(first_row + lane / 4, lane % 4 * 8 * ELEMENT_BYTES);
    }

    // Before the products of a tile: what can be fetched before its sums are there.
    __device__ __forceinline__ void begin(const Work& work) {
        if constexpr (COPIES) next = terms(work, 0);
    }

    // `place` is where the chunks of the tile's residual are, if it has one.
    __device__ __forceinline__ void store(const Sums<Math>& sums, const Work& work, Place& place) {
        if constexpr (COPIES) {
            store_copied(sums, work, place);
        } else if constexpr (WAY_OUT == PARTIAL) {
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
    // Of this lane's columns of a group. Bias and scales go on to the end of the last tile.
    __device__ __forceinline__ Terms terms(const Work& work, int group) const {
        return Real<Sum>::terms(tensors, work.column + lane % 4 * 8 + 32 * group);
    }

    // Without a branch from the first of a chunk's numbers to the last.
    __device__ __forceinline__ void store_copied(const Sums<Math>& sums, const Work& work, Place& place) {
        const Finish finish(p);
        constexpr int RESIDUALS = ADDS ? CHUNK / RESIDUAL_COLUMNS : 1;
#pragma unroll
        for (int c = 0; c < BLOCK_N / CHUNK; ++c) {
            const unsigned char* residuals[RESIDUALS] = {};
            if constexpr (ADDS) {
                Place seen = place;
#pragma unroll
                for (int i = 0; i < RESIDUALS; ++i, seen.advance()) {
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
                    const int then = q + 1 < CHUNK_GROUPS ? q + 1 : m + 1 < TILES_M ? 0 : CHUNK_GROUPS;
                    if (c * CHUNK_GROUPS + then < GROUPS) next = terms(work, c * CHUNK_GROUPS + then);
RawRow8 addends[2];
                    if constexpr (ADDS) load_residual(residuals[32 * q / RESIDUAL_COLUMNS], m, q, addends);
#pragma unroll
                    for (int h = 0; h < 2; ++h) {
                        Sum sum[8];
                        float x[8];
                        sums.eight(m, h, c * CHUNK_GROUPS + q, sum);
                        Real<Sum>::of(now, sum, x);
                        if constexpr (ADDS) finish.add(addends[h], x);
                        unsigned char* const line = chunk + 8 * h * CHUNK_BYTES;
                        const int at = own_out ^ 32 * ELEMENT_BYTES * q;
                        finish.store(line + at, line + (at ^ 16), x);
                    }
                }
                if (work.column + BLOCK_N > product.columns) clear_padding(work.column + c * CHUNK, chunk);
                fence_proxy_async();
                __syncwarp();
                if (lane == 0) {
                    const int at[3] = {work.column + c * CHUNK, work.row + first_row + 64 * m, work.batch};
                    if (at[0] < p.padded_columns && at[1] < product.rows) cp_async_bulk_tensor_store(&y, at, chunk);
                    cp_async_bulk_commit_group();
                }
            }
            if constexpr (ADDS) {
#pragma unroll
                for (int i = 0; i < RESIDUALS; ++i, place.advance()) Sums<Math>::release(ring, place.stage);
            }
        }
    }

    // What is added to this lane's sums of group `q` of a chunk's, in rows 64m and those 8 further.
    __device__ __forceinline__ void load_residual(const unsigned char* chunk, int m, int q, RawRow8 (&addends)[2]) const {
        const int at = own_residual ^ 32 * q % RESIDUAL_COLUMNS * ELEMENT_BYTES;
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const unsigned char* const line = chunk + (64 * m + 8 * h) * RESIDUAL_BYTES;
            addends[h] = load_chunk_8(line + at, line + (at ^ 16));
        }
    }

    // Zeros for the columns of a chunk that pad y, from `column` of y on.
    __device__ __forceinline__ void clear_padding(int column, unsigned char* chunk) const {
        const int behind = product.columns - column, end = p.padded_columns - column;
        const int first = behind > 0 ? behind : 0, count = (end < CHUNK ? end : CHUNK) - first;
        __syncwarp();
#pragma unroll 1
        for (int i = lane; i < 16 * count; i += 32) {
            unsigned char* const at = chunk + swizzled<CHUNK_BYTES>(i % 16, (first + i / 16) * ELEMENT_BYTES);
            for (int byte = 0; byte < ELEMENT_BYTES; ++byte) at[byte] = 0;
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
