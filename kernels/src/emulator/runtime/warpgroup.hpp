// What warpgroup.cpp and wgmma.cpp share.
#pragma once
#include "state.hpp"

namespace emulator {

// Holds the warp of these lanes to what the other warps of its warpgroup do.
void agree(Fiber* lanes, const char* name, uint64_t operands);
// 0 to 3.
unsigned warp_in_group(const Fiber& fiber);

}  // namespace emulator
