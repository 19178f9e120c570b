// Shuffles and votes. PTX ISA: "Data Movement and Conversion Instructions: shfl.sync" and "Parallel
// Synchronization and Communication Instructions: vote.sync, match.sync, redux.sync, bar.warp.sync".
#include "state.hpp"

namespace emulator {

void sync_warp(uint32_t mask) {
    meet("__syncwarp", mask, [](Fiber* lanes, uint32_t) { race_join(WarpSet().set(lanes->warp)); }, nullptr, CALLER);
}

struct ShuffleOperands {
    Shuffle mode;
    uint64_t value, result;
    uint32_t argument, width;
};

static void perform_shuffle(Fiber* lanes, uint32_t mask) {
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
        const int lane = __builtin_ctz(rest);
        auto& mine = *static_cast<ShuffleOperands*>(lanes[lane].waiting.operands);
        const int width = static_cast<int>(mine.width);
        const int segment = lane & ~(width - 1);
        const int argument = static_cast<int>(mine.argument);
        int source = lane;
        switch (mine.mode) {
            case Shuffle::Index: source = segment | (argument & (width - 1)); break;
            case Shuffle::Up: source = lane - argument < segment ? lane : lane - argument; break;
            case Shuffle::Down: source = lane + argument >= segment + width ? lane : lane + argument; break;
            case Shuffle::Xor: source = (lane ^ argument) >= segment + width ? lane : lane ^ argument; break;
        }
        if (!(mask >> source & 1)) {
            current = &lanes[lane];
            fault("missing lanes", lanes[lane].waiting.pc, "a shuffle with mask %08x reads lane %d, which is not in it",
                  mask, source);
        }
        mine.result = static_cast<ShuffleOperands*>(lanes[source].waiting.operands)->value;
    }
}

uint64_t shuffle(Shuffle mode, uint32_t mask, uint64_t value, uint32_t argument, uint32_t width) {
    static const char* const names[] = {"__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync"};
    ShuffleOperands operands{mode, value, 0, argument, width};
    meet(names[static_cast<int>(mode)], mask, perform_shuffle, &operands, CALLER);
    return operands.result;
}

struct VoteOperands {
    uint64_t value;
    uint32_t result;
};
// What lane i of the mask brought.
static VoteOperands& vote_of(Fiber* lanes, int lane) { return *static_cast<VoteOperands*>(lanes[lane].waiting.operands); }

uint32_t ballot(uint32_t mask, bool predicate) {
    VoteOperands operands{predicate, 0};
    const auto perform = [](Fiber* lanes, uint32_t mask) {
        uint32_t votes = 0;
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            const int lane = __builtin_ctz(rest);
            votes |= static_cast<uint32_t>(vote_of(lanes, lane).value) << lane;
        }
        for (uint32_t rest = mask; rest; rest &= rest - 1) vote_of(lanes, __builtin_ctz(rest)).result = votes;
    };
    meet("vote", mask, perform, &operands, CALLER);
    return operands.result;
}

uint32_t match_any(uint32_t mask, uint64_t value) {
    VoteOperands operands{value, 0};
    const auto perform = [](Fiber* lanes, uint32_t mask) {
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            VoteOperands& mine = vote_of(lanes, __builtin_ctz(rest));
            for (uint32_t others = mask; others; others &= others - 1) {
                const int lane = __builtin_ctz(others);
                if (vote_of(lanes, lane).value == mine.value) mine.result |= 1u << lane;
            }
        }
    };
    meet("__match_any_sync", mask, perform, &operands, CALLER);
    return operands.result;
}

uint32_t reduce_add(uint32_t mask, uint32_t value) {
    VoteOperands operands{value, 0};
    const auto perform = [](Fiber* lanes, uint32_t mask) {
        uint32_t sum = 0;
        for (uint32_t rest = mask; rest; rest &= rest - 1) {
            sum += static_cast<uint32_t>(vote_of(lanes, __builtin_ctz(rest)).value);
        }
        for (uint32_t rest = mask; rest; rest &= rest - 1) vote_of(lanes, __builtin_ctz(rest)).result = sum;
    };
    meet("__reduce_add_sync", mask, perform, &operands, CALLER);
    return operands.result;
}

// Which lane is chosen is up to the hardware; a kernel must be right whichever it is, so not the obvious one.
bool elect(uint32_t mask) {
    meet("elect.sync", mask, [](Fiber*, uint32_t) {}, nullptr, CALLER);
    return current->lane == 31u - static_cast<unsigned>(__builtin_clz(mask));
}

// The hardware may answer any set of lanes that happen to run together; a kernel must be right whatever it is,
// so the answer is the least helpful one.
uint32_t active_mask() { return 1u << current->lane; }

}  // namespace emulator
