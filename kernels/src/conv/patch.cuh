// The patch of conv/stem: the pixels under a tile of y in shared memory, and the filters beside them. stem.cu says what
// for.
//
// Defined on the command line: WARPS, WARP_M, BLOCK_N.
#pragma once
#include "include/index.cuh"
#include "include/product.cuh"
#include "include/row.cuh"
#include "include/vector.cuh"

constexpr int THREADS = 32 * WARPS;
constexpr int BLOCK_M = WARPS * WARP_M;

// How x lies; the numbers are those of stem.rs.
enum Given : int {
    GIVEN_PIXELS = 0,  // of the patch's type, in vectors
    GIVEN_F32 = 1,     // number by number
    GIVEN_F16 = 2,
};

// Mirrored in stem.rs. "Numbers" are of the patch's type.
struct StemParams {
    int64_t picture;    // numbers of x from one picture to the next
    int height, width;  // of x
    int down, along;    // numbers of x from one row and one pixel to the next
    int plane;          // and from one channel to the next, where x is not given in pixels
    int planes;         // channels of x
    int given;
    float factor;       // that numbers are multiplied by before they become s8
    int out_height, out_width;
    int stride_h, stride_w;
    int dilation_h, dilation_w;
    int pad_h, pad_w;   // above, left
    int channels;       // numbers of a pixel in the patch
    int line;           // S·channels
    int line_words;     // words that a line fills
    int words;          // R·line_words
    int steps;          // of eight words along K
    int patch_height;
    int patch_pitch;    // words from one row to the next
    Divisor patch_width;
    int tile_shift;     // a tile is 2^tile_shift pixels wide
    int tiles_across, tiles_down;
    int tiles;          // of all pictures
};

// The tile of y with this number: its first pixel.
struct Tile {
    int image, row, column;

    __device__ __forceinline__ Tile(const StemParams& p, int index) {
        const int line = index / p.tiles_across;
        image = line / p.tiles_down;
        column = (index - line * p.tiles_across) << p.tile_shift;
        row = (line - image * p.tiles_down) * (BLOCK_M >> p.tile_shift);
    }
};

// ---- What lies in shared memory ------------------------------------------------------------------------------

// Where the words t and t+4 of a step lie, from the corner of a window, and which of their bits count.
struct alignas(16) Place {
    int first;
    uint32_t first_mask;
    int second;
    uint32_t second_mask;
};

// A picture of vectors, with zeros behind its channels.
template <typename Element>
struct Pixels {
    typedef Vector<Element, 4> Pixel;
    const StemParams& p;
    const Element* first;

    __device__ __forceinline__ Pixel load(int at) const { return load_vector<4>(first + at); }
    static __device__ __forceinline__ Element number(const Pixel& pixel, int c) { return pixel.lane[c]; }
};

// A picture whose channels lie anywhere, of X that become the patch's type.
template <class Math, typename X>
struct Planes {
    typedef typename Math::Element Element;
    typedef Vector<X, 4> Pixel;
    const StemParams& p;
    const X* first;

    __device__ __forceinline__ Pixel load(int at) const {
        Pixel pixel = {};
#pragma unroll
        for (int c = 0; c < 4; ++c) {
            if (c < p.planes) pixel.lane[c] = first[at + c * p.plane];
        }
        return pixel;
    }
    __device__ __forceinline__ Element number(const Pixel& pixel, int c) const {
        const float x = to_f32(pixel.lane[c]);
        return from_f32<Element>(sizeof(Element) == 1 ? __fmul_rn(x, p.factor) : x);
    }
};

template <class Math>
struct Stage {
    typedef typename Math::Element Element;
    static constexpr int WORD = 4 / sizeof(Element);  // numbers of a word
    static constexpr int BATCH = 4;                   // pixels of a thread under way
    static constexpr int FOURS = WARP_M > 16 ? 2 : 1;  // or fours of them

    const StemParams& p;
    uint4* filters;  // rows of 2·steps + 1 vectors: an odd number, so that ldmatrix meets every bank once
    Place* places;   // [steps][4]
    uint32_t* patch;

    __device__ __forceinline__ Stage(const StemParams& p_, uint4* shared) : p(p_) {
        filters = shared;
        places = reinterpret_cast<Place*>(filters + BLOCK_N * row_vectors());
        patch = reinterpret_cast<uint32_t*>(places + 4 * p.steps);
    }
    __device__ __forceinline__ int row_vectors() const { return 2 * p.steps + 1; }

    __device__ __forceinline__ void load_filters(const uint4* w) const {
        const int size = BLOCK_N * row_vectors();
        const uint4* const from = w + static_cast<int64_t>(blockIdx.y) * size;
#pragma unroll 4
        for (int i = threadIdx.x; i < size; i += THREADS) filters[i] = from[i];
    }

    __device__ __forceinline__ void find_places() const {
        for (int word = threadIdx.x; word < 8 * p.steps; word += THREADS) {
            const int r = word / p.line_words, first = (word - r * p.line_words) * WORD;
            const int s = first / p.channels, left = p.line - first;
            const int across = s * p.dilation_w * p.channels + (first - s * p.channels);
            const bool real = word < p.words;  // words behind the last count nothing, wherever they lie
            uint2 place = make_uint2(0, 0);
            if (real) {
                place.x = r * p.dilation_h * p.patch_pitch + across / WORD;
                place.y = left >= WORD ? 0xffffffffu : (1u << (left * (32 / WORD))) - 1;
            }
            reinterpret_cast<uint2*>(places)[(word / 8 * 4 + word % 4) * 2 + word % 8 / 4] = place;
        }
    }

