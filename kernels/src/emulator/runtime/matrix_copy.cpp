// ldmatrix and stmatrix. PTX ISA: "Warp-level matrix load instruction: ldmatrix", "... store ... stmatrix":
// lanes 8i to 8i+7 give the addresses of the rows of matrix i; of each matrix lane l holds row l/4, elements
// 2(l%4) and 2(l%4)+1, or with .trans the transposed matrix' elements at that place.
#include <cstring>

#include "state.hpp"

namespace emulator {

struct MatrixOperands {
    int count;
    bool transposed;
    uint32_t* registers;
    uintptr_t row;
    const char* name;
};

static const MatrixOperands& operands_of(const Fiber& lane) {
    return *static_cast<const MatrixOperands*>(lane.waiting.operands);
}

// Checks that all lanes execute the same form, and each row: 16 bytes, aligned, in shared memory.
static void check_rows(Fiber* lanes, Access kind) {
    const MatrixOperands& first = operands_of(lanes[0]);
    for (int lane = 0; lane < 32; ++lane) {
        const MatrixOperands& mine = operands_of(lanes[lane]);
        const Pc pc = lanes[lane].waiting.pc;
        current = &lanes[lane];
        if (mine.count != first.count || mine.transposed != first.transposed) {
            fault("missing lanes", pc, "lanes meet in different forms of %s", mine.name);
        }
        if (lane >= 8 * first.count) continue;
        require_alignment(reinterpret_cast<void*>(mine.row), 16, mine.name, pc);
        const Region* region = find_region(mine.row);
        if (region && !region->shared) {
            fault("wrong memory space", pc, "%s takes rows in shared memory, got %s", mine.name,
                  describe_address(mine.row).c_str());
        }
        access(mine.row, 16, kind, pc);
    }
}

// Matrix i: row r is what lane 8i+r points at; element (row, column) of it.
static uint16_t* element(Fiber* lanes, int matrix, int row, int column) {
    return reinterpret_cast<uint16_t*>(operands_of(lanes[8 * matrix + row]).row) + column;
}

template <bool load>
static void perform(Fiber* lanes, uint32_t) {
    Fiber* const last = current;
    check_rows(lanes, load ? Access::Read : Access::Write);
    current = last;
    const MatrixOperands& form = operands_of(lanes[0]);
    for (int lane = 0; lane < 32; ++lane) {
        for (int matrix = 0; matrix < form.count; ++matrix) {
            uint16_t halves[2];
            uint32_t& reg = operands_of(lanes[lane]).registers[matrix];
            if (!load) std::memcpy(halves, &reg, 4);
            for (int i = 0; i < 2; ++i) {
                const int row = lane / 4, column = 2 * (lane % 4) + i;
                uint16_t* at = form.transposed ? element(lanes, matrix, column, row) : element(lanes, matrix, row, column);
                if (load) halves[i] = *at;
                else *at = halves[i];
            }
            if (load) std::memcpy(&reg, halves, 4);
        }
    }
}

void ldmatrix(int count, bool transposed, uint32_t* registers, const void* row) {
    MatrixOperands operands{count, transposed, registers, reinterpret_cast<uintptr_t>(row), "ldmatrix"};
    meet("ldmatrix", 0xffffffffu, perform<true>, &operands, CALLER);
}

void stmatrix(int count, bool transposed, const uint32_t* registers, void* row) {
    uint32_t values[4] = {};
    std::memcpy(values, registers, 4 * static_cast<size_t>(count));
    MatrixOperands operands{count, transposed, values, reinterpret_cast<uintptr_t>(row), "stmatrix"};
    meet("stmatrix", 0xffffffffu, perform<false>, &operands, CALLER);
}

}  // namespace emulator
