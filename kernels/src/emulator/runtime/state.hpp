// The state of one emulated launch, shared by the files of the runtime.
#pragma once
#include <setjmp.h>

#include <bitset>
#include <cstdarg>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "../runtime.hpp"

namespace emulator {

constexpr unsigned kWarp = 32;
constexpr unsigned kMaxWarps = 128;  // of a cluster: 8 blocks of 16, or 4 of 32
using WarpSet = std::bitset<kMaxWarps>;
using Pc = uintptr_t;
#define CALLER (reinterpret_cast<emulator::Pc>(__builtin_return_address(0)))

// ---- Fibers (fiber.cpp) --------------------------------------------------------------------------------------

struct Fiber;
struct Mbarrier;
// What a blocked thread waits for.
struct Waiting {
    const char* what = nullptr;  // "ldmatrix", "barrier 0"; null if the thread runs
    Pc pc = 0;
    // A warp collective: the lanes that must meet, what to do then, and what this lane brings.
    uint32_t mask = 0;
    void (*perform)(Fiber* lanes, uint32_t mask) = nullptr;
    void* operands = nullptr;
    // A barrier: of the block by its number, of the cluster, or an mbarrier by its address.
    int barrier = -1;
    uintptr_t mbarrier = 0;
};
constexpr int kClusterBarrier = 16;

// One cp.async under way: the bytes as they were read when it was started.
struct Copy {
    uintptr_t to;
    unsigned bytes;
    unsigned char data[16];
};

// A stretch of shared memory.
struct Span {
    uintptr_t at;
    unsigned bytes;
};

// A bulk copy out of shared memory, and the group it was committed to.
struct BulkStore {
    std::vector<Span> from;              // still being read
    std::vector<Span> to;                // global memory
    std::vector<unsigned char> data;
    uint64_t group = 0;
    Pc pc = 0;
};

// The registers of a wgmma. Local variables of the kernel lie on the fiber's stack, so accesses to them are seen.
struct Registers {
    uintptr_t at;
    unsigned bytes;
    bool fragment;                       // of a: may be read, but not changed
    bool pending;                        // the tensor cores work on them
    bool touched;                        // accessed since the last wgmma_fence
    uint64_t group;
    std::vector<unsigned char> values;   // what they will hold
};

// What a thread has started behind its back, with Hopper's instructions.
struct Background {
    uint64_t stores_committed = 0, products_committed = 0;
    std::vector<BulkStore> stores;
    std::vector<Registers> registers;
    // Shared memory that wgmma reads, by group; lane 0 keeps it for its warp.
    std::vector<std::pair<uint64_t, Span>> operands;
    bool fenced = false;                 // by wgmma_fence, ever
    uintptr_t doubted = 0;               // the mbarrier that try_wait answered false of
    uint64_t cluster_phase = 0;          // phases of the cluster's barrier this thread has arrived at
    bool waited = false;                 // for the grids before, by griddepcontrol_wait
};

struct Fiber {
    jmp_buf context;
    uintptr_t stack_begin, stack_end;
    Index thread, block;
    unsigned warp, lane;                   // the warp is counted through the cluster
    unsigned cta;                          // the block's rank in its cluster
    bool done;
    bool watched;                          // `background.registers` is not empty
    Waiting waiting;
    int answer;                            // of a reducing barrier
    std::vector<Copy> open;                // copies not committed yet
    std::deque<std::vector<Copy>> groups;  // committed, oldest first
    Background background;
};

struct Warp {
    uint32_t present;   // lanes that exist
    uint32_t runnable;  // lanes that may run now
    uint32_t done;      // lanes that have returned
};

struct Launch {
    Index grid, block, cluster;
    unsigned shared_bytes;
    bool dependent;  // may start before the grid before it has ended
    bool beside;     // and has nothing to do with that one, but for its threads' end
    std::vector<Argument> arguments;
};

extern Launch launch;
extern Fiber* current;
extern std::vector<Fiber> fibers;  // of one cluster, block by block, in linear order
extern std::vector<Warp> warps;
extern unsigned block_threads, block_warps, cluster_blocks, threads_done;

void create_fibers(unsigned threads, unsigned blocks);
// Runs the cluster whose first block is this.
void run_cluster(Index first);
// Lets other threads run until `wake` is called for this one.
void block_current();
void wake(Fiber& fiber);
// Waits until every lane of `mask` has arrived with the same `perform`; the last one carries it out.
void meet(const char* what, uint32_t mask, void (*perform)(Fiber*, uint32_t), void* operands, Pc pc);
void start_barriers();
// Threads that barrier `id` of a block still waits for, and how many it wants.
std::pair<unsigned, unsigned> barrier_missing(unsigned cta, int id);
void describe_stuck();

// ---- Memory (memory.cpp, race.cpp) ---------------------------------------------------------------------------

enum class Access : int { Read, Write, Atomic, AsyncWrite };
// What is known of a byte.
enum : uint8_t { kNeverWritten = 0, kWritten = 1, kInFlight = 2, kBarrier = 3 };

// By which way bytes move.
enum class Path : int { Plain, AsyncCopy, Bulk, TensorCore };
constexpr int kPaths = 4;

// Where 16 bytes of shared memory came from, if a tensor copy brought them: which copy, and which part of its box.
struct Origin {
    uint32_t copy;      // 0: none
    uint16_t row;       // of the box, a row being its innermost dimension
    uint8_t chunk;      // 16 bytes of that row
    uint8_t swizzle;    // as a tensor map's
};

// A piece of memory a kernel may use.
struct Region {
    std::string name;
    uintptr_t begin = 0, end = 0;
    uint8_t* known = nullptr;  // one of the constants above for each byte
    bool read_only = false;
    bool shared = false;
    bool constant = false;     // of no grid's making: weights, bias, scales
    int cta = -1;              // whose dynamic shared memory it is
    size_t cells = 0;          // where race.cpp remembers it
    uint8_t* touched = nullptr;   // of a buffer, while tracing: 1 for bytes read, 2 for bytes written
    uint8_t* readers = nullptr;   // shared: asynchronous operations that still read each byte
    Origin* origins = nullptr;    // dynamic shared: of each 16 bytes
    uint64_t bytes_read[kPaths] = {}, bytes_written[kPaths] = {};
};

extern std::vector<Region> buffers;
extern Path path;  // of the accesses to come
Region& shared_dynamic(unsigned cta);
Region& shared_static();
uintptr_t from_shared_address(uint32_t address, unsigned cta);
void add_buffer(const std::string& name, const void* data, const uint8_t* known, uint64_t bytes, bool read_only);
void set_up_memory();
void start_memory();

void access(uintptr_t address, unsigned bytes, Access kind, Pc pc);
void require_alignment(const void* address, unsigned alignment, const char* what, Pc pc);
// The region an address lies in, or null; and words for it.
Region* find_region(uintptr_t address);
std::string describe_address(uintptr_t address);

// The asynchronous proxy reads shared memory, from now to `proxy_read_done`.
void proxy_read(uintptr_t address, unsigned bytes, const char* what, Pc pc);
void proxy_read_done(const Span& span, Pc pc);
// It starts to write 16 or fewer bytes on behalf of `agent`, and has written them.
void proxy_write(uintptr_t address, unsigned bytes, unsigned agent, Pc pc);
void proxy_deliver(uintptr_t address, const void* data, unsigned bytes);
// A wgmma's registers (wgmma.cpp).
void check_registers(uintptr_t address, unsigned bytes, Access kind, Pc pc);

// True if registers hold what the compiler fills local variables with (-ftrivial-auto-var-init=pattern), all of them.
template <typename T>
bool is_uninitialised(const void* registers, unsigned count) {
    const auto* words = static_cast<const uint32_t*>(registers);
    for (unsigned i = 1; i < count; ++i) {
        if (words[i] != words[0]) return false;
    }
    // GCC: 0xfe in every byte. Clang: a NaN for floats, 0xaa for integers.
    return words[0] == 0xfefefefe || words[0] == (T(0.5) ? 0xffffffff : 0xaaaaaaaa);
}

// What happened before: of each clock its last tick, and of each warp the last stretch between proxy fences whose
// writes the asynchronous proxy sees.
struct Knowledge {
    std::vector<uint32_t> seen, fenced;
};
void set_up_races();
void start_races();
void race_check(const Region& region, uintptr_t address, unsigned bytes, Access kind, Pc pc);
// Everything the threads of these warps did before is now ordered before all they do after.
void race_join(const WarpSet& set);
void race_release(Knowledge& into);
void race_acquire(const Knowledge& from);
void race_fence();
// A clock of the asynchronous proxy, one for each mbarrier; and the next tick of it.
unsigned race_agent();
uint32_t race_tick(unsigned agent);
uint32_t race_now(unsigned agent);
void race_write_by(const Region& region, uintptr_t address, unsigned bytes, unsigned agent, Pc pc);
// The running thread uses shared memory of this block of the cluster; a block ends.
void race_reach(int cta, Pc pc);
void race_leave(unsigned cta);
void race_require_fence(const Region& region, uintptr_t address, unsigned bytes, const char* what, Pc pc);

// ---- Hopper (mbarrier.cpp, bulk_copy.cpp, wgmma.cpp, cluster.cpp) --------------------------------------------

void start_mbarriers();
// The clock that copies for this mbarrier write under; it must have been made known to the asynchronous proxy.
unsigned mbarrier_agent(uintptr_t address, Pc pc);
void mbarrier_complete(uintptr_t address, unsigned bytes);
std::string describe_mbarrier(uintptr_t address);
// Brings all bulk copies under way to their end; false if there were none.
bool deliver_copies();
void end_copies();
void start_warpgroups();
void end_warpgroups();
void start_cluster_barrier();
void thread_left_cluster();
// All threads of this block have returned.
bool has_left(unsigned cta);
unsigned cluster_missing();
// Of a dependent launch: `what` the running thread does must come behind griddepcontrol_wait.
void require_wait(const std::string& what, Pc pc);

// ---- Faults (fault.cpp) --------------------------------------------------------------------------------------

// Ends the process: writes the report for the parent to read.
[[noreturn]] void fault(const char* kind, Pc pc, const char* format, ...) __attribute__((format(printf, 3, 4)));
// A second place that belongs to the next fault: the other thread of a race.
void also(Pc pc, const Fiber* fiber, const char* role);
// The running thread read shared memory that nobody wrote. If another thread writes it before they meet this is a
// race and reported as one; else `confirm_suspicion`, at the end of the block, makes it a fault.
void suspect(Pc pc, const std::string& message);
void confirm_suspicion();
void install_signal_handlers(unsigned seconds);
std::string name_of(const Fiber& fiber);

// ---- Exchange with the parent (main.cpp) ---------------------------------------------------------------------

void write_all(const void* data, size_t bytes);

}  // namespace emulator
