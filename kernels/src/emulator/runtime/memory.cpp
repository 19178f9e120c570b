// What memory a kernel may touch, and what is known of each byte of it.
//
// Every access of a kernel comes through `access`: plain loads and stores by hooks.cpp, the rest from the
// wrappers. Each buffer lies in a mapping of its own with a wide unmapped zone on both sides, so that an index
// that is a little off never reaches another buffer and can be named after the nearest one.
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "state.hpp"

namespace emulator {

std::vector<Region> buffers;
static Region dynamic_region, static_region;
static std::vector<uint8_t> dynamic_known, static_known;
struct Segment {
    uintptr_t begin, end;
};
static std::vector<Segment> constants;  // the executable's read-only segments: code and tables

constexpr uint64_t kGap = 16 << 20;
// Buffers begin on a multiple of 16 and of nothing more, as views inside an arena or a concatenation do.
constexpr uint64_t kOffset = 16;

Region& shared_dynamic() { return dynamic_region; }
Region& shared_static() { return static_region; }
void* dynamic_shared() { return reinterpret_cast<void*>(dynamic_region.begin); }
unsigned dynamic_shared_bytes() { return launch.shared_bytes; }

// `bytes` of memory, `offset` behind the start of a page, with a gap before and after.
static uintptr_t map(uint64_t bytes, uint64_t offset) {
    const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    const uint64_t inside = (bytes + offset + page - 1) / page * page;
    void* base = mmap(nullptr, inside + 2 * kGap, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    char* start = static_cast<char*>(base) + kGap;
    if (base == MAP_FAILED || (inside && mprotect(start, inside, PROT_READ | PROT_WRITE))) {
        fault("resources", 0, "no memory for a buffer of %llu bytes", static_cast<unsigned long long>(bytes));
    }
    return reinterpret_cast<uintptr_t>(start) + offset;
}

void add_buffer(const std::string& name, const void* data, const uint8_t* known, uint64_t bytes, bool read_only) {
    Region region;
    region.name = name;
    region.begin = map(bytes, kOffset);
    region.end = region.begin + bytes;
    region.known = new uint8_t[bytes + 1];
    region.read_only = read_only;
    std::memcpy(reinterpret_cast<void*>(region.begin), data, bytes);
    std::memcpy(region.known, known, bytes);
    buffers.push_back(region);
}

// Finds the executable's constants and the segment of its thread-local variables, which are the block's static
// shared memory (cuda.hpp). The executable itself is the first object of the walk.
static int visit_object(dl_phdr_info* info, size_t, void*) {
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr)& segment = info->dlpi_phdr[i];
        const uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
        if (segment.p_type == PT_LOAD && !(segment.p_flags & PF_W)) {
            constants.push_back({begin, begin + segment.p_memsz});
        } else if (segment.p_type == PT_TLS && info->dlpi_tls_data) {
            static_region.begin = reinterpret_cast<uintptr_t>(info->dlpi_tls_data);
            static_region.end = static_region.begin + segment.p_memsz;
        }
    }
    return 1;
}

void set_up_memory() {
    dl_iterate_phdr(visit_object, nullptr);
    static_region.name = "static shared memory";
    static_region.shared = true;
    static_known.resize(static_region.end - static_region.begin + 1);
    static_region.known = static_known.data();
    dynamic_region.name = "dynamic shared memory";
    dynamic_region.shared = true;
    dynamic_region.begin = map(launch.shared_bytes, 0);
    dynamic_region.end = dynamic_region.begin + launch.shared_bytes;
    dynamic_known.resize(launch.shared_bytes + 1);
    dynamic_region.known = dynamic_known.data();
}

// Shared memory holds NaN (as f16, as f32) that nobody wrote.
void start_memory_of_block() {
    for (Region* region : {&dynamic_region, &static_region}) {
        const size_t bytes = region->end - region->begin;
        std::memset(reinterpret_cast<void*>(region->begin), 0xff, bytes);
        std::memset(region->known, kNeverWritten, bytes);
    }
    race_join(0xffffffffu);
}

static bool inside(const Region& region, uintptr_t address) {
    return region.begin <= address && address < region.end;
}

Region* find_region(uintptr_t address) {
    if (inside(dynamic_region, address)) return &dynamic_region;
    static size_t last = 0;
    if (last < buffers.size() && inside(buffers[last], address)) return &buffers[last];
    if (inside(static_region, address)) return &static_region;
    for (size_t i = 0; i < buffers.size(); ++i) {
        if (inside(buffers[i], address)) return &buffers[last = i];
    }
    return nullptr;
}

