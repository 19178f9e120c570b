// Tensor cores: which element of a matrix each register of each lane holds, and the products.
//
// Layouts follow the PTX ISA, "Warp-level matrix instructions", one formula a matrix; groupID is lane/4 and
// threadID_in_group is lane%4, called `group` and `thread` here. f16 and tf32 products are exact in f32 and are
// added to the accumulator in the order of k, each sum rounded to nearest; the hardware adds them in another
// order and cuts bits off, so results agree within Tolerance::gemm, not to the bit. s8 is exact.
#include <cmath>
#include <cstring>

#include "trace.hpp"

namespace emulator {

// ---- Conversions ---------------------------------------------------------------------------------------------

float f32_from_f16(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
    const uint32_t exponent = bits >> 10 & 31, mantissa = bits & 1023;
    uint32_t out;
    if (exponent == 31) {
        out = sign | 0x7f800000 | mantissa << 13;
    } else if (exponent) {
        out = sign | (exponent + 112) << 23 | mantissa << 13;
    } else {
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
        std::memcpy(&out, &magnitude, 4);
        out |= sign;
    }
    float x;
    std::memcpy(&x, &out, 4);
    return x;
}

uint16_t f16_from_f32(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    const uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) return 0x7fff;                // NaN: cvt gives the canonical one
    if (bits >= 0x477ff000) return sign | 0x7c00;        // 65520 and more round to infinity
    if (bits < 0x38800000) {                             // below 2^-14: subnormal
        float magnitude;
        std::memcpy(&magnitude, &bits, 4);
        return sign | static_cast<uint16_t>(std::nearbyint(static_cast<double>(magnitude) * 0x1p24));
    }
    bits += 0xfff + (bits >> 13 & 1);                    // half a unit, to even
    return sign | static_cast<uint16_t>((bits - 0x38000000) >> 13);
}

uint32_t tf32_from_f32(uint32_t bits) {
    if ((bits & 0x7f800000) == 0x7f800000) return bits & 0x7fffff ? 0x7fffffff : bits;
    return (bits + 0x1000) & 0xffffe000;
}

// ---- Layouts -------------------------------------------------------------------------------------------------

struct Place {
    int row, column;
};

// One shape: extents, element size, and where element i of a lane's fragment lies.
struct Shape {
    const char* name;
    int m, n, k;
    int element_bits;          // of a and b
    int a_elements, b_elements, c_elements;
    Place (*a)(int group, int thread, int i);
    Place (*b)(int group, int thread, int i);  // row is k, column is n
    Place (*c)(int group, int thread, int i);
};

// Accumulators of all 16x8 shapes: "row = groupID for c0, c1, groupID + 8 for c2, c3;
// col = (threadID_in_group * 2) + (i & 0x1)".
static Place c_16x8(int group, int thread, int i) { return {i < 2 ? group : group + 8, thread * 2 + (i & 1)}; }

// "Matrix Fragments for mma.m16n8k8", .f16
static Place a_f16_k8(int group, int thread, int i) { return {i < 2 ? group : group + 8, thread * 2 + (i & 1)}; }
static Place b_f16_k8(int group, int thread, int i) { return {thread * 2 + i, group}; }

// "Matrix Fragments for mma.m16n8k16 with floating point type"
static Place a_f16_k16(int group, int thread, int i) {
    const bool upper = (0 <= i && i < 2) || (4 <= i && i < 6);
    return {upper ? group : group + 8, i < 4 ? thread * 2 + (i & 1) : thread * 2 + (i & 1) + 8};
}
static Place b_f16_k16(int group, int thread, int i) {
    return {i < 2 ? thread * 2 + (i & 1) : thread * 2 + (i & 1) + 8, group};
}

// "Matrix Fragments for mma.m16n8k4", .tf32
static Place a_tf32_k4(int group, int thread, int i) { return {i == 0 ? group : group + 8, thread}; }
static Place b_tf32_k4(int group, int thread, int) { return {thread, group}; }

// "Matrix Fragments for mma.m16n8k8", .tf32
static Place a_tf32_k8(int group, int thread, int i) {
    return {i == 0 || i == 2 ? group : group + 8, i == 0 || i == 1 ? thread : thread + 4};
}
static Place b_tf32_k8(int group, int thread, int i) { return {i == 0 ? thread : thread + 4, group}; }

// "Matrix Fragments for mma.m8n8k16"
static Place a_s8_m8(int group, int thread, int i) { return {group, thread * 4 + i}; }
static Place b_s8_m8(int group, int thread, int i) { return {thread * 4 + i, group}; }
static Place c_8x8(int group, int thread, int i) { return {group, thread * 2 + i}; }

// "Matrix Fragments for mma.m16n8k16 with integer type"
static Place a_s8_k16(int group, int thread, int i) { return {i < 4 ? group : group + 8, thread * 4 + (i & 3)}; }
static Place b_s8_k16(int group, int thread, int i) { return {thread * 4 + i, group}; }

// "Matrix Fragments for mma.m16n8k32"
static Place a_s8_k32(int group, int thread, int i) {
    const bool upper = (0 <= i && i < 4) || (8 <= i && i < 12);
    return {upper ? group : group + 8, i < 8 ? thread * 4 + (i & 3) : thread * 4 + (i & 3) + 16};
}
static Place b_s8_k32(int group, int thread, int i) {
    return {i < 4 ? thread * 4 + (i & 3) : thread * 4 + (i & 3) + 16, group};
}

