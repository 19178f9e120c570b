// What bulk_copy.cpp and tensor_copy.cpp share.
#pragma once
#include "state.hpp"

namespace emulator {

// Up to 16 bytes on their way to shared memory.
struct Piece {
    uintptr_t at;
    unsigned bytes;
    unsigned char data[16];
    Origin origin{};
};

std::vector<Piece> pieces_of(uintptr_t to, const void* from, unsigned bytes);
// They arrive later, and `bytes` are taken off what the mbarrier expects.
void start_arrival(std::vector<Piece> pieces, uintptr_t barrier, unsigned bytes, Pc pc);
void start_store(BulkStore store, Pc pc);
void finish_stores(uint64_t pending, bool whole, Pc pc);

}  // namespace emulator
