// Data races in shared memory: two accesses to the same bytes, one of them a write, with nothing between that
// orders them.
//
// Order is kept by vector clocks, one per warp. A warp's own clock ticks whenever it takes part in a
// synchronisation; `seen[v]` of a warp is the last tick of clock v that happened before what the warp does now. Lanes of
// one warp share a clock: two accesses of different lanes at the same tick are unordered, since nothing but
// __syncwarp or a barrier orders them (a shuffle or an mma makes lanes meet but does not order memory). Where a
// single lane waits on behalf of its warp the whole warp counts as having waited, so a race may be missed there,
// but none is reported that is not one. Method: Flanagan and Freund, "FastTrack", PLDI 2009.
//
// Bulk copies write under clocks of their own, one for each mbarrier, which only waiting for that mbarrier makes known.
// A store counts as fenced for the asynchronous proxy if its warp has executed a proxy fence since and that fence
// happened before: each warp numbers the stretches between its fences, and knowledge of them travels with the clocks.
#include <cstdlib>

#include "state.hpp"

namespace emulator {

// Half a 4-byte word: the unit in which accesses are remembered.
struct Cell {
    uint32_t write_clock;
    uint32_t stretch;       // between proxy fences of the warp that wrote
    uint16_t write_by;      // clock: a warp's number, or an agent's
    uint8_t write_lane, write_mask;
    bool write_atomic;
    uint32_t write_pc, read_pc;
};
struct ReadMark {
    uint32_t clock, lanes;
};

static std::vector<uint32_t> clock_of;   // of each warp, then of each agent
static std::vector<uint32_t> stretch_of;  // of each warp
static std::vector<Knowledge> known_to;   // to each warp
static Cell* cells;
static ReadMark* reads;  // for each cell, one for each warp
static size_t warp_count, agents;
// The last access of each warp to the shared memory of each other block of the cluster.
struct Reach {
    uint32_t clock;
    unsigned lane;
    Pc pc;
};
static std::vector<std::vector<Reach>> reaches;

void set_up_races() {
    warp_count = warps.size();
    size_t count = 0;
    const auto place = [&](Region& region) {
        region.cells = count;
        count += (region.end - region.begin + 1) / 2 + 1;
    };
    for (unsigned cta = 0; cta < cluster_blocks; ++cta) place(shared_dynamic(cta));
    place(shared_static());
    // Zero pages cost nothing until they are used, and most of these are not.
    cells = static_cast<Cell*>(calloc(count, sizeof(Cell)));
    reads = static_cast<ReadMark*>(calloc(count * warp_count, sizeof(ReadMark)));
    if (!cells || !reads) fault("resources", 0, "no memory to keep account of %zu bytes of shared memory", count * 2);
    clock_of.assign(warp_count, 1);
    stretch_of.assign(warp_count, 1);
    known_to.assign(warp_count, Knowledge{});
}

// Whatever earlier blocks did is over.
void start_races() {
    if (!cells) return;
    for (Knowledge& knowledge : known_to) knowledge = {clock_of, stretch_of};
    for (size_t w = 0; w < warp_count; ++w) clock_of[w] += 1, stretch_of[w] += 1;
    agents = 0;
    reaches.assign(warp_count, std::vector<Reach>(cluster_blocks, Reach{}));
}

void race_reach(int cta, Pc pc) {
    if (cta < 0 || cta == static_cast<int>(current->cta)) return;
    reaches[current->warp][static_cast<unsigned>(cta)] = {clock_of[current->warp], current->lane, pc};
}

static void merge(std::vector<uint32_t>& into, const std::vector<uint32_t>& from) {
    if (into.size() < from.size()) into.resize(from.size(), 0);
    for (size_t i = 0; i < from.size(); ++i) {
        if (from[i] > into[i]) into[i] = from[i];
    }
}

static void raise(std::vector<uint32_t>& in, size_t index, uint32_t to) {
    if (in.size() <= index) in.resize(index + 1, 0);
    if (in[index] < to) in[index] = to;
}

void race_join(const WarpSet& set) {
    Knowledge joined;
    for (size_t w = 0; w < warp_count; ++w) {
        if (!set[w]) continue;
        merge(joined.seen, known_to[w].seen);
        merge(joined.fenced, known_to[w].fenced);
        raise(joined.seen, w, clock_of[w]);
    }
    for (size_t w = 0; w < warp_count; ++w) {
        if (!set[w]) continue;
        known_to[w] = joined;
        clock_of[w] += 1;
    }
}

void race_release(Knowledge& into) {
    const unsigned w = current->warp;
    merge(into.seen, known_to[w].seen);
    merge(into.fenced, known_to[w].fenced);
    raise(into.seen, w, clock_of[w]);
    clock_of[w] += 1;
}

void race_acquire(const Knowledge& from) {
    Knowledge& mine = known_to[current->warp];
    merge(mine.seen, from.seen);
    merge(mine.fenced, from.fenced);
    clock_of[current->warp] += 1;
}

void race_fence() {
    const unsigned w = current->warp;
    raise(known_to[w].fenced, w, stretch_of[w]);
    stretch_of[w] += 1;
}

unsigned race_agent() {
    const size_t index = warp_count + agents++;
    if (index >= clock_of.size()) clock_of.resize(index + 1, 0);
    return static_cast<unsigned>(index);
}

uint32_t race_tick(unsigned agent) { return ++clock_of[agent]; }
uint32_t race_now(unsigned agent) { return clock_of[agent]; }

// True if what happened at tick `clock` of clock `by` happened before what the running thread does now.
static bool ordered(unsigned by, uint32_t clock) {
    if (by == current->warp) return clock < clock_of[by];
    const std::vector<uint32_t>& seen = known_to[current->warp].seen;
    return by < seen.size() && clock <= seen[by];
}

// The last thread of a block returns: what others did in its shared memory must be known to be over.
void race_leave(unsigned cta) {
    std::vector<uint32_t> seen;
    for (unsigned w = cta * block_warps; w < (cta + 1) * block_warps; ++w) merge(seen, known_to[w].seen);
    for (unsigned w = 0; w < warp_count; ++w) {
        const Reach& reach = reaches[w][cta];
        if (!reach.clock || (w < seen.size() && reach.clock <= seen[w])) continue;
        current = &fibers[w * kWarp + reach.lane];
        fault("missing wait", reach.pc, "access to the shared memory of block %u of the cluster, which may have ended: "
              "nothing makes it wait, such as a barrier of the cluster", cta);
    }
}

[[noreturn]] static void report_copy(uintptr_t address, const char* mine, Pc pc, Pc other_pc) {
    also(other_pc, current, "bulk copy that nobody waited for, started there; access");
    fault("data race", pc, "%s of %s, which a bulk copy wrote whose mbarrier was not waited for", mine,
          describe_address(address).c_str());
}

[[noreturn]] static void report(uintptr_t address, const char* mine, Pc pc, unsigned warp, unsigned lane,
                                const char* theirs, Pc other_pc) {
    const Fiber& other = fibers[warp * kWarp + lane];
    also(other_pc, &other, theirs);
    fault("data race", pc, "%s of %s and %s by %s with nothing between that orders them", mine,
          describe_address(address).c_str(), theirs, name_of(other).c_str());
}

static bool known_before(uintptr_t address) {
    const Region& region = *find_region(address);
    return region.known[address - region.begin] != kNeverWritten;
}

// A thread has read what this copy is about to bring: it did not wait.
[[noreturn]] static void report_haste(uintptr_t address, Pc pc, unsigned warp, uint32_t lanes, Pc read_pc) {
    also(pc, current, "bulk copy started there;");
    current = &fibers[warp * kWarp + static_cast<unsigned>(__builtin_ctz(lanes))];
    fault("missing wait", read_pc, "read of %s, which a bulk copy has not delivered yet", describe_address(address).c_str());
}

// One cell; `mask` says which of its two bytes are meant, `agent` who writes if not the running thread (0).
static void check_cell(size_t index, uint8_t mask, Access kind, uintptr_t address, unsigned agent, Pc pc) {
    const unsigned warp = current->warp, lane = current->lane;
    Cell& cell = cells[index];
    const bool atomic = kind == Access::Atomic;
    const char* mine = kind == Access::Read ? "read" : atomic ? "atomic" : agent ? "bulk copy" : "write";
    const bool same = agent ? cell.write_by == agent : cell.write_by == warp && cell.write_lane == lane;
    if ((cell.write_mask & mask) && !same && !(atomic && cell.write_atomic) &&
        !ordered(cell.write_by, cell.write_clock)) {
        if (cell.write_by >= warp_count) report_copy(address, mine, pc, cell.write_pc);
        report(address, mine, pc, cell.write_by, cell.write_lane, cell.write_atomic ? "atomic" : "write", cell.write_pc);
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
            if (agent && !known_before(address)) report_haste(address, pc, w, others, cell.read_pc);
            report(address, mine, pc, w, static_cast<unsigned>(__builtin_ctz(others)), "read", cell.read_pc);
        }
    }
    const uint32_t clock = agent ? clock_of[agent] : clock_of[warp];
    const bool merge = cell.write_clock == clock && cell.write_by == (agent ? agent : warp);
    cell.write_mask = merge ? cell.write_mask | mask : mask;
    cell.write_clock = clock;
    cell.write_by = static_cast<uint16_t>(agent ? agent : warp);
    cell.stretch = stretch_of[warp];
    cell.write_lane = static_cast<uint8_t>(lane);
    cell.write_atomic = atomic;
    cell.write_pc = static_cast<uint32_t>(pc);
}

