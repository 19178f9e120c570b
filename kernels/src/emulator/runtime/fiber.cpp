// Threads as fibers, and how the lanes of a warp meet.
//
// Switching is _setjmp and _longjmp, which leave signal masks alone and so need no system call; ucontext only
// gives each fiber its first stack frame. A fiber outlives its block: it runs the kernel for one block, waits,
// and runs it for the next.
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "state.hpp"

namespace emulator {

Launch launch;
Fiber* current;
std::vector<Fiber> fibers;
std::vector<Warp> warps;
unsigned block_threads, block_warps, cluster_blocks, threads_done;

static jmp_buf scheduler;
static ucontext_t boot;
constexpr size_t kStackBytes = 256 << 10;

Index thread_index() { return current->thread; }
Index block_index() { return current->block; }
Index block_extent() { return launch.block; }
Index grid_extent() { return launch.grid; }
unsigned lane_index() { return current->lane; }

// The next thread to run: the same warp first, so that its lanes meet soon; null if none can.
static Fiber* next_runnable() {
    const unsigned start = current ? current->warp : 0;
    for (unsigned i = 0; i < warps.size(); ++i) {
        const unsigned w = (start + i) % warps.size();
        if (warps[w].runnable) return &fibers[w * kWarp + __builtin_ctz(warps[w].runnable)];
    }
    return nullptr;
}

// Leaves the running fiber (null: the scheduler) for another one.
static void switch_from(jmp_buf& here) {
    if (_setjmp(here)) return;
    current = next_runnable();
    // Copies come as late as they can, so that nothing relies on their haste.
    while (!current && threads_done < fibers.size() && deliver_copies()) current = next_runnable();
    if (current) _longjmp(current->context, 1);
    _longjmp(scheduler, 1);
}

void block_current() {
    warps[current->warp].runnable &= ~(1u << current->lane);
    switch_from(current->context);
}

void wake(Fiber& fiber) {
    fiber.waiting = Waiting{};
    warps[fiber.warp].runnable |= 1u << fiber.lane;
}

// Fills the stack where the kernel's variables will be, so that those nobody initialises hold the pattern that the
// compiler gives trivial ones; it leaves out objects with constructors.
static __attribute__((noinline)) void fill_stack() {
    unsigned char local[4096];
    std::memset(local, 0xfe, sizeof local);
    asm volatile("" ::"r"(local) : "memory");
}

static void fiber_main() {
    Fiber& self = *current;
    if (!_setjmp(self.context)) _longjmp(scheduler, 1);
    for (;;) {
        fill_stack();
        entry.call(launch.arguments.data());
        require_wait("the thread ends", 0);
        self.done = true;
        threads_done += 1;
        warps[self.warp].done |= 1u << self.lane;
        thread_left_cluster();
        block_current();
    }
}

void create_fibers(unsigned each_block, unsigned blocks) {
    const unsigned threads = each_block * blocks;
    block_threads = each_block;
    block_warps = (each_block + kWarp - 1) / kWarp;
    cluster_blocks = blocks;
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t each = kStackBytes + page;  // an unmapped page below each stack catches its overflow
    void* arena = mmap(nullptr, threads * each + page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (arena == MAP_FAILED) fault("resources", 0, "no memory for %u stacks", threads);
    fibers.resize(threads);
    warps.assign((threads + kWarp - 1) / kWarp, Warp{});
    for (unsigned t = 0; t < threads; ++t) {
        Fiber& fiber = fibers[t];
        fiber.stack_begin = reinterpret_cast<uintptr_t>(arena) + page + t * each;
        fiber.stack_end = fiber.stack_begin + kStackBytes;
        void* stack = reinterpret_cast<void*>(fiber.stack_begin);
        if (mprotect(stack, kStackBytes, PROT_READ | PROT_WRITE)) fault("resources", 0, "no memory for a stack");
        const unsigned u = t % each_block;
        fiber.cta = t / each_block;
        fiber.thread = {u % launch.block.x, u / launch.block.x % launch.block.y, u / launch.block.x / launch.block.y};
        fiber.warp = t / kWarp;
        fiber.lane = t % kWarp;
        warps[fiber.warp].present |= 1u << fiber.lane;
        current = &fiber;
        if (_setjmp(scheduler)) continue;
        getcontext(&boot);
        boot.uc_stack.ss_sp = stack;
        boot.uc_stack.ss_size = kStackBytes;
        boot.uc_link = nullptr;
        makecontext(&boot, fiber_main, 0);
        setcontext(&boot);
    }
    current = nullptr;
}

void run_cluster(Index first) {
    for (Fiber& fiber : fibers) {
        const unsigned x = launch.cluster.x, y = launch.cluster.y;
        fiber.block = {first.x + fiber.cta % x, first.y + fiber.cta / x % y, first.z + fiber.cta / x / y};
        fiber.done = false;
        fiber.watched = false;
        fiber.waiting = Waiting{};
        fiber.open.clear();
        fiber.groups.clear();
        fiber.background = Background{};
    }
    for (Warp& warp : warps) warp = {warp.present, warp.present, 0};
    threads_done = 0;
    start_memory();
    start_barriers();
    start_mbarriers();
    start_warpgroups();
    start_cluster_barrier();
    current = nullptr;
    if (!_setjmp(scheduler)) {
        current = next_runnable();
        _longjmp(current->context, 1);
    }
    for (const Warp& warp : warps) {
        if (warp.done != warp.present) describe_stuck();
    }
    end_copies();
    end_warpgroups();
    confirm_suspicion();
}

void meet(const char* what, uint32_t mask, void (*perform)(Fiber*, uint32_t), void* operands, Pc pc) {
    Fiber& self = *current;
    const Warp& warp = warps[self.warp];
    if (!(mask >> self.lane & 1)) {
        fault("missing lanes", pc, "%s with mask %08x, which leaves out the calling lane %u", what, mask, self.lane);
    }
    if (mask & ~warp.present) {
        fault("missing lanes", pc, "%s with mask %08x, but the warp has only the lanes %08x", what, mask, warp.present);
    }
    self.waiting = {what, pc, mask, perform, operands};
    Fiber* lanes = &fibers[self.warp * kWarp];
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        const Waiting& other = lanes[__builtin_ctz(rest)].waiting;
        if (other.perform == perform && other.mask == mask) continue;
        block_current();
        return;
    }
    perform(lanes, mask);
    for (uint32_t rest = mask; rest; rest &= rest - 1) wake(lanes[__builtin_ctz(rest)]);
}

// True if `other` is where `waiting` waits for threads to come.
static bool has_come(const Fiber& victim, const Fiber& other) {
    if (other.done) return false;
    const Waiting &mine = victim.waiting, &theirs = other.waiting;
    if (mine.mask) return theirs.perform == mine.perform && theirs.mask == mine.mask;
    return theirs.barrier == mine.barrier && theirs.mbarrier == mine.mbarrier;
}

// Nobody can run and not everybody is done: says who waits for whom.
void describe_stuck() {
    // The waiting thread to tell of: one in a warp collective first, since it is what holds barriers up.
    const Fiber* victim = nullptr;
    for (const Fiber& fiber : fibers) {
        if (fiber.done) continue;
        if (!victim || (fiber.waiting.mask && !victim->waiting.mask)) victim = &fiber;
    }
    const Waiting& waiting = victim->waiting;
    const bool collective = waiting.mask != 0;
    const Fiber* absent = nullptr;
    uint32_t missing = 0;
    for (const Fiber& fiber : fibers) {
        if (collective && (fiber.warp != victim->warp || !(waiting.mask >> fiber.lane & 1))) continue;
        if (waiting.barrier != kClusterBarrier && fiber.cta != victim->cta) continue;
        if (has_come(*victim, fiber)) continue;
        missing |= 1u << fiber.lane;
        if (!absent) absent = &fiber;
    }
    current = const_cast<Fiber*>(victim);
    std::string where = "no other thread is left";
    if (absent) {
        where = name_of(*absent);
        if (absent->done) {
            where += " has returned";
        } else {
            where += std::string(" waits at ") + absent->waiting.what;
            also(absent->waiting.pc, absent, "waits");
        }
    }
    if (collective) {
        fault("missing lanes", waiting.pc, "%s with mask %08x: lanes %08x never come; %s", waiting.what, waiting.mask,
              missing, where.c_str());
    }
    if (waiting.mbarrier) {
        fault("barrier not reached", waiting.pc, "%s; %s", describe_mbarrier(waiting.mbarrier).c_str(), where.c_str());
    }
    const auto [absent_count, expected] = waiting.barrier == kClusterBarrier
                                              ? std::pair<unsigned, unsigned>{cluster_missing(), fibers.size()}
                                              : barrier_missing(victim->cta, waiting.barrier);
    fault("barrier not reached", waiting.pc, "%s: %u of %u threads never come; %s", waiting.what, absent_count, expected,
          where.c_str());
}

}  // namespace emulator
