// wgmma: products of a warpgroup from shared memory. PTX ISA: "Asynchronous Warpgroup Level Matrix
// Multiply-Accumulate Operations": "Register Fragments", "Shared Memory Matrix Layout", "Matrix Descriptor Format".
//
// A product is computed when it is started; its accumulators get their values when its group is waited for, and are
// out of bounds to the thread until then, as are a's registers to be changed and the matrices in shared memory.
#include <cstdio>
#include <cstring>

#include "trace.hpp"
#include "warpgroup.hpp"

namespace emulator {

// ---- Matrices in shared memory -------------------------------------------------------------------------------

// A matrix descriptor, taken apart; bytes.
struct Matrix {
    uint32_t start, leading, stride;
    unsigned swizzle;     // bytes of a row: 16 (none), 32, 64, 128
    const char* name;
    bool transposed;      // M- or N-major

    Matrix(uint64_t bits, const char* name, bool transposed, Pc pc)
        : start((bits & 0x3fff) << 4), leading((bits >> 16 & 0x3fff) << 4), stride((bits >> 32 & 0x3fff) << 4),
          swizzle("\x10\x80\x40\x20"[bits >> 62] & 0xff), name(name), transposed(transposed) {
        if (bits >> 49 & 7) fault("wrong descriptor", pc, "%s: base offset %u; patterns begin on multiples of 8 rows here", name, unsigned(bits >> 49 & 7));
        if (bits & 0xffffull << 46 & ~(7ull << 49)) fault("wrong descriptor", pc, "%s: reserved bits are set (%#llx)", name, static_cast<unsigned long long>(bits));
    }

    // Shared address of 16 bytes: K-major, 16-byte piece `k` of row `mn`; else the piece that begins at `mn`, of row `k`.
    uint32_t address(unsigned mn, unsigned k) const {
        uint32_t at = start;
        if (!transposed) {
            at += mn % 8 * swizzle + mn / 8 * stride + k * (swizzle == 16 ? leading : 16);
        } else if (swizzle == 16) {
            at += mn / 8 * stride + k % 8 * 16 + k / 8 * leading;
        } else {
            const unsigned pieces = swizzle / 16, piece = mn / 8;
            at += piece % pieces * 16 + piece / pieces * leading + k % 8 * swizzle + k / 8 * stride;
        }
        return at ^ (at >> 7 & (swizzle / 16 - 1)) << 4;
    }
    // As tensor maps count them.
    unsigned mode() const { return swizzle == 16 ? 0 : swizzle == 32 ? 1 : swizzle == 64 ? 2 : 3; }
};

// Reads a matrix piece by piece, and holds what tensor copies brought to where the descriptor finds it: their swizzle
// must be the same, and pieces of one box must be as far apart in the matrix as they are in the box.
class Reader {
public:
    Reader(const Matrix& matrix, const Fiber& lane, std::vector<Span>& spans)
        : matrix_(matrix), cta_(lane.cta), pc_(lane.waiting.pc), spans_(spans) {}

    // 16 bytes; `row` and `piece` count along the box's rows and inside of them.
    const unsigned char* read(unsigned mn, unsigned k) {
        const uintptr_t at = from_shared_address(matrix_.address(mn, k), cta_);
        proxy_read(at, 16, matrix_.name, pc_);
        spans_.push_back({at, 16});
        const Region& region = *find_region(at);
        if (region.origins) {
            const Origin& origin = region.origins[(at - region.begin) / 16];
            if (origin.copy) check(origin, at, matrix_.transposed ? k : mn, matrix_.transposed ? mn / 8 : k);
        }
        return reinterpret_cast<const unsigned char*>(at);
    }

private:
    void check(const Origin& origin, uintptr_t at, unsigned row, unsigned piece) {
        static const char* const names[] = {"no", "32-byte", "64-byte", "128-byte"};
        if (origin.swizzle != matrix_.mode()) {
            fault("wrong descriptor", pc_, "%s is read with %s swizzle; a tensor copy wrote %s with %s swizzle", matrix_.name,
                  names[matrix_.mode()], describe_address(at).c_str(), names[origin.swizzle]);
        }
        const int rows = static_cast<int>(origin.row) - static_cast<int>(row);
        const int pieces = static_cast<int>(origin.chunk) - static_cast<int>(piece);
        for (const auto& [copy, shift] : shifts_) {
            if (copy != origin.copy) continue;
            if (shift.first == rows && shift.second == pieces) return;
            fault("wrong descriptor", pc_,
                  "%s, row %u, 16-byte piece %u: the descriptor leads to %s, which is row %u, piece %u of the box that a "
                  "tensor copy wrote; from the pieces before, row %d, piece %d is expected",
                  matrix_.name, row, piece, describe_address(at).c_str(), origin.row, origin.chunk,
                  static_cast<int>(row) + shift.first, static_cast<int>(piece) + shift.second);
        }
        shifts_.push_back({origin.copy, {rows, pieces}});
    }

