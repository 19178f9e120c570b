// mbarrier objects: phases, arrivals, bytes expected. PTX ISA: "Parallel Synchronization and Communication
// Instructions: mbarrier".
//
// An object's state lies beside the shared memory it stands in, whose 8 bytes are closed to plain accesses meanwhile.
#include <cstdio>
#include <cstring>
#include <map>

#include "state.hpp"

namespace emulator {

struct Mbarrier {
    unsigned count;           // arrivals a phase needs
    unsigned pending;         // arrivals this phase still needs
    int64_t expected_bytes;   // of this phase, announced and not yet copied
    uint64_t phase;
    unsigned agent;           // the clock its copies write under
    const Fiber* initializer;
    bool published;           // to the asynchronous proxy and the cluster
    Knowledge arriving, completed;
    std::vector<Fiber*> waiting;
};

static std::map<uintptr_t, Mbarrier> mbarriers;

void start_mbarriers() { mbarriers.clear(); }

static void set_known(uintptr_t address, uint8_t value) {
    Region& region = *find_region(address);
    std::memset(region.known + (address - region.begin), value, 8);
}

static Mbarrier& find(uintptr_t address, const char* what, Pc pc) {
    const auto found = mbarriers.find(address);
    if (found != mbarriers.end()) {
        // Uses do not race with each other, but with the initialisation they do.
        race_check(*find_region(address), address, 8, Access::Atomic, pc);
        return found->second;
    }
    fault("wrong barrier", pc, "%s at %s, where no mbarrier was initialised", what, describe_address(address).c_str());
}

void mbarrier_init(uint64_t* barrier, uint32_t count) {
    const Pc pc = CALLER;
    const auto address = reinterpret_cast<uintptr_t>(barrier);
    require_alignment(barrier, 8, "mbarrier.init", pc);
    const Region* region = find_region(address);
    if (region && !region->shared) fault("wrong memory space", pc, "an mbarrier lies in shared memory, got %s", describe_address(address).c_str());
    if (count == 0 || count >= 1 << 20) fault("wrong barrier", pc, "mbarrier.init for %u arrivals; 1 to 1048575 may be", count);
    if (mbarriers.count(address)) fault("wrong barrier", pc, "mbarrier.init at %s, where one is already", describe_address(address).c_str());
    access(address, 8, Access::Write, pc);
    set_known(address, kBarrier);
    mbarriers[address] = {count, count, 0, 0, race_agent(), current, false, {}, {}, {}};
}

void mbarrier_inval(uint64_t* barrier) {
    const Pc pc = CALLER;
    const auto address = reinterpret_cast<uintptr_t>(barrier);
    find(address, "mbarrier.inval", pc);
    set_known(address, kNeverWritten);
    mbarriers.erase(address);
}

void fence_mbarrier_init() {
    for (auto& [address, barrier] : mbarriers) {
        if (barrier.initializer == current) barrier.published = true;
    }
}

static void complete_if_due(Mbarrier& barrier) {
    if (barrier.pending || barrier.expected_bytes) return;
    barrier.phase += 1;
    barrier.pending = barrier.count;
    barrier.completed = barrier.arriving;
    for (Fiber* fiber : barrier.waiting) wake(*fiber);
    barrier.waiting.clear();
}

void mbarrier_arrive(uint64_t* address, uint32_t bytes, bool remote) {
    const Pc pc = CALLER;
    const auto at = reinterpret_cast<uintptr_t>(address);
    Mbarrier& barrier = find(at, "mbarrier.arrive", pc);
    const Region& region = *find_region(at);
    if (!remote && region.cta >= 0 && region.cta != static_cast<int>(current->cta)) {
        fault("wrong memory space", pc, "mbarrier.arrive on another block's %s; mbarrier_arrive_cluster does that",
              describe_address(at).c_str());
    }
    race_reach(region.cta, pc);
    if (remote && !barrier.published && barrier.initializer->cta != current->cta) {
        fault("missing proxy fence", pc, "mbarrier.arrive from another block at %s, initialised without fence.mbarrier_init",
              describe_address(at).c_str());
    }
    if (!barrier.pending) {
        fault("wrong barrier", pc, "mbarrier.arrive at %s, at which all %u have arrived in this phase already",
              describe_address(at).c_str(), barrier.count);
    }
    if (barrier.expected_bytes + bytes >= 1 << 20) {
        fault("wrong barrier", pc, "expect_tx of %u bytes: a phase counts 1048575 at most", bytes);
    }
    race_release(barrier.arriving);
    barrier.expected_bytes += bytes;
    barrier.pending -= 1;
    complete_if_due(barrier);
}

unsigned mbarrier_agent(uintptr_t address, Pc pc) {
    Mbarrier& barrier = find(address, "complete_tx", pc);
    if (!barrier.published) {
        fault("missing proxy fence", pc, "a bulk copy tells the mbarrier at %s, initialised without fence.mbarrier_init",
              describe_address(address).c_str());
    }
    race_tick(barrier.agent);
    return barrier.agent;
}

void mbarrier_complete(uintptr_t address, unsigned bytes) {
    const auto found = mbarriers.find(address);
    if (found == mbarriers.end()) return;
    Mbarrier& barrier = found->second;
    barrier.expected_bytes -= bytes;
    // Every tick of this clock so far: copies of one barrier are told apart by phases only.
    std::vector<uint32_t>& seen = barrier.arriving.seen;
    if (seen.size() <= barrier.agent) seen.resize(barrier.agent + 1, 0);
    seen[barrier.agent] = race_now(barrier.agent);
    complete_if_due(barrier);
}

static bool ended(const Mbarrier& barrier, uint32_t parity) { return (barrier.phase & 1) != parity; }

// Answers false once where a GPU might, so that a kernel that does not ask again is found out; then waits.
bool mbarrier_try_wait(uint64_t* address, uint32_t parity) {
    const Pc pc = CALLER;
    const auto at = reinterpret_cast<uintptr_t>(address);
    Mbarrier& barrier = find(at, "mbarrier.try_wait", pc);
    if (parity > 1) fault("wrong barrier", pc, "mbarrier.try_wait for parity %u; there are 0 and 1", parity);
    const Region& region = *find_region(at);
    if (region.cta >= 0 && region.cta != static_cast<int>(current->cta)) {
        fault("wrong memory space", pc, "mbarrier.try_wait on another block's %s", describe_address(at).c_str());
    }
    Background& mine = current->background;
    if (!ended(barrier, parity)) {
        if (mine.doubted != at) {
            mine.doubted = at;
            return false;
        }
        Waiting& waiting = current->waiting;
        waiting = Waiting{};
        waiting.what = "an mbarrier";
        waiting.pc = pc;
        waiting.mbarrier = at;
        barrier.waiting.push_back(current);
        block_current();
    }
    mine.doubted = 0;
    race_acquire(barrier.completed);
    return true;
}

std::string describe_mbarrier(uintptr_t address) {
    const Mbarrier& barrier = mbarriers[address];
    char text[240];
    std::snprintf(text, sizeof text, "the mbarrier at %s is in phase %llu and waits for %u of %u arrivals and %lld bytes",
                  describe_address(address).c_str(), static_cast<unsigned long long>(barrier.phase), barrier.pending,
                  barrier.count, static_cast<long long>(barrier.expected_bytes));
    return text;
}

}  // namespace emulator
