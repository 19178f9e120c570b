// The calls that -fsanitize=thread puts before each plain load and store, answered by the emulator instead of by
// libtsan, and those of -fsanitize=alignment instead of libubsan.
// Names: https://github.com/llvm/llvm-project/blob/main/compiler-rt/lib/tsan/rtl/tsan_interface.h
#include "state.hpp"

using emulator::Access;
using emulator::access;

#define HOOK_PAIR(name, bytes)                                                                       \
    void __tsan_read##name(void* p) {                                                                \
        access(reinterpret_cast<uintptr_t>(p), bytes, Access::Read, CALLER);                         \
    }                                                                                                \
    void __tsan_write##name(void* p) {                                                               \
        access(reinterpret_cast<uintptr_t>(p), bytes, Access::Write, CALLER);                        \
    }                                                                                                \
    void __tsan_unaligned_read##name(void* p) {                                                      \
        access(reinterpret_cast<uintptr_t>(p), bytes, Access::Read, CALLER);                         \
    }                                                                                                \
    void __tsan_unaligned_write##name(void* p) {                                                     \
        access(reinterpret_cast<uintptr_t>(p), bytes, Access::Write, CALLER);                        \
    }                                                                                                \
    void __tsan_volatile_read##name(void* p) {                                                       \
        access(reinterpret_cast<uintptr_t>(p), bytes, Access::Read, CALLER);                         \
    }                                                                                                \
    void __tsan_volatile_write##name(void* p) {                                                      \
        access(reinterpret_cast<uintptr_t>(p), bytes, Access::Write, CALLER);                        \
    }

// GCC's -fsanitize=alignment tells of the place and type in this record.
struct SourcePlace {
    const char* file;
    uint32_t line, column;
};
struct TypeDescriptor {
    uint16_t kind, info;
    char name[1];
};
struct TypeMismatch {
    SourcePlace place;
    const TypeDescriptor* type;
    unsigned char log_alignment, check_kind;
};

extern "C" {
HOOK_PAIR(1, 1)
HOOK_PAIR(2, 2)
HOOK_PAIR(4, 4)
HOOK_PAIR(8, 8)
HOOK_PAIR(16, 16)
void __tsan_read_range(void* p, unsigned long bytes) {
    access(reinterpret_cast<uintptr_t>(p), static_cast<unsigned>(bytes), Access::Read, CALLER);
}
void __tsan_write_range(void* p, unsigned long bytes) {
    access(reinterpret_cast<uintptr_t>(p), static_cast<unsigned>(bytes), Access::Write, CALLER);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

void __ubsan_handle_type_mismatch_v1(const TypeMismatch* mismatch, void* address) {
    emulator::require_alignment(address, 1u << mismatch->log_alignment, mismatch->type->name, CALLER);
}
void __ubsan_handle_type_mismatch_v1_abort(const TypeMismatch* mismatch, void* address) {
    emulator::require_alignment(address, 1u << mismatch->log_alignment, mismatch->type->name, CALLER);
}
}
