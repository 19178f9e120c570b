// Clusters, register reallocation, dependent launches. PTX ISA: "barrier.cluster", "setmaxnreg", "griddepcontrol".
#include "state.hpp"

namespace emulator {

// A kernel in clusters brings its own (CLUSTER_KERNEL in emulator_hopper.hpp).
extern const Index cluster_extent __attribute__((weak));
const Index cluster_extent = {1, 1, 1};

uint32_t cluster_ctarank() { return current->cta; }
uint32_t cluster_nctarank() { return cluster_blocks; }

// ---- The cluster's barrier -----------------------------------------------------------------------------------

static unsigned arrived;
static uint64_t phase;
static Knowledge arriving, completed;
static std::vector<Fiber*> waiting;

void start_cluster_barrier() {
    arrived = 0;
    phase = 0;
    arriving = completed = Knowledge{};
    waiting.clear();
}

unsigned cluster_missing() { return static_cast<unsigned>(fibers.size()) - threads_done - arrived; }

static void complete_if_due() {
    if (!arrived || cluster_missing()) return;
    arrived = 0;
    phase += 1;
    completed = arriving;
    for (Fiber* fiber : waiting) wake(*fiber);
    waiting.clear();
}

// "All the threads in the cluster that have not exited": one that leaves is not waited for.
void thread_left_cluster() {
    if (cluster_blocks > 1 && has_left(current->cta)) race_leave(current->cta);
    complete_if_due();
}

bool has_left(unsigned cta) {
    for (unsigned t = 0; t < block_threads; ++t) {
        if (!fibers[cta * block_threads + t].done) return false;
    }
    return true;
}

void cluster_arrive() {
    Background& mine = current->background;
    if (mine.cluster_phase > phase) {
        fault("wrong barrier", CALLER, "barrier.cluster.arrive twice without barrier.cluster.wait between");
    }
    mine.cluster_phase = phase + 1;
    race_release(arriving);
    arrived += 1;
    complete_if_due();
}

void cluster_wait() {
    const Pc pc = CALLER;
    const uint64_t wanted = current->background.cluster_phase;
    if (!wanted) fault("wrong barrier", pc, "barrier.cluster.wait without barrier.cluster.arrive");
    if (phase < wanted) {
        current->waiting = {"barrier.cluster", pc, 0, nullptr, nullptr, kClusterBarrier, 0};
        waiting.push_back(current);
        block_current();
    }
    race_acquire(completed);
}

// ---- Dependent launches --------------------------------------------------------------------------------------

void griddepcontrol_wait() { current->background.waited = true; }

void require_wait(const std::string& what, Pc pc) {
    if (!launch.dependent || current->background.waited) return;
    fault("missing wait", pc, "%s ahead of griddepcontrol.wait, while the grid before may still be at work", what.c_str());
}

}  // namespace emulator