    // The pixels under a tile.
    __device__ __forceinline__ void load_patch(const void* x, const Tile& tile) const {
        const int64_t first = tile.image * p.picture;
        if constexpr (sizeof(Element) == 1) {
            if (is_rows(x)) {
                load_rows(static_cast<const float*>(x) + first, tile);
                return;
            }
        }
        if (p.given == GIVEN_PIXELS) {
            load_pixels(Pixels<Element>{p, static_cast<const Element*>(x) + first}, tile);
        } else if (p.given == GIVEN_F32) {
            load_pixels(Planes<Math, float>{p, static_cast<const float*>(x) + first}, tile);
        } else {
            load_pixels(Planes<Math, f16>{p, static_cast<const f16*>(x) + first}, tile);
        }
    }

  private:
    // Whether x is of rows of f32 whose fours of neighbours are aligned, and a pixel of the patch is one word.
    __device__ __forceinline__ bool is_rows(const void* x) const {
        const int fours = p.width | p.down | p.plane | static_cast<int>(p.picture);
        return p.given == GIVEN_F32 && p.along == 1 && p.channels == 4 && fours % 4 == 0 &&
               reinterpret_cast<uint64_t>(x) % 16 == 0;
    }

    // The pixels of such a picture, in fours: a vector of each channel becomes four words.
    __device__ __forceinline__ void load_rows(const float* picture, const Tile& tile) const {
        const int top = tile.row * p.stride_h - p.pad_h, left = tile.column * p.stride_w - p.pad_w;
        const int before = left & 3, width = static_cast<int>(p.patch_width.value);
        const int fours = (before + width + 3) / 4, count = p.patch_height * fours;
        // item·inverse / 2^20 is item / fours, as long as item·fours stays below 2^20.
        const int inverse = ((1 << 20) + fours - 1) / fours;
#pragma unroll 1
        for (int first = threadIdx.x; first < count; first += FOURS * THREADS) {
            float4 in[FOURS][4];
            int row[FOURS], column[FOURS];
#pragma unroll
            for (int i = 0; i < FOURS; ++i) {
                const int item = first + i * THREADS;
                row[i] = item * inverse >> 20;
                column[i] = (item - row[i] * fours) * 4 - before;
                const int down = top + row[i], along = left + column[i];
                const bool inside = item < count && static_cast<uint32_t>(down) < static_cast<uint32_t>(p.height) &&
                                    static_cast<uint32_t>(along) < static_cast<uint32_t>(p.width);
                const float* const at = picture + (down * p.down + along);
#pragma unroll
                for (int c = 0; c < 4; ++c) {
                    in[i][c] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
                    if (inside && c < p.planes) in[i][c] = *reinterpret_cast<const float4*>(at + c * p.plane);
                }
            }
#pragma unroll
            for (int i = 0; i < FOURS; ++i) {
                const float4(&x)[4] = in[i];
                const uint32_t words[4] = {quantize_4(x[0].x, x[1].x, x[2].x, x[3].x, p.factor),
                                           quantize_4(x[0].y, x[1].y, x[2].y, x[3].y, p.factor),
                                           quantize_4(x[0].z, x[1].z, x[2].z, x[3].z, p.factor),
                                           quantize_4(x[0].w, x[1].w, x[2].w, x[3].w, p.factor)};
                uint32_t* const to = patch + row[i] * p.patch_pitch + column[i];
                // Behind the last item the row is too far down, and no column counts.
                const uint32_t columns = first + i * THREADS < count ? width : 0;
#pragma unroll
                for (int k = 0; k < 4; ++k) {
                    if (static_cast<uint32_t>(column[i] + k) < columns) to[k] = words[k];
                }
            }
        }
    }

    // Those of a picture; zeros outside.
    template <class Picture>
    __device__ __forceinline__ void load_pixels(const Picture& picture, const Tile& tile) const {
        const int top = tile.row * p.stride_h - p.pad_h, left = tile.column * p.stride_w - p.pad_w;
        const int pixels = p.patch_height * static_cast<int>(p.patch_width.value);
        Element* const numbers = reinterpret_cast<Element*>(patch);
        for (int first = threadIdx.x; first < pixels; first += BATCH * THREADS) {
            typename Picture::Pixel in[BATCH];
            int at[BATCH];
#pragma unroll
            for (int i = 0; i < BATCH; ++i) {
                const int pixel = first + i * THREADS;
                const int row = static_cast<int>(divide(pixel, p.patch_width));
                const int column = pixel - row * static_cast<int>(p.patch_width.value);
                const int down = top + row, along = left + column;
                at[i] = row * p.patch_pitch * WORD + column * p.channels;
                in[i] = {};
                // An index below 0 becomes a large unsigned one.
                if (pixel < pixels && static_cast<uint32_t>(down) < static_cast<uint32_t>(p.height) &&
                    static_cast<uint32_t>(along) < static_cast<uint32_t>(p.width)) {
                    in[i] = picture.load(down * p.down + along * p.along);
                }
            }
#pragma unroll
            for (int i = 0; i < BATCH; ++i) {
                if (first + i * THREADS >= pixels) continue;
#pragma unroll
                for (int c = 0; c < 4; ++c) {
                    if (c < p.channels) numbers[at[i] + c] = operand(picture.number(in[i], c));
                }
            }
        }
    }

    // As products take it, so that it is rounded once and not by every tap.
    static __device__ __forceinline__ float operand(float x) {
        return __uint_as_float(Math::operand(__float_as_uint(x)));
    }
    static __device__ __forceinline__ f16 operand(f16 x) { return x; }
    static __device__ __forceinline__ int8_t operand(int8_t x) { return x; }
};
