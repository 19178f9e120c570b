// Accesses of the asynchronous proxy: bulk copies and wgmma on shared memory. PTX ISA: "Async proxy".
#include <cstring>

#include "state.hpp"

namespace emulator {

static Region& shared_region(uintptr_t address, unsigned bytes, const char* what, Pc pc) {
    Region* region = find_region(address);
    if (!region) fault("out of bounds", pc, "%s of %u bytes that begin %s", what, bytes, describe_address(address).c_str());
    if (!region->shared) {
        fault("wrong memory space", pc, "%s is of shared memory, got %s", what, describe_address(address).c_str());
    }
    if (address + bytes > region->end) {
        fault("out of bounds", pc, "%s of %u bytes at %s, of which %llu lie behind its end", what, bytes,
              describe_address(address).c_str(), static_cast<unsigned long long>(address + bytes - region->end));
    }
    return *region;
}

void proxy_read(uintptr_t address, unsigned bytes, const char* what, Pc pc) {
    Region& region = shared_region(address, bytes, what, pc);
    const Path before = path;
    // The tag of where the bytes came from outlives a read.
    access(address, bytes, Access::Read, pc);
    path = before;
    race_require_fence(region, address, bytes, what, pc);
    for (unsigned i = 0; i < bytes; ++i) region.readers[address - region.begin + i] += 1;
}

// The read ends now, so that whoever writes next must be ordered behind the wait, not only behind the start.
void proxy_read_done(const Span& span, Pc pc) {
    Region& region = *find_region(span.at);
    for (unsigned i = 0; i < span.bytes; ++i) region.readers[span.at - region.begin + i] -= 1;
    race_check(region, span.at, span.bytes, Access::Read, pc);
}

void proxy_write(uintptr_t address, unsigned bytes, unsigned agent, Pc pc) {
    Region& region = shared_region(address, bytes, "a bulk copy's write", pc);
    uint8_t* known = region.known + (address - region.begin);
    for (unsigned i = 0; i < bytes; ++i) {
        if (known[i] == kBarrier) {
            fault("wrong barrier", pc, "a bulk copy writes %s, which is part of an mbarrier",
                  describe_address(address + i).c_str());
        }
        if (region.readers[address - region.begin + i]) {
            fault("missing wait", pc, "a bulk copy writes %s, which another bulk copy or wgmma under way still reads",
                  describe_address(address + i).c_str());
        }
        if (known[i] == kInFlight) {
            fault("data race", pc, "two asynchronous copies write %s", describe_address(address + i).c_str());
        }
    }
    race_require_fence(region, address, bytes, "a bulk copy's write", pc);
    race_write_by(region, address, bytes, agent, pc);
    std::memset(known, kInFlight, bytes);
}

void proxy_deliver(uintptr_t address, const void* data, unsigned bytes) {
    Region& region = *find_region(address);
    std::memcpy(reinterpret_cast<void*>(address), data, bytes);
    std::memset(region.known + (address - region.begin), kWritten, bytes);
    region.bytes_written[static_cast<int>(Path::Bulk)] += bytes;
}

void fence_proxy_async() { race_fence(); }

}  // namespace emulator