    const Matrix& matrix_;
    unsigned cta_;
    Pc pc_;
    std::vector<Span>& spans_;
    std::vector<std::pair<uint32_t, std::pair<int, int>>> shifts_;  // box row minus matrix row, by copy
};

// ---- Products ------------------------------------------------------------------------------------------------

struct WgmmaOperands {
    Wgmma form;
    void* d;
    const uint32_t* a;     // registers, or null
    uint64_t a_matrix, b_matrix;
    bool accumulate;
};

static const WgmmaOperands& operands_of(const Fiber& lane) { return *static_cast<WgmmaOperands*>(lane.waiting.operands); }

static float tf32(uint32_t bits) {
    bits &= 0xffffe000;
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}

// Element i of 16 bytes, as the unit multiplies it.
static void unpack(const unsigned char* bytes, Wgmma::Type type, float* to) {
    for (int i = 0; type == Wgmma::F16 && i < 8; ++i) {
        uint16_t half;
        std::memcpy(&half, bytes + 2 * i, 2);
        to[i] = f32_from_f16(half);
    }
    for (int i = 0; type == Wgmma::Tf32 && i < 4; ++i) {
        uint32_t word;
        std::memcpy(&word, bytes + 4 * i, 4);
        to[i] = tf32(word);
    }
    // s8: every product and sum of a step is exact in f32, too.
    for (int i = 0; type == Wgmma::S8 && i < 16; ++i) to[i] = static_cast<int8_t>(bytes[i]);
}

// `rows` x K of a matrix from row `first` on, as floats; K is 32 bytes.
static std::vector<float> fetch(const Matrix& matrix, unsigned first, unsigned rows, Wgmma::Type type, const Fiber& lane,
                                std::vector<Span>& spans) {
    const unsigned k = type == Wgmma::F16 ? 16 : type == Wgmma::Tf32 ? 8 : 32, each = k / 2;
    std::vector<float> values(rows * k);
    Reader reader(matrix, lane, spans);
    if (!matrix.transposed) {
        for (unsigned row = 0; row < rows; ++row) {
            for (unsigned piece = 0; piece < 2; ++piece) unpack(reader.read(first + row, piece), type, &values[row * k + piece * each]);
        }
        return values;
    }
    for (unsigned row = 0; row < rows; row += 8) {
        for (unsigned i = 0; i < k; ++i) {
            float along[8];
            unpack(reader.read(first + row, i), type, along);
            for (unsigned j = 0; j < 8; ++j) values[(row + j) * k + i] = along[j];
        }
    }
    return values;
}

// A's 16 rows from the registers of 32 lanes: "Register Fragments for wgmma.mma_async.m64nNk16" and its siblings.
static std::vector<float> fragments(Fiber* lanes, Wgmma::Type type) {
    const unsigned k = type == Wgmma::F16 ? 16 : type == Wgmma::Tf32 ? 8 : 32, each = k / 8;
    std::vector<float> values(16 * k);
    for (unsigned lane = 0; lane < 32; ++lane) {
        unsigned char bytes[16];
        float elements[16];
        std::memcpy(bytes, operands_of(lanes[lane]).a, 16);
        unpack(bytes, type, elements);
        for (unsigned i = 0; i < 4 * each; ++i) {
            const unsigned reg = i / each;
            const unsigned row = lane / 4 + reg % 2 * 8, column = lane % 4 * each + i % each + reg / 2 * (k / 2);
            values[row * k + column] = elements[i];
        }
    }
    return values;
}

static Registers* find_registers(Background& mine, uintptr_t at, unsigned bytes) {
    for (Registers& r : mine.registers) {
        if (r.at < at + bytes && at < r.at + r.bytes) return &r;
    }
    return nullptr;
}

// What is known of exactly these registers, if anything. What else was there, of a function that has ended, is forgotten.
static Registers* known_registers(Background& mine, uintptr_t at, unsigned bytes, bool fragment, Pc pc) {
    Registers* found = find_registers(mine, at, bytes);
    while (found && (found->at != at || found->bytes != bytes || found->fragment != fragment)) {
        if (found->pending) fault("missing wait", pc, "registers of wgmma overlap those of another wgmma under way");
        mine.registers.erase(mine.registers.begin() + (found - mine.registers.data()));
        found = find_registers(mine, at, bytes);
    }
    return found;
}

// The accumulators of one lane, as they are before this product; made pending.
static Registers& claim(Fiber& lane, const WgmmaOperands& operands, unsigned bytes) {
    const Pc pc = lane.waiting.pc;
    const auto at = reinterpret_cast<uintptr_t>(operands.d);
    Background& mine = lane.background;
    Registers* found = known_registers(mine, at, bytes, false, pc);
    if (found ? found->touched : !mine.fenced) {
        fault("missing wait", pc, "wgmma after its accumulators were touched, without wgmma.fence between");
    }
    if (!found) {
        mine.registers.push_back({at, bytes, false, false, false, 0, {}});
        found = &mine.registers.back();
    }
    if (!found->pending) {
        found->values.resize(bytes);
        std::memcpy(found->values.data(), operands.d, bytes);
    }
    found->pending = true;
    found->group = mine.products_committed;
    lane.watched = true;
    return *found;
}

template <typename T>
static void accumulate(Fiber& lane, const float* a, const std::vector<float>& b, unsigned n, unsigned k) {
    const WgmmaOperands& operands = operands_of(lane);
    Registers& registers = claim(lane, operands, n / 2 * 4);
    T* d = reinterpret_cast<T*>(registers.values.data());
    if (operands.accumulate && is_uninitialised<T>(registers.values.data(), n / 2)) {
        fault("never written", lane.waiting.pc, "wgmma adds to accumulators that nobody wrote");
    }
    for (unsigned i = 0; i < n / 2; ++i) {
        const unsigned row = lane.lane / 4 + i % 4 / 2 * 8, column = i / 4 * 8 + lane.lane % 4 * 2 + i % 2;
        T sum = operands.accumulate ? d[i] : T{};
        for (unsigned j = 0; j < k; ++j) sum += static_cast<T>(a[row * k + j]) * static_cast<T>(b[column * k + j]);
        d[i] = sum;
    }
}

static void perform_wgmma(Fiber* lanes, uint32_t) {
    Fiber* const last = current;
    const WgmmaOperands& first = operands_of(lanes[0]);
    const Wgmma form = first.form;
    const Pc pc = lanes[0].waiting.pc;
    for (int lane = 1; lane < 32; ++lane) {
        const WgmmaOperands& mine = operands_of(lanes[lane]);
        current = &lanes[lane];
        if (mine.a_matrix != first.a_matrix || mine.b_matrix != first.b_matrix || mine.form.n != form.n || mine.accumulate != first.accumulate) {
            fault("missing lanes", lanes[lane].waiting.pc, "wgmma whose descriptors differ between the lanes of a warp");
        }
    }
    current = &lanes[0];
    agree(lanes, "wgmma.mma_async", (first.a ? 0 : first.a_matrix * 31) + first.b_matrix + form.n * 7 + first.accumulate);
    const unsigned k = form.type == Wgmma::F16 ? 16 : form.type == Wgmma::Tf32 ? 8 : 32;
    std::vector<Span> spans;
    path = Path::TensorCore;
    const unsigned top = 16 * warp_in_group(lanes[0]);
    const std::vector<float> a = first.a ? fragments(lanes, form.type)
                                         : fetch(Matrix(first.a_matrix, "wgmma's a", form.transpose_a, pc), top, 16, form.type, lanes[0], spans);
    const std::vector<float> b = fetch(Matrix(first.b_matrix, "wgmma's b", form.transpose_b, pc), 0, form.n, form.type, lanes[0], spans);
    path = Path::Plain;
    for (const Span& span : spans) lanes[0].background.operands.push_back({lanes[0].background.products_committed, span});
    for (int lane = 0; lane < 32; ++lane) {
        current = &lanes[lane];
        if (form.type == Wgmma::S8) accumulate<int32_t>(lanes[lane], a.data(), b, form.n, k);
        else accumulate<float>(lanes[lane], a.data(), b, form.n, k);
        if (!first.a) continue;
        Background& mine = lanes[lane].background;
        const auto at = reinterpret_cast<uintptr_t>(operands_of(lanes[lane]).a);
        Registers* found = known_registers(mine, at, 16, true, lanes[lane].waiting.pc);
        if (found) found->group = mine.products_committed, found->pending = true;
        else mine.registers.push_back({at, 16, true, true, false, mine.products_committed, {}});
    }
    current = last;
    char name[40];
    std::snprintf(name, sizeof name, "wgmma.m64n%uk%u", form.n, k);
    if (!trace_instruction(lanes, name)) return;
    const Fiber& lane = lanes[traced_lane()];
    const unsigned char* values = find_registers(lanes[traced_lane()].background, reinterpret_cast<uintptr_t>(operands_of(lane).d), 4)->values.data();
    for (unsigned i = 0; i < form.n / 2; ++i) {
        float real;
        int32_t whole;
        std::memcpy(&real, values + 4 * i, 4);
        std::memcpy(&whole, values + 4 * i, 4);
        const unsigned row = top + lane.lane / 4 + i % 4 / 2 * 8, column = i / 4 * 8 + lane.lane % 4 * 2 + i % 2;
        trace_element('d', static_cast<int>(row), static_cast<int>(column), form.type == Wgmma::S8 ? whole : real);
    }
}

void wgmma(const Wgmma& form, void* d, const uint32_t* a, uint64_t a_matrix, uint64_t b_matrix, bool accumulate) {
    WgmmaOperands operands{form, d, a, a_matrix, b_matrix, accumulate};
    meet("wgmma.mma_async", 0xffffffffu, perform_wgmma, &operands, CALLER);
}

// ---- Order ---------------------------------------------------------------------------------------------------

void wgmma_fence() {
    const auto perform = [](Fiber* lanes, uint32_t mask) {
        agree(lanes, "wgmma.fence", 0);
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            Background& mine = lanes[__builtin_ctz(rest)].background;
            mine.fenced = true;
            for (Registers& registers : mine.registers) registers.touched = false;
        }
    };
    meet("wgmma.fence", 0xffffffffu, perform, nullptr, CALLER);
}

