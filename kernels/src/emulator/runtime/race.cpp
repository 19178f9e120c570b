// Data races in shared memory: two accesses to the same bytes, one of them a write, with nothing between that
// orders them.
//
// Order is kept by vector clocks, one per warp. A warp's own clock ticks whenever it takes part in a
// synchronisation; `seen[w][v]` is the last tick of warp v that happened before what warp w does now. Lanes of
// one warp share a clock: two accesses of different lanes at the same tick are unordered, since nothing but
// __syncwarp or a barrier orders them (a shuffle or an mma makes lanes meet but does not order memory). Where a
// single lane waits on behalf of its warp the whole warp counts as having waited, so a race may be missed there,
// but none is reported that is not one. Method: Flanagan and Freund, "FastTrack", PLDI 2009.
#include "state.hpp"

namespace emulator {

// Half a 4-byte word: the unit in which accesses are remembered.
struct Cell {
    uint32_t write_clock;
    uint8_t write_warp, write_lane, write_mask;
    bool write_atomic;
    uint32_t write_pc, read_pc;
};
struct ReadMark {
    uint32_t clock, lanes;
};

static uint32_t clock_of[kMaxWarps];
static uint32_t seen[kMaxWarps][kMaxWarps];
static std::vector<Cell> cells;
static std::vector<ReadMark> reads;  // for each cell, one for each warp
static size_t warp_count, static_base;

void set_up_races() {
    warp_count = warps.size();
    const size_t dynamic_cells = (shared_dynamic().end - shared_dynamic().begin + 1) / 2;
    static_base = dynamic_cells;
    const size_t count = dynamic_cells + (shared_static().end - shared_static().begin + 1) / 2 + 1;
    cells.assign(count, Cell{});
    reads.assign(count * warp_count, ReadMark{});
    for (uint32_t& clock : clock_of) clock = 1;
}

void race_join(uint32_t warp_mask) {
    uint32_t joined[kMaxWarps] = {};
    if (warp_count < 32) warp_mask &= (1u << warp_count) - 1;
    for (uint32_t rest = warp_mask; rest; rest &= rest - 1) {
        const unsigned w = static_cast<unsigned>(__builtin_ctz(rest));
        for (unsigned v = 0; v < warp_count; ++v) {
            const uint32_t tick = v == w ? clock_of[v] : seen[w][v];
            if (tick > joined[v]) joined[v] = tick;
        }
    }
    for (uint32_t rest = warp_mask; rest; rest &= rest - 1) {
        const unsigned w = static_cast<unsigned>(__builtin_ctz(rest));
        for (unsigned v = 0; v < warp_count; ++v) seen[w][v] = joined[v];
        clock_of[w] += 1;
    }
}

// True if what `warp` did at tick `clock` happened before what the running thread does now.
static bool ordered(unsigned warp, uint32_t clock) {
    return warp == current->warp ? clock < clock_of[warp] : clock <= seen[current->warp][warp];
}

[[noreturn]] static void report(uintptr_t address, const char* mine, Pc pc, unsigned warp, unsigned lane,
                                const char* theirs, Pc other_pc) {
    const Fiber& other = fibers[warp * kWarp + lane];
    also(other_pc, &other, theirs);
    fault("data race", pc, "%s of %s and %s by %s with nothing between that orders them", mine,
          describe_address(address).c_str(), theirs, name_of(other).c_str());
}

// One cell; `mask` says which of its two bytes are meant.
static void check_cell(size_t index, uint8_t mask, Access kind, uintptr_t address, Pc pc) {
    const unsigned warp = current->warp, lane = current->lane;
    Cell& cell = cells[index];
    const bool atomic = kind == Access::Atomic;
    const char* mine = kind == Access::Read ? "read" : atomic ? "atomic" : "write";
    const bool same_thread = cell.write_warp == warp && cell.write_lane == lane;
    if ((cell.write_mask & mask) && !same_thread && !(atomic && cell.write_atomic) &&
        !ordered(cell.write_warp, cell.write_clock)) {
        report(address, mine, pc, cell.write_warp, cell.write_lane, cell.write_atomic ? "atomic" : "write",
               cell.write_pc);
    }
    ReadMark* marks = &reads[index * warp_count];
    if (kind == Access::Read) {
        ReadMark& mark = marks[warp];
        if (mark.clock != clock_of[warp]) mark = {clock_of[warp], 0};
        mark.lanes |= 1u << lane;
        cell.read_pc = static_cast<uint32_t>(pc);
        return;
    }
    // Single bytes share a cell's read marks, which do not say which byte was read: only whole cells are judged.
    for (unsigned w = 0; mask == 3 && w < warp_count; ++w) {
        if (!marks[w].clock || ordered(w, marks[w].clock)) continue;
        const uint32_t others = w == warp ? marks[w].lanes & ~(1u << lane) : marks[w].lanes;
        if (others) {
            report(address, mine, pc, w, static_cast<unsigned>(__builtin_ctz(others)), "read", cell.read_pc);
        }
    }
    const bool merge = cell.write_clock == clock_of[warp] && cell.write_warp == warp;
    cell.write_mask = merge ? cell.write_mask | mask : mask;
    cell.write_clock = clock_of[warp];
    cell.write_warp = static_cast<uint8_t>(warp);
    cell.write_lane = static_cast<uint8_t>(lane);
    cell.write_atomic = atomic;
    cell.write_pc = static_cast<uint32_t>(pc);
}

void race_check(const Region& region, uintptr_t address, unsigned bytes, Access kind, Pc pc) {
    const size_t base = &region == &shared_static() ? static_base : 0;
    const size_t begin = address - region.begin, end = begin + bytes;
    for (size_t at = begin; at < end;) {
        const bool whole = at % 2 == 0 && at + 2 <= end;
        check_cell(base + at / 2, whole ? 3 : at % 2 ? 2 : 1, kind, region.begin + at, pc);
        at += whole ? 2 : 1;
    }
}

}  // namespace emulator
