// A matrix in memory as the source of tiles.
#pragma once
#include "include/tile.cuh"

// Tiles of a row-major matrix of `rows` x `columns` elements, `pitch` elements from row to row; what lies outside
// reads as 0. K runs along the columns, or along the rows if K_ALONG_ROWS. Where WHOLE, base and pitch are
// multiples of 16 bytes and so are the columns: vectors are moved as they are; else they are put together from
// single elements.
template <class Math, class TileLayout, bool K_ALONG_ROWS, bool WHOLE>
struct MatrixSource {
    typedef TileLayout Layout;
    typedef typename Math::Element Element;

    const Element* first;  // this thread's first vector of the tile at hand
    int64_t pitch;
    int row, column;  // where that is
    int rows, columns;

    // The tile whose first element is (row0, column0).
    __device__ __forceinline__ MatrixSource(const void* matrix, int64_t pitch_, int rows_, int columns_, int row0,
                                            int column0)
        : pitch(pitch_), rows(rows_), columns(columns_) {
        row = row0 + Layout::thread_row();
        column = column0 + Layout::thread_vector() * Math::WIDTH;
        first = static_cast<const Element*>(matrix) + row * pitch + column;
    }

    __device__ __forceinline__ bool valid(int j) const {
        return j * Layout::ROW_STEP < (column < columns ? rows - row : 0);
    }
    __device__ __forceinline__ const Element* address(int j) const { return first + j * Layout::ROW_STEP * pitch; }

    __device__ __forceinline__ uint4 read(int j) const {
        if (!valid(j)) return zero_vector();
        if constexpr (WHOLE) {
            return *reinterpret_cast<const uint4*>(address(j));
        } else {
            uint32_t words[4] = {0, 0, 0, 0};
#pragma unroll
            for (int i = 0; i < Math::WIDTH; ++i) {
                if (column + i < columns) put(words, i, address(j)[i]);
            }
            return make_uint4(words[0], words[1], words[2], words[3]);
        }
    }

    __device__ __forceinline__ void advance() {
        if constexpr (K_ALONG_ROWS) {
            row += BLOCK_K;
            first += BLOCK_K * pitch;
        } else {
            column += BLOCK_K;
            first += BLOCK_K;
        }
    }

  private:
    static __device__ __forceinline__ void put(uint32_t (&words)[4], int i, float x) { words[i] = __float_as_uint(x); }
    static __device__ __forceinline__ void put(uint32_t (&words)[4], int i, f16 x) {
        words[i / 2] |= static_cast<uint32_t>(x.bits) << (i % 2 * 16);
    }
    static __device__ __forceinline__ void put(uint32_t (&words)[4], int i, int8_t x) {
        words[i / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(x)) << (i % 4 * 8);
    }
};
