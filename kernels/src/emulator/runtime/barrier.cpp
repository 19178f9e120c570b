// Barriers of a block, by number, with vote; PTX ISA: "Parallel Synchronization and Communication
// Instructions: bar, barrier".
#include <cstdio>

#include "state.hpp"

namespace emulator {

struct Barrier {
    unsigned expected = 0;      // threads; 0 while nobody has arrived
    unsigned arrived = 0;
    WarpSet warps;              // with a thread among the arrived
    std::vector<Fiber*> waiting;
    Reduce reduce = Reduce::None;
    int count = 0;              // threads whose predicate held
};

constexpr unsigned kBarriers = 16;
static std::vector<Barrier> barriers;  // of each block of the cluster in turn
static const char* const kNames[kBarriers] = {
    "barrier 0",  "barrier 1",  "barrier 2",  "barrier 3", "barrier 4",  "barrier 5",  "barrier 6",  "barrier 7",
    "barrier 8",  "barrier 9",  "barrier 10", "barrier 11", "barrier 12", "barrier 13", "barrier 14", "barrier 15"};

void start_barriers() {
    barriers.assign(kBarriers * cluster_blocks, Barrier{});
}

std::pair<unsigned, unsigned> barrier_missing(unsigned cta, int id) {
    const Barrier& barrier = barriers[cta * kBarriers + static_cast<unsigned>(id)];
    return {barrier.expected - barrier.arrived, barrier.expected};
}

static Barrier& arrive(unsigned id, unsigned count, Pc pc) {
    if (id >= kBarriers) fault("wrong barrier", pc, "barrier %u; there are %u", id, kBarriers);
    Barrier& barrier = barriers[current->cta * kBarriers + id];
    const unsigned expected = count ? count : block_threads;
    if (count % kWarp) fault("wrong barrier", pc, "%s for %u threads, no multiple of %u", kNames[id], count, kWarp);
    if (barrier.arrived && barrier.expected != expected) {
        fault("wrong barrier", pc, "%s for %u threads, but others wait at it for %u", kNames[id], expected,
              barrier.expected);
    }
    barrier.expected = expected;
    barrier.arrived += 1;
    barrier.warps.set(current->warp);
    return barrier;
}

static void complete_if_full(Barrier& barrier) {
    if (barrier.arrived < barrier.expected) return;
    race_join(barrier.warps);
    const int all = barrier.count == static_cast<int>(barrier.expected);
    const int answer = barrier.reduce == Reduce::Count ? barrier.count
                       : barrier.reduce == Reduce::And ? all
                                                       : barrier.count != 0;
    for (Fiber* fiber : barrier.waiting) {
        fiber->answer = answer;
        wake(*fiber);
    }
    barrier = Barrier{};
}

int barrier(unsigned id, unsigned count, Reduce reduce, int predicate) {
    const Pc pc = CALLER;
    Barrier& barrier = arrive(id, count, pc);
    if (barrier.arrived > 1 && barrier.reduce != reduce) {
        fault("wrong barrier", pc, "%s: threads meet with different reductions", kNames[id]);
    }
    barrier.reduce = reduce;
    barrier.count += predicate != 0;
    Fiber& self = *current;
    self.waiting = {kNames[id], pc, 0, nullptr, nullptr, static_cast<int>(id), 0};
    barrier.waiting.push_back(&self);
    const bool last = barrier.arrived == barrier.expected;
    complete_if_full(barrier);
    if (!last) block_current();
    return self.answer;
}

void barrier_arrive(unsigned id, unsigned count) { complete_if_full(arrive(id, count, CALLER)); }

}  // namespace emulator