// In the order of enum Mma.
static const Shape kShapes[] = {
    {"mma.m16n8k8.f16", 16, 8, 8, 16, 4, 2, 4, a_f16_k8, b_f16_k8, c_16x8},
    {"mma.m16n8k16.f16", 16, 8, 16, 16, 8, 4, 4, a_f16_k16, b_f16_k16, c_16x8},
    {"mma.m16n8k4.tf32", 16, 8, 4, 32, 2, 1, 4, a_tf32_k4, b_tf32_k4, c_16x8},
    {"mma.m16n8k8.tf32", 16, 8, 8, 32, 4, 2, 4, a_tf32_k8, b_tf32_k8, c_16x8},
    {"mma.m8n8k16.s8", 8, 8, 16, 8, 4, 4, 2, a_s8_m8, b_s8_m8, c_8x8},
    {"mma.m16n8k16.s8", 16, 8, 16, 8, 8, 4, 4, a_s8_k16, b_s8_k16, c_16x8},
    {"mma.m16n8k32.s8", 16, 8, 32, 8, 16, 8, 4, a_s8_k32, b_s8_k32, c_16x8},
};

// ---- Products ------------------------------------------------------------------------------------------------

struct MmaOperands {
    const Shape* shape;
    void* d;
    const uint32_t *a, *b;
};

static float f32_from_bits(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}

// Element i of a fragment as the unit multiplies it.
static float float_element(const uint32_t* registers, int i, int bits) {
    if (bits == 16) return f32_from_f16(static_cast<uint16_t>(registers[i / 2] >> (16 * (i & 1))));
    // "the lower 13 bits of a tf32 operand are ignored"
    return f32_from_bits(registers[i] & 0xffffe000);
}
static int integer_element(const uint32_t* registers, int i) {
    return static_cast<int8_t>(registers[i / 4] >> (8 * (i & 3)));
}

template <typename T, typename Element>
static void multiply(Fiber* lanes, const Shape& shape, Element element) {
    T a[16][32], b[8][32], d[16][8];  // b transposed: [n][k]
    const auto operands = [&](int lane) -> MmaOperands& {
        return *static_cast<MmaOperands*>(lanes[lane].waiting.operands);
    };
    for (int lane = 0; lane < 32; ++lane) {
        const MmaOperands& mine = operands(lane);
        const int group = lane >> 2, thread = lane % 4;
        for (int i = 0; i < shape.a_elements; ++i) {
            const Place at = shape.a(group, thread, i);
            a[at.row][at.column] = element(mine.a, i);
        }
        for (int i = 0; i < shape.b_elements; ++i) {
            const Place at = shape.b(group, thread, i);
            b[at.column][at.row] = element(mine.b, i);
        }
        if (is_uninitialised<T>(mine.d, static_cast<unsigned>(shape.c_elements))) {
            current = &lanes[lane];
            fault("never written", current->waiting.pc, "%s adds to accumulators that nobody wrote", shape.name);
        }
        for (int i = 0; i < shape.c_elements; ++i) {
            const Place at = shape.c(group, thread, i);
            d[at.row][at.column] = static_cast<const T*>(mine.d)[i];
        }
    }
    for (int row = 0; row < shape.m; ++row) {
        for (int k = 0; k < shape.k; ++k) {
            for (int column = 0; column < shape.n; ++column) d[row][column] += a[row][k] * b[column][k];
        }
    }
    for (int lane = 0; lane < 32; ++lane) {
        for (int i = 0; i < shape.c_elements; ++i) {
            const Place at = shape.c(lane >> 2, lane % 4, i);
            static_cast<T*>(operands(lane).d)[i] = d[at.row][at.column];
        }
    }
    if (!trace_instruction(lanes, shape.name)) return;
    const int group = static_cast<int>(traced_lane()) >> 2, thread = static_cast<int>(traced_lane()) % 4;
    const auto tell = [&](char operand, int elements, Place (*place)(int, int, int), auto value) {
        for (int i = 0; i < elements; ++i) {
            const Place at = place(group, thread, i);
            trace_element(operand, at.row, at.column, value(at));
        }
    };
    tell('a', shape.a_elements, shape.a, [&](Place at) { return a[at.row][at.column]; });
    tell('b', shape.b_elements, shape.b, [&](Place at) { return b[at.column][at.row]; });
    tell('d', shape.c_elements, shape.c, [&](Place at) { return d[at.row][at.column]; });
}

static void perform_mma(Fiber* lanes, uint32_t) {
    const Shape& shape = *static_cast<MmaOperands*>(lanes[0].waiting.operands)->shape;
    for (int lane = 1; lane < 32; ++lane) {
        const Shape* other = static_cast<MmaOperands*>(lanes[lane].waiting.operands)->shape;
        if (other == &shape) continue;
        current = &lanes[lane];
        fault("missing lanes", lanes[lane].waiting.pc, "this lane is at %s, lane 0 at %s", other->name, shape.name);
    }
    if (shape.element_bits == 8) {
        multiply<int>(lanes, shape, integer_element);
    } else {
        const int bits = shape.element_bits;
        multiply<float>(lanes, shape, [bits](const uint32_t* registers, int i) { return float_element(registers, i, bits); });
    }
}

void mma(Mma which, void* d, const uint32_t* a, const uint32_t* b) {
    const Shape& shape = kShapes[static_cast<int>(which)];
    MmaOperands operands{&shape, d, a, b};
    meet(shape.name, 0xffffffffu, perform_mma, &operands, CALLER);
}

}  // namespace emulator
