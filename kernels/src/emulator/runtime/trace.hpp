// What the files of the runtime tell trace.cpp.
#pragma once
#include <array>
#include <tuple>

#include "state.hpp"

namespace emulator {

struct TraceRequest {
    bool on = false;
    Index block{};
    unsigned thread = 0;     // of the block, counted linearly
    uint64_t most = 0;       // tensor-core instructions to tell of
};
extern TraceRequest tracing;

void trace_shared(const Region& region, uintptr_t address, unsigned bytes, Access kind, Pc pc);
// True if this instruction of these lanes is to be told of, element by element of `traced_lane`: of which operand, where
// in its matrix, and what.
bool trace_instruction(const Fiber* lanes, const char* name);
unsigned traced_lane();
void trace_element(char operand, int row, int column, double value);
// Lines of text for emulator/trace.rs.
std::string trace_report();

}  // namespace emulator
