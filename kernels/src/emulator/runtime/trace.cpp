// What one block does, for `limpid emulate`: how its shared-memory accesses meet the banks, and what each tensor-core
// instruction of one of its threads held.
//
// Threads run one after another here, so the lanes that a GPU would serve together are found by counting: the k-th time
// that a lane of a warp comes to an instruction belongs to the k-th time of its other lanes. Banks: 32 of 4 bytes;
// accesses of 4 bytes and less are served 32 lanes at a time, of 8 bytes 16, of 16 bytes (and rows of ldmatrix and
// stmatrix) 8; lanes that want the same word share it (CUDA C++ programming guide, "Shared Memory").
#include <algorithm>
#include <cstdio>
#include <map>

#include "trace.hpp"

namespace emulator {

TraceRequest tracing;
static std::string instructions;
static uint64_t instruction_count, instructions_told;

// One warp's accesses at one place: for each time, the addresses of its lanes (0: that lane was not there).
struct Times {
    std::vector<std::array<uint32_t, kWarp>> addresses;
    std::array<uint32_t, kWarp> count{};
};
struct Place {
    Pc pc;
    bool write;
    unsigned bytes;
    bool operator<(const Place& o) const { return std::tie(pc, write, bytes) < std::tie(o.pc, o.write, o.bytes); }
};
static std::map<Place, std::vector<Times>> places;

static bool is_traced(const Fiber& fiber) {
    const Index &b = fiber.block, &t = tracing.block;
    return tracing.on && b.x == t.x && b.y == t.y && b.z == t.z;
}

void trace_shared(const Region& region, uintptr_t address, unsigned bytes, Access kind, Pc pc) {
    if (!is_traced(*current) || bytes > 16) return;
    std::vector<Times>& warps_here = places[{pc, kind != Access::Read, bytes}];
    if (warps_here.empty()) warps_here.resize(warps.size());
    Times& times = warps_here[current->warp];
    const uint32_t time = times.count[current->lane]++;
    if (times.addresses.size() <= time) times.addresses.resize(time + 1);
    // 1 more, since 0 says that nobody came; dynamic memory begins at bank 0.
    times.addresses[time][current->lane] = static_cast<uint32_t>(address - region.begin) + 1;
}

// How often shared memory is asked for lanes [first, first + count): the most words that one bank must give.
static unsigned transactions(const std::array<uint32_t, kWarp>& addresses, unsigned first, unsigned count, unsigned bytes) {
    std::vector<uint32_t> words;
    for (unsigned lane = first; lane < first + count; ++lane) {
        if (!addresses[lane]) continue;
        const uint32_t begin = addresses[lane] - 1;
        for (uint32_t word = begin / 4; word <= (begin + bytes - 1) / 4; ++word) words.push_back(word);
    }
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    unsigned of_bank[32] = {}, most = 0;
    for (const uint32_t word : words) most = std::max(most, ++of_bank[word % 32]);
    return most;
}

static void add(std::string& text, const char* format, ...) {
    char line[200];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    text += line;
}

std::string trace_report() {
    std::string text;
    if (!tracing.on) return text;
    for (const auto& [place, warps_here] : places) {
        const unsigned together = place.bytes <= 4 ? 32 : place.bytes == 8 ? 16 : 8;
        uint64_t requests = 0, taken = 0, least = 0;
        for (const Times& times : warps_here) {
            for (const auto& addresses : times.addresses) {
                ++requests;
                for (unsigned first = 0; first < kWarp; first += together) {
                    const unsigned needed = transactions(addresses, first, together, place.bytes);
                    taken += needed;
                    least += needed > 0;
                }
            }
        }
        add(text, "shared %llx %s %u %llu %llu %llu\n", static_cast<unsigned long long>(place.pc), place.write ? "write" : "read",
            place.bytes, static_cast<unsigned long long>(requests), static_cast<unsigned long long>(taken),
            static_cast<unsigned long long>(least));
    }
    add(text, "instructions %llu\n", static_cast<unsigned long long>(instruction_count));
    return text + instructions;
}

bool trace_instruction(const Fiber* lanes, const char* name) {
    if (!is_traced(lanes[0])) return false;
    const unsigned first = (lanes[0].warp - lanes[0].cta * block_warps) * kWarp;
    if (tracing.thread < first || tracing.thread >= first + kWarp) return false;
    ++instruction_count;
    if (instructions_told >= tracing.most) return false;
    ++instructions_told;
    add(instructions, "tensor %llx %s\n", static_cast<unsigned long long>(lanes[0].waiting.pc), name);
    return true;
}

unsigned traced_lane() { return tracing.thread % kWarp; }

void trace_element(char operand, int row, int column, double value) {
    add(instructions, "%c %d %d %.9g\n", operand, row, column, value);
}

}  // namespace emulator
