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

#include "state.hpp"

namespace emulator {

Launch launch;
Index current_block;
Fiber* current;
std::vector<Fiber> fibers;
std::vector<Warp> warps;

static jmp_buf scheduler;
static ucontext_t boot;
constexpr size_t kStackBytes = 256 << 10;

Index thread_index() { return current->thread; }
Index block_index() { return current_block; }
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

static void fiber_main() {
    Fiber& self = *current;
    if (!_setjmp(self.context)) _longjmp(scheduler, 1);
    for (;;) {
        entry.call(launch.arguments.data());
        self.done = true;
        warps[self.warp].done |= 1u << self.lane;
        block_current();
    }
}

void create_fibers(unsigned threads) {
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
        fiber.thread = {t % launch.block.x, t / launch.block.x % launch.block.y, t / launch.block.x / launch.block.y};
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

void run_block(Index block) {
    current_block = block;
    for (Fiber& fiber : fibers) {
        fiber.done = false;
        fiber.waiting = Waiting{};
        fiber.open.clear();
        fiber.groups.clear();
    }
    for (Warp& warp : warps) warp = {warp.present, warp.present, 0};
    start_memory_of_block();
    start_barriers();
    current = nullptr;
    if (!_setjmp(scheduler)) {
        current = next_runnable();
        _longjmp(current->context, 1);
    }
    for (const Warp& warp : warps) {
        if (warp.done != warp.present) describe_stuck();
    }
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
    self.waiting = {what, pc, mask, perform, operands, -1};
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
    unsigned absent_count = 0;
    for (const Fiber& fiber : fibers) {
        const Waiting& other = fiber.waiting;
        if (collective) {
            if (fiber.warp != victim->warp || !(waiting.mask >> fiber.lane & 1)) continue;
            if (!fiber.done && other.perform == waiting.perform && other.mask == waiting.mask) continue;
            missing |= 1u << fiber.lane;
        } else if (!fiber.done && other.barrier == waiting.barrier) {
            continue;
        }
        ++absent_count;
        if (!absent) absent = &fiber;
    }
    current = const_cast<Fiber*>(victim);
    if (!absent) fault("deadlock", waiting.pc, "%s waits for more threads than there are", waiting.what);
    std::string where = name_of(*absent);
    if (absent->done) {
        where += " has returned";
    } else {
        where += std::string(" waits at ") + absent->waiting.what;
        also(absent->waiting.pc, absent, "waits");
    }
    if (collective) {
        fault("missing lanes", waiting.pc, "%s with mask %08x: lanes %08x never come; %s", waiting.what, waiting.mask,
              missing, where.c_str());
    }
    fault("barrier not reached", waiting.pc, "%s: %u of %zu threads never come; %s", waiting.what, absent_count,
          fibers.size(), where.c_str());
}

}  // namespace emulator
