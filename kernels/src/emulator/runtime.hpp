// What a kernel, compiled for the CPU, asks of the emulator.
//
// A kernel's thread is a fiber: it runs until it meets a collective that needs other threads, then another
// fiber runs. One CTA, or one cluster of them, runs at a time, on one host thread, so nothing here needs a lock;
// launches run in parallel as processes. Every function that can fail ends the process with a report that names the source
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
bool elect(uint32_t mask);

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

// Hopper: see ptx_hopper.cuh for what each does, and the file of the runtime for how.
extern const Index cluster_extent;
uint32_t shared_address(const void* shared);
void* mapa(const void* shared, uint32_t rank);
uint32_t cluster_ctarank();
uint32_t cluster_nctarank();
void cluster_arrive();
void cluster_wait();
void griddepcontrol_wait();
void setmaxnreg(unsigned count, bool increase);
void fence_proxy_async();
void fence_mbarrier_init();
void mbarrier_init(uint64_t* barrier, uint32_t count);
void mbarrier_inval(uint64_t* barrier);
void mbarrier_arrive(uint64_t* barrier, uint32_t expected_bytes, bool remote);
bool mbarrier_try_wait(uint64_t* barrier, uint32_t parity);
void cp_async_bulk_load(void* shared, const void* global, uint32_t bytes, uint64_t* barrier);
void cp_async_bulk_cluster(void* to, const void* from, uint32_t bytes, uint64_t* barrier);
void cp_async_bulk_store(void* global, const void* shared, uint32_t bytes);
void cp_async_bulk_commit();
void cp_async_bulk_wait(unsigned groups_that_may_be_pending, bool read_only);
void st_async(uint32_t* there, uint32_t value, uint64_t* barrier);
void prefetch_tensormap(const void* map);
// `blocks`: the cluster's blocks that get it; 0 for this one.
void tensor_load(unsigned rank, void* shared, const void* map, const int* at, uint64_t* barrier, uint32_t blocks);
void tensor_load_im2col(unsigned rank, void* shared, const void* map, const int* at, const uint16_t* offsets,
                        uint64_t* barrier, uint32_t blocks);
void tensor_store(unsigned rank, const void* map, const int* at, const void* shared);
struct Wgmma {
    enum Type : int { F16, Tf32, S8 } type;
    unsigned n;
    bool transpose_a, transpose_b;
};
void wgmma(const Wgmma& form, void* d, const uint32_t* a, uint64_t a_matrix, uint64_t b_matrix, bool accumulate);
void wgmma_fence();
void wgmma_commit();
void wgmma_wait(unsigned groups_that_may_be_pending);

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
