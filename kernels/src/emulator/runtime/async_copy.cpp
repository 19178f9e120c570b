// cp.async and its groups. PTX ISA: "Data Movement and Conversion Instructions: Non-bulk copy".
//
// Bytes are read when the copy is started and reach shared memory only when the thread waits for their group.
// Until then the target counts as in flight: reading or writing it is a fault, which is how a missing wait shows.
#include <cstring>

#include "state.hpp"

namespace emulator {

void cp_async(void* shared, const void* global, unsigned bytes, unsigned source_bytes) {
    const Pc pc = CALLER;
    const auto to = reinterpret_cast<uintptr_t>(shared);
    require_alignment(shared, bytes, "cp.async to shared memory", pc);
    const Region* target = find_region(to);
    if (target && !target->shared) {
        fault("wrong memory space", pc, "cp.async writes to shared memory, got %s", describe_address(to).c_str());
    }
    Copy copy{to, bytes, {}};
    path = Path::AsyncCopy;
    if (source_bytes) {
        require_alignment(global, bytes, "cp.async from global memory", pc);
        access(reinterpret_cast<uintptr_t>(global), source_bytes, Access::Read, pc);
        std::memcpy(copy.data, global, source_bytes);
    }
    access(to, bytes, Access::AsyncWrite, pc);
    path = Path::Plain;
    current->open.push_back(copy);
}

void cp_async_commit() {
    current->groups.push_back(std::move(current->open));
    current->open.clear();
}

void cp_async_wait(unsigned pending) {
    const Pc pc = CALLER;
    path = Path::AsyncCopy;
    while (current->groups.size() > pending) {
        for (const Copy& copy : current->groups.front()) {
            Region& region = *find_region(copy.to);
            std::memset(region.known + (copy.to - region.begin), kWritten, copy.bytes);
            access(copy.to, copy.bytes, Access::Write, pc);
            std::memcpy(reinterpret_cast<void*>(copy.to), copy.data, copy.bytes);
        }
        current->groups.pop_front();
    }
    path = Path::Plain;
}

}  // namespace emulator
