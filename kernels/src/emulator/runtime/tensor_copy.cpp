// cp.async.bulk.tensor: boxes of tensors of 1 to 5 dimensions, tiled and im2col. PTX ISA: "Tensors": "Tiled mode",
// "im2col mode", "Swizzling Modes".
#include <algorithm>
#include <cstring>

#include "bulk_copy.hpp"

namespace emulator {

// A kernel's TensorMap as tensor_map.rs lays it out for the emulator; main.cpp fills in the address.
struct Map {
    uint64_t address;
    uint64_t strides[4];           // bytes, of dimensions 1 to 4
    uint32_t dims[5];              // elements, innermost first
    uint16_t box[5];               // tiled: elements; im2col: channels, pixels
    int16_t lower[3], upper[3];    // im2col: corners of the pixels' bounding box
    uint8_t element_strides[5];
    uint8_t rank, element_bytes, swizzle, im2col;
    uint32_t mark;
};
static_assert(sizeof(Map) <= 128, "a tensor map has 128 bytes");
constexpr uint32_t kMark = 0x4c504d54;

static const Map& map_of(const void* map, unsigned rank, bool im2col, Pc pc) {
    const Map& tensor = *static_cast<const Map*>(map);
    if (tensor.mark != kMark) fault("wrong arguments", pc, "a tensor copy is given something that is no tensor map");
    if (tensor.rank != rank || (tensor.im2col != 0) != im2col) {
        fault("wrong arguments", pc, "a %u-dimensional %s copy with a map of a %u-dimensional %s", rank,
              im2col ? "im2col" : "tiled", tensor.rank, tensor.im2col ? "im2col tensor" : "tiled tensor");
    }
    return tensor;
}

// Where 16 bytes go that belong at `address` if nothing were scattered: "Swizzling Modes", from the shared address.
static uintptr_t swizzled(uintptr_t address, unsigned swizzle) {
    const uint32_t shared = shared_address(reinterpret_cast<void*>(address));
    const uint32_t rows = swizzle == 0 ? 0 : (1u << swizzle) - 1;
    return address + (shared ^ (shared >> 7 & rows) << 4) - shared;
}

// Rows of the box in the order in which they lie in shared memory: where each begins in the tensor.
struct Row {
    int64_t at[5];
};

static std::vector<Row> tiled_rows(const Map& map, const int* at) {
    std::vector<Row> rows(1);
    for (unsigned d = 0; d < map.rank; ++d) rows[0].at[d] = at[d];
    for (unsigned d = 1; d < map.rank; ++d) {
        const std::vector<Row> inner = std::move(rows);
        rows.clear();
        for (unsigned i = 0; i < map.box[d]; i += map.element_strides[d]) {
            for (Row row : inner) {
                row.at[d] += i;
                rows.push_back(row);
            }
        }
    }
    return rows;
}

// Pixels of the bounding box from `at` on, w first, then h, d, n; each is shifted by the filter tap's offsets.
static std::vector<Row> im2col_rows(const Map& map, const int* at, const uint16_t* offsets, Pc pc) {
    const unsigned spatial = map.rank - 2;
    std::vector<Row> rows;
    Row base{};
    for (unsigned d = 0; d < map.rank; ++d) base.at[d] = at[d];
    for (unsigned s = 0; s < spatial; ++s) {
        const int64_t last = static_cast<int64_t>(map.dims[s + 1]) - 1 + map.upper[s];
        if (at[s + 1] < map.lower[s] || at[s + 1] > last) {
            fault("out of bounds", pc, "an im2col copy begins at %d in dimension %u; its bounding box is %d to %lld",
                  at[s + 1], s + 1, map.lower[s], static_cast<long long>(last));
        }
    }
    for (unsigned pixel = 0; pixel < map.box[1]; ++pixel) {
        Row row = base;
        for (unsigned s = 0; s < spatial; ++s) row.at[s + 1] += offsets[s];
        rows.push_back(row);
        for (unsigned s = 0;; ++s) {
            if (s == spatial) {
                base.at[s + 1] += 1;
                break;
            }
            base.at[s + 1] += map.element_strides[s + 1];
            if (base.at[s + 1] <= static_cast<int64_t>(map.dims[s + 1]) - 1 + map.upper[s]) break;
            base.at[s + 1] = map.lower[s];
        }
    }
    return rows;
}

// The elements of 16 bytes of a row that lie in the tensor: where the first is, how many there are, and how many
// before them lie ahead of the tensor's begin.
struct Chunk {
    uint64_t from;
    unsigned skipped, present;
};
static Chunk chunk_of(const Map& map, const Row& row, unsigned chunk) {
    const int64_t elements = 16 / map.element_bytes;
    Chunk found{map.address, 0, 0};
    for (unsigned d = 1; d < map.rank; ++d) {
        if (row.at[d] < 0 || row.at[d] >= map.dims[d]) return found;
        found.from += static_cast<uint64_t>(row.at[d]) * map.strides[d - 1];
    }
    const int64_t begin = row.at[0] + chunk * elements;
    const int64_t first = std::max<int64_t>(begin, 0), last = std::min<int64_t>(begin + elements, map.dims[0]);
    if (first >= last) return found;
    found.skipped = static_cast<unsigned>(first - begin);
    found.present = static_cast<unsigned>(last - first);
    found.from += static_cast<uint64_t>(first) * map.element_bytes;
    return found;
}

static unsigned row_bytes_of(const Map& map) { return unsigned{map.box[0]} * map.element_bytes; }

// What the PTX document leaves open and an H200 answers with "illegal instruction": a box begins at a multiple of 16
// bytes of a row, also to the left of it.
static void require_whole_pieces(const Map& map, const int* at, Pc pc) {
    const int64_t byte = int64_t{at[0]} * map.element_bytes;
    if (byte % 16 != 0) {
        fault("misaligned", pc, "a tensor copy begins at element %d of its rows, byte %lld; multiples of 16 are needed",
              at[0], static_cast<long long>(byte));
    }
}

// Stores, in addition, begin inside: an H200 takes no coordinate below 0. And what it writes are pieces of 16 bytes,
// also where a row of the tensor ends within one.
static void require_storable(const Map& map, const int* at, Pc pc) {
    for (unsigned d = 0; d < map.rank; ++d) {
        if (at[d] < 0) fault("out of bounds", pc, "a tensor store begins at %d in dimension %u; it must begin inside", at[d], d);
    }
    const uint64_t row = uint64_t{map.dims[0]} * map.element_bytes;
    if (row % 16 != 0 && static_cast<uint64_t>(at[0]) + map.box[0] > map.dims[0]) {
        fault("out of bounds", pc,
              "a tensor store to the end of rows of %llu bytes: it would write the last 16 bytes whole, %llu of them behind the row",
              static_cast<unsigned long long>(row), static_cast<unsigned long long>(16 - row % 16));
    }
}

static uint32_t copies;

static void load(const Map& map, const std::vector<Row>& rows, void* shared, uint64_t* barrier, uint32_t blocks, Pc pc) {
    const unsigned alignment = 128;
    require_alignment(shared, alignment, "cp.async.bulk.tensor to shared memory", pc);
    const unsigned row_bytes = row_bytes_of(map);
    const auto to = reinterpret_cast<uintptr_t>(shared);
    const Region* target = find_region(to);
    if (!target || !target->shared) fault("wrong memory space", pc, "cp.async.bulk.tensor to shared memory, got %s", describe_address(to).c_str());
    std::vector<Piece> pieces;
    ++copies;
    path = Path::Bulk;
    for (size_t r = 0; r < rows.size(); ++r) {
        for (unsigned chunk = 0; chunk < row_bytes / 16; ++chunk) {
            const Chunk found = chunk_of(map, rows[r], chunk);
            Piece piece{swizzled(to + r * row_bytes + 16 * chunk, map.swizzle), 16, {}, {}};
            piece.origin = {copies, static_cast<uint16_t>(r), static_cast<uint8_t>(chunk), map.swizzle};
            if (found.present) {
                const unsigned bytes = found.present * map.element_bytes;
                access(found.from, bytes, Access::Read, pc);
                std::memcpy(piece.data + found.skipped * map.element_bytes, reinterpret_cast<void*>(found.from), bytes);
            }
            pieces.push_back(piece);
        }
    }
    path = Path::Plain;
    const auto total = static_cast<unsigned>(16 * pieces.size());
    const auto at = reinterpret_cast<uintptr_t>(barrier);
    if (!blocks) return start_arrival(std::move(pieces), at, total, pc);
    const uintptr_t begin = shared_dynamic(current->cta).begin;
    for (unsigned cta = 0; cta < 16; ++cta) {
        if (!(blocks >> cta & 1)) continue;
        if (cta >= cluster_blocks) fault("out of bounds", pc, "a multicast to block %u of a cluster of %u", cta, cluster_blocks);
        const uintptr_t shift = shared_dynamic(cta).begin - begin;
        std::vector<Piece> theirs = pieces;
        for (Piece& piece : theirs) piece.at += shift;
        start_arrival(std::move(theirs), at + shift, total, pc);
    }
}

void tensor_load(unsigned rank, void* shared, const void* map, const int* at, uint64_t* barrier, uint32_t blocks) {
    const Pc pc = CALLER;
    const Map& tensor = map_of(map, rank, false, pc);
    require_whole_pieces(tensor, at, pc);
    load(tensor, tiled_rows(tensor, at), shared, barrier, blocks, pc);
}

void tensor_load_im2col(unsigned rank, void* shared, const void* map, const int* at, const uint16_t* offsets,
                        uint64_t* barrier, uint32_t blocks) {
    const Pc pc = CALLER;
    const Map& tensor = map_of(map, rank, true, pc);
    require_whole_pieces(tensor, at, pc);
    load(tensor, im2col_rows(tensor, at, offsets, pc), shared, barrier, blocks, pc);
}

void tensor_store(unsigned rank, const void* map, const int* at, const void* shared) {
    const Pc pc = CALLER;
    const Map& tensor = map_of(map, rank, false, pc);
    require_alignment(shared, 128, "cp.async.bulk.tensor from shared memory", pc);
    require_whole_pieces(tensor, at, pc);
    require_storable(tensor, at, pc);
    const std::vector<Row> rows = tiled_rows(tensor, at);
    const unsigned row_bytes = row_bytes_of(tensor);
    const auto from = reinterpret_cast<uintptr_t>(shared);
    BulkStore store;
    std::vector<uintptr_t> sources;
    for (size_t r = 0; r < rows.size(); ++r) {
        for (unsigned chunk = 0; chunk < row_bytes / 16; ++chunk) {
            const Chunk found = chunk_of(tensor, rows[r], chunk);
            const uintptr_t at16 = swizzled(from + r * row_bytes + 16 * chunk, tensor.swizzle);
            if (!found.present) continue;
            const unsigned bytes = found.present * tensor.element_bytes;
            store.to.push_back({found.from, bytes});
            store.from.push_back({at16 + found.skipped * tensor.element_bytes, bytes});
        }
    }
    const std::vector<Span> spans = store.from;
    start_store(std::move(store), pc);
    std::vector<unsigned char>& data = current->background.stores.back().data;
    for (const Span& span : spans) {
        const auto* source = reinterpret_cast<const unsigned char*>(span.at);
        data.insert(data.end(), source, source + span.bytes);
    }
}

void prefetch_tensormap(const void* map) {
    if (static_cast<const Map*>(map)->mark != kMark) {
        fault("wrong arguments", CALLER, "prefetch.tensormap is given something that is no tensor map");
    }
}

}  // namespace emulator
