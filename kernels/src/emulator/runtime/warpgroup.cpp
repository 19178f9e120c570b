// What the four warps of a warpgroup must do alike, and the registers they share out. PTX ISA: "Warpgroup",
// "setmaxnreg".
#include "warpgroup.hpp"

namespace emulator {

// The instructions of a warpgroup, as the first warp to come executed them; how far each warp has got.
struct Step {
    const char* name;
    uint64_t operands;
    Pc pc;
    unsigned warp;
};
struct Group {
    std::vector<Step> steps;
    size_t done[4] = {};
    unsigned registers = 0;
};
static std::vector<Group> groups;

void start_warpgroups() { groups.assign(cluster_blocks * ((block_warps + 3) / 4), Group{}); }

static unsigned index_of(const Fiber& fiber) {
    return fiber.cta * ((block_warps + 3) / 4) + (fiber.warp - fiber.cta * block_warps) / 4;
}

unsigned warp_in_group(const Fiber& fiber) { return (fiber.warp - fiber.cta * block_warps) % 4; }

// The warps of a group run one after another here, so each is held to what the first of them did.
void agree(Fiber* lanes, const char* name, uint64_t operands) {
    const unsigned warp = lanes->warp - lanes->cta * block_warps;
    const Pc pc = lanes->waiting.pc;
    if (warp / 4 * 4 + 4 > block_warps) {
        current = lanes;
        fault("missing lanes", pc, "%s in warp %u, whose warpgroup is not complete: the block has %u warps", name, warp, block_warps);
    }
    Group& group = groups[index_of(*lanes)];
    size_t& done = group.done[warp % 4];
    if (done == group.steps.size()) group.steps.push_back({name, operands, pc, lanes->warp});
    const Step& step = group.steps[done++];
    if (step.operands == operands && std::string(step.name) == name) return;
    current = lanes;
    also(step.pc, &fibers[step.warp * kWarp], "other instruction");
    fault("missing lanes", pc, "%s, where another warp of the warpgroup executed %s%s", name, step.name,
          std::string(step.name) == name ? " with other operands" : "");
}

void end_warpgroups() {
    uint64_t registers = 0;
    for (size_t g = 0; g < groups.size(); ++g) {
        const Group& group = groups[g];
        registers += group.registers * 128;
        if ((g + 1) % ((block_warps + 3) / 4) == 0) {
            if (registers > 65536) {
                fault("wrong launch", 0, "setmaxnreg leaves the block %llu registers; a multiprocessor has 65536",
                      static_cast<unsigned long long>(registers));
            }
            registers = 0;
        }
        for (unsigned w = 0; w < 4; ++w) {
            if (group.done[w] == group.steps.size()) continue;
            const Step& step = group.steps[group.done[w]];
            current = &fibers[step.warp * kWarp];
            fault("missing lanes", step.pc, "%s is executed by one warp of the warpgroup, but warp %u of it never comes", step.name, w);
        }
    }
}

struct RegisterOperands {
    unsigned count;
    bool increase;
};

static void perform_setmaxnreg(Fiber* lanes, uint32_t) {
    const auto& wanted = *static_cast<RegisterOperands*>(lanes[0].waiting.operands);
    agree(lanes, wanted.increase ? "setmaxnreg.inc" : "setmaxnreg.dec", wanted.count);
    Group& group = groups[index_of(*lanes)];
    if (group.registers && group.registers != wanted.count && (group.registers < wanted.count) != wanted.increase) {
        current = lanes;
        fault("wrong launch", lanes->waiting.pc, "setmaxnreg.%s to %u registers; the warpgroup has %u",
              wanted.increase ? "inc" : "dec", wanted.count, group.registers);
    }
    group.registers = wanted.count;
}

void setmaxnreg(unsigned count, bool increase) {
    const Pc pc = CALLER;
    if (count < 24 || count > 256 || count % 8) {
        fault("wrong launch", pc, "setmaxnreg to %u registers; multiples of 8 from 24 to 256 may be", count);
    }
    RegisterOperands operands{count, increase};
    meet("setmaxnreg", 0xffffffffu, perform_setmaxnreg, &operands, pc);
}

}  // namespace emulator