std::string describe_address(uintptr_t address) {
    char text[200];
    const auto place = [&](const Region& region) {
        const auto bytes = static_cast<unsigned long long>(region.end - region.begin);
        if (inside(region, address)) {
            std::snprintf(text, sizeof text, "byte %llu of %s",
                          static_cast<unsigned long long>(address - region.begin), region.name.c_str());
        } else if (address < region.begin) {
            std::snprintf(text, sizeof text, "%llu bytes before %s (%llu bytes)",
                          static_cast<unsigned long long>(region.begin - address), region.name.c_str(), bytes);
        } else {
            std::snprintf(text, sizeof text, "%llu bytes behind the end of %s (%llu bytes)",
                          static_cast<unsigned long long>(address - region.end), region.name.c_str(), bytes);
        }
    };
    const Region* nearest = nullptr;
    uint64_t best = kGap;
    const auto consider = [&](const Region& region) {
        const uint64_t distance = address < region.begin ? region.begin - address
                                  : address < region.end ? 0
                                                         : address - region.end;
        if (distance < best) best = distance, nearest = &region;
    };
    for (const Region& region : buffers) consider(region);
    if (dynamic_region.end != dynamic_region.begin) consider(dynamic_region);
    if (static_region.end != static_region.begin) consider(static_region);
    if (nearest) {
        place(*nearest);
    } else if (address < 1 << 20) {
        std::snprintf(text, sizeof text, "a null pointer plus %llu bytes", static_cast<unsigned long long>(address));
    } else {
        std::snprintf(text, sizeof text, "address %#llx, near no buffer", static_cast<unsigned long long>(address));
    }
    return text;
}

static const char* word_for(Access kind) {
    static const char* const words[] = {"read", "write", "atomic", "asynchronous write"};
    return words[static_cast<int>(kind)];
}

// Not a region: fine if it is the thread's own stack or a constant.
static void check_elsewhere(uintptr_t address, unsigned bytes, Access kind, Pc pc) {
    if (kind == Access::Read) {
        for (const Segment& segment : constants) {
            if (segment.begin <= address && address + bytes <= segment.end) return;
        }
    }
    for (const Fiber& fiber : fibers) {
        if (fiber.stack_begin <= address && address < fiber.stack_end) {
            fault("out of bounds", pc, "%s of %u bytes in the local memory of %s", word_for(kind), bytes,
                  name_of(fiber).c_str());
        }
    }
    fault("out of bounds", pc, "%s of %u bytes that begin %s", word_for(kind), bytes, describe_address(address).c_str());
}

// What a read needs to be known of every byte it takes.
static void check_known(const Region& region, uintptr_t address, unsigned bytes, Access kind, Pc pc) {
    const uint8_t* known = region.known + (address - region.begin);
    for (unsigned i = 0; i < bytes; ++i) {
        if (known[i] == kWritten) continue;
        const std::string where = describe_address(address + i);
        if (known[i] == kInFlight) {
            fault("missing wait", pc, "%s of %s, which an asynchronous copy has not delivered yet", word_for(kind),
                  where.c_str());
        }
        if (kind == Access::Read || kind == Access::Atomic) {
            if (region.shared) return suspect(pc, std::string(word_for(kind)) + " of " + where + ", which nobody wrote");
            fault("never written", pc, "%s of %s, which nobody wrote", word_for(kind), where.c_str());
        }
    }
}

void access(uintptr_t address, unsigned bytes, Access kind, Pc pc) {
    if (current->stack_begin <= address && address + bytes <= current->stack_end) return;
    Region* region = find_region(address);
    if (!region) return check_elsewhere(address, bytes, kind, pc);
    if (address + bytes > region->end) {
        fault("out of bounds", pc, "%s of %u bytes at %s, of which %llu lie behind its end", word_for(kind), bytes,
              describe_address(address).c_str(), static_cast<unsigned long long>(address + bytes - region->end));
    }
    if (region->read_only && kind != Access::Read) {
        fault("write to an input", pc, "%s of %u bytes at %s", word_for(kind), bytes,
              describe_address(address).c_str());
    }
    // First, because bytes in flight that another thread is about to fill unasked are a race of both.
    if (region->shared) race_check(*region, address, bytes, kind, pc);
    check_known(*region, address, bytes, kind, pc);
    if (kind != Access::Write && kind != Access::AsyncWrite) region->bytes_read += bytes;
    if (kind == Access::Read) return;
    region->bytes_written += bytes;
    std::memset(region->known + (address - region->begin), kind == Access::AsyncWrite ? kInFlight : kWritten, bytes);
}

void require_alignment(const void* address, unsigned alignment, const char* what, Pc pc) {
    if (reinterpret_cast<uintptr_t>(address) % alignment == 0) return;
    fault("misaligned", pc, "%s needs %u-byte alignment; %s is not so aligned", what, alignment,
          describe_address(reinterpret_cast<uintptr_t>(address)).c_str());
}

void atomic_access(void* address, unsigned bytes) {
    require_alignment(address, bytes, "an atomic", CALLER);
    access(reinterpret_cast<uintptr_t>(address), bytes, Access::Atomic, CALLER);
}
void peek(void* to, const void* from, unsigned bytes) { std::memcpy(to, from, bytes); }
void poke(void* to, const void* from, unsigned bytes) { std::memcpy(to, from, bytes); }

}  // namespace emulator