static void check(const Region& region, uintptr_t address, unsigned bytes, Access kind, unsigned agent, Pc pc) {
    const size_t begin = address - region.begin, end = begin + bytes;
    for (size_t at = begin; at < end;) {
        const bool whole = at % 2 == 0 && at + 2 <= end;
        check_cell(region.cells + at / 2, whole ? 3 : at % 2 ? 2 : 1, kind, region.begin + at, agent, pc);
        at += whole ? 2 : 1;
    }
}

void race_check(const Region& region, uintptr_t address, unsigned bytes, Access kind, Pc pc) {
    check(region, address, bytes, kind, 0, pc);
}

void race_write_by(const Region& region, uintptr_t address, unsigned bytes, unsigned agent, Pc pc) {
    check(region, address, bytes, Access::Write, agent, pc);
}

void race_require_fence(const Region& region, uintptr_t address, unsigned bytes, const char* what, Pc pc) {
    const std::vector<uint32_t>& fenced = known_to[current->warp].fenced;
    const size_t first = (address - region.begin) / 2, last = (address + bytes - 1 - region.begin) / 2;
    for (size_t i = first; i <= last; ++i) {
        const Cell& cell = cells[region.cells + i];
        if (!cell.write_mask || cell.write_by >= warp_count) continue;
        if (cell.write_by < fenced.size() && cell.stretch <= fenced[cell.write_by]) continue;
        const Fiber& other = fibers[cell.write_by * kWarp + cell.write_lane];
        also(cell.write_pc, &other, "write");
        fault("missing proxy fence", pc, "%s of %s, which %s wrote without fence.proxy.async and a barrier since", what,
              describe_address(region.begin + 2 * i).c_str(), name_of(other).c_str());
    }
}

}  // namespace emulator
