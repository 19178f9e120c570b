// What a kernel, compiled for the CPU, asks of the emulator.
//
// A kernel's thread is a fiber: it runs until it meets a collective that needs other threads, then another
// fiber runs. One CTA runs at a time, on one host thread, so nothing here needs a lock; launches run in
// parallel as processes. Every function that can fail ends the process with a report that names the source
// line, the block and the thread; the line is that of the function's return address, so wrappers around these
// functions must be inlined into the kernel.
//
// Plain loads and stores are seen too: the kernel is compiled with -fsanitize=thread, whose calls before each
// access to memory arrive in runtime/hooks.cpp instead of in libtsan.
#pragma once
#include <cstddef>
#include <cstdint>

namespace emulator {

struct Index {
    unsigned x, y, z;
};

// Constant as long as one fiber runs one block, so the compiler may keep the answer.
[[gnu::const]] Index thread_index();
[[gnu::const]] Index block_index();
[[gnu::const]] Index block_extent();
[[gnu::const]] Index grid_extent();
[[gnu::const]] unsigned lane_index();
[[gnu::const]] void* dynamic_shared();
[[gnu::const]] unsigned dynamic_shared_bytes();

// Barriers. `count` threads must arrive; 0 means the whole block.
enum class Reduce : int { None, Count, And, Or };
int barrier(unsigned id, unsigned count, Reduce reduce, int predicate);
void barrier_arrive(unsigned id, unsigned count);
void sync_warp(uint32_t mask);

// Warp collectives. All lanes of `mask` must meet in the same one.
enum class Shuffle : int { Index, Up, Down, Xor };
uint64_t shuffle(Shuffle mode, uint32_t mask, uint64_t value, uint32_t argument, uint32_t width);
uint32_t ballot(uint32_t mask, bool predicate);
uint32_t match_any(uint32_t mask, uint64_t value);
uint32_t reduce_add(uint32_t mask, uint32_t value);
uint32_t active_mask();

// Tensor cores: register images as the PTX ISA lays them out; see runtime/mma.cpp.
enum class Mma : int {
    F16_16x8x8,
    F16_16x8x16,
    Tf32_16x8x4,
    Tf32_16x8x8,
    S8_8x8x16,
    S8_16x8x16,
    S8_16x8x32,
};
// d += a·b; d is 32-bit registers, float or int as the shape says.
void mma(Mma shape, void* d, const uint32_t* a, const uint32_t* b);
// `count` 8x8 matrices of 16-bit elements; every lane gives the address of one row.
void ldmatrix(int count, bool transposed, uint32_t* registers, const void* row);
void stmatrix(int count, bool transposed, const uint32_t* registers, void* row);

// Conversions, to nearest even; tf32 to nearest, ties away from zero.
float f32_from_f16(uint16_t bits);
uint16_t f16_from_f32(float x);
uint32_t tf32_from_f32(uint32_t bits);

// cp.async: `bytes` (4, 8 or 16) reach shared memory when the thread waits for their group; what lies behind
// the first `source_bytes` is zeros.
void cp_async(void* shared, const void* global, unsigned bytes, unsigned source_bytes);
void cp_async_commit();
void cp_async_wait(unsigned groups_that_may_be_pending);

// Atomics on 4 or 8 bytes. The operation is the caller's: between these two nothing else runs.
void atomic_access(void* address, unsigned bytes);
void peek(void* to, const void* from, unsigned bytes);
void poke(void* to, const void* from, unsigned bytes);
// Explicit accesses of wrappers that are not plain C++ loads and stores.
void check_read(const void* address, unsigned bytes);
void check_write(void* address, unsigned bytes);

[[noreturn]] void trap(const char* message);

// The kernel: called with the addresses of its arguments.
struct Argument {
    void* bytes;
    uint64_t size;
    bool pointer;
};
struct Entry {
    const char* name;
    void (*call)(const Argument* arguments);
    unsigned arguments;
    const uint64_t* sizes;
    const bool* pointers;
};
extern const Entry entry;

}  // namespace emulator