void wgmma_commit() {
    const auto perform = [](Fiber* lanes, uint32_t mask) {
        agree(lanes, "wgmma.commit_group", 0);
        for (uint32_t rest = mask; rest; rest &= rest - 1) lanes[__builtin_ctz(rest)].background.products_committed += 1;
    };
    meet("wgmma.commit_group", 0xffffffffu, perform, nullptr, CALLER);
}

// Groups that are done: the registers hold their values, and the matrices may be overwritten.
static void settle(Fiber& lane, uint64_t pending) {
    Background& mine = lane.background;
    const auto done = [&](uint64_t group) { return group + pending < mine.products_committed; };
    for (Registers& registers : mine.registers) {
        if (!registers.pending || !done(registers.group)) continue;
        registers.pending = false;
        if (!registers.fragment) std::memcpy(reinterpret_cast<void*>(registers.at), registers.values.data(), registers.bytes);
    }
    std::vector<std::pair<uint64_t, Span>> left;
    for (const auto& operand : mine.operands) {
        if (done(operand.first)) proxy_read_done(operand.second, lane.waiting.pc);
        else left.push_back(operand);
    }
    mine.operands = std::move(left);
}

void wgmma_wait(unsigned pending) {
    const auto perform = [](Fiber* lanes, uint32_t mask) {
        Fiber* const last = current;
        const unsigned pending = *static_cast<unsigned*>(lanes[0].waiting.operands);
        agree(lanes, "wgmma.wait_group", pending);
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            current = &lanes[__builtin_ctz(rest)];
            settle(*current, pending);
        }
        current = last;
    };
    meet("wgmma.wait_group", 0xffffffffu, perform, &pending, CALLER);
}

void check_registers(uintptr_t address, unsigned bytes, Access kind, Pc pc) {
    for (Registers& registers : current->background.registers) {
        if (address + bytes <= registers.at || registers.at + registers.bytes <= address) continue;
        if (registers.pending && !(registers.fragment && kind == Access::Read)) {
            fault("missing wait", pc, "%s of %s that a wgmma under way works on; wgmma.wait_group comes first",
                  kind == Access::Read ? "read" : "write", registers.fragment ? "a fragment" : "accumulators");
        }
        if (kind == Access::Write || !registers.fragment) registers.touched = true;
    }
}

}  // namespace emulator
