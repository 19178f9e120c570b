// The state of one emulated launch, shared by the files of the runtime.
#pragma once
#include <setjmp.h>

#include <cstdarg>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "../runtime.hpp"

namespace emulator {

constexpr unsigned kWarp = 32;
constexpr unsigned kMaxWarps = 32;
using Pc = uintptr_t;
#define CALLER (reinterpret_cast<emulator::Pc>(__builtin_return_address(0)))

// ---- Fibers (fiber.cpp) --------------------------------------------------------------------------------------

struct Fiber;
// What a blocked thread waits for.
struct Waiting {
    const char* what = nullptr;  // "ldmatrix", "barrier 0"; null if the thread runs
    Pc pc = 0;
    // A warp collective: the lanes that must meet, what to do then, and what this lane brings.
    uint32_t mask = 0;
    void (*perform)(Fiber* lanes, uint32_t mask) = nullptr;
    void* operands = nullptr;
    // A barrier.
    int barrier = -1;
};

// One cp.async under way: the bytes as they were read when it was started.
struct Copy {
    uintptr_t to;
    unsigned bytes;
    unsigned char data[16];
};

struct Fiber {
    jmp_buf context;
    uintptr_t stack_begin, stack_end;
    Index thread;
    unsigned warp, lane;
    bool done;
    Waiting waiting;
    int answer;                            // of a reducing barrier
    std::vector<Copy> open;                // copies not committed yet
    std::deque<std::vector<Copy>> groups;  // committed, oldest first
};

struct Warp {
    uint32_t present;   // lanes that exist
    uint32_t runnable;  // lanes that may run now
    uint32_t done;      // lanes that have returned
};

struct Launch {
    Index grid, block;
    unsigned shared_bytes;
    std::vector<Argument> arguments;
};

extern Launch launch;
extern Index current_block;
extern Fiber* current;
extern std::vector<Fiber> fibers;  // of one block, in linear order
extern std::vector<Warp> warps;

void create_fibers(unsigned threads);
void run_block(Index block);
// Lets other threads run until `wake` is called for this one.
void block_current();
void wake(Fiber& fiber);
// Waits until every lane of `mask` has arrived with the same `perform`; the last one carries it out.
void meet(const char* what, uint32_t mask, void (*perform)(Fiber*, uint32_t), void* operands, Pc pc);
void start_barriers();
void describe_stuck();

// ---- Memory (memory.cpp, race.cpp) ---------------------------------------------------------------------------

enum class Access : int { Read, Write, Atomic, AsyncWrite };
// What is known of a byte.
enum : uint8_t { kNeverWritten = 0, kWritten = 1, kInFlight = 2 };

// A piece of memory a kernel may use.
struct Region {
    std::string name;
    uintptr_t begin = 0, end = 0;
    uint8_t* known = nullptr;  // one of the constants above for each byte
    bool read_only = false;
    bool shared = false;
    uint64_t bytes_read = 0, bytes_written = 0;
};

extern std::vector<Region> buffers;
Region& shared_dynamic();
Region& shared_static();
void add_buffer(const std::string& name, const void* data, const uint8_t* known, uint64_t bytes, bool read_only);
void set_up_memory();
void start_memory_of_block();

void access(uintptr_t address, unsigned bytes, Access kind, Pc pc);
void require_alignment(const void* address, unsigned alignment, const char* what, Pc pc);
// The region an address lies in, or null; and words for it.
Region* find_region(uintptr_t address);
std::string describe_address(uintptr_t address);

void set_up_races();
void race_check(const Region& region, uintptr_t address, unsigned bytes, Access kind, Pc pc);
// Everything the threads of these warps did before is now ordered before all they do after.
void race_join(uint32_t warp_mask);

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
