// What memory a kernel may touch, and what is known of each byte of it.
//
// Every access of a kernel comes through `access`: plain loads and stores by hooks.cpp, the rest from the
// wrappers. Each buffer lies in a mapping of its own with a wide unmapped zone on both sides, so that an index
// that is a little off never reaches another buffer and can be named after the nearest one.
#include <link.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "trace.hpp"

namespace emulator {

std::vector<Region> buffers;
Path path;
static std::vector<Region> dynamic_regions;  // one for each block of the cluster
static Region static_region;
struct Segment {
    uintptr_t begin, end;
};
static std::vector<Segment> constants;  // the executable's read-only segments: code and tables

constexpr uint64_t kGap = 16 << 20;
// Buffers begin on a multiple of 16 and of nothing more, as views inside an arena or a concatenation do.
constexpr uint64_t kOffset = 16;

Region& shared_dynamic(unsigned cta) { return dynamic_regions[cta]; }
Region& shared_static() { return static_region; }
void* dynamic_shared() { return reinterpret_cast<void*>(dynamic_regions[current->cta].begin); }
unsigned dynamic_shared_bytes() { return launch.shared_bytes; }

// The shared window of a block: 1 KiB that the system keeps, static variables, then dynamic memory on a multiple of
// 1 KiB; the block's rank in its cluster in the top byte.
constexpr uint32_t kWindow = 1 << 10;
static uint32_t dynamic_window() {
    const auto bytes = static_cast<uint32_t>(static_region.end - static_region.begin);
    return kWindow + (bytes + kWindow - 1) / kWindow * kWindow;
}

uint32_t shared_address(const void* shared) {
    const auto address = reinterpret_cast<uintptr_t>(shared);
    if (static_region.begin <= address && address < static_region.end) {
        return kWindow + static_cast<uint32_t>(address - static_region.begin);
    }
    for (unsigned cta = 0; cta < dynamic_regions.size(); ++cta) {
        const Region& region = dynamic_regions[cta];
        if (region.begin <= address && address <= region.end) {
            return cta << 24 | (dynamic_window() + static_cast<uint32_t>(address - region.begin));
        }
    }
    fault("wrong memory space", CALLER, "a shared-memory address is wanted, got %s", describe_address(address).c_str());
}

uintptr_t from_shared_address(uint32_t address, unsigned cta) {
    if (address < dynamic_window()) return static_region.begin + (address - kWindow);
    return dynamic_regions[cta].begin + (address - dynamic_window());
}

void* mapa(const void* shared, uint32_t rank) {
    const auto address = reinterpret_cast<uintptr_t>(shared);
    if (rank >= cluster_blocks) fault("out of bounds", CALLER, "mapa to block %u of a cluster of %u", rank, cluster_blocks);
    const Region& mine = dynamic_regions[current->cta];
    if (address < mine.begin || address >= mine.end) {
        fault("wrong memory space", CALLER, "mapa takes an address in the block's dynamic shared memory, got %s",
              describe_address(address).c_str());
    }
    return reinterpret_cast<void*>(dynamic_regions[rank].begin + (address - mine.begin));
}

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
    if (tracing.on) region.touched = static_cast<uint8_t*>(calloc(bytes + 1, 1));
    region.read_only = read_only;
    region.constant = name == "Weights" || name == "Bias" || name == "Scales" ||
                      name.compare(0, 9, "Constant(") == 0;
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

static void set_up_shared(Region& region, const std::string& name) {
    const size_t bytes = region.end - region.begin;
    region.name = name;
    region.shared = true;
    region.known = new uint8_t[bytes + 1];
    region.readers = static_cast<uint8_t*>(calloc(bytes + 1, 1));
}

void set_up_memory() {
    dl_iterate_phdr(visit_object, nullptr);
    set_up_shared(static_region, "static shared memory");
    dynamic_regions.resize(cluster_blocks);
    for (unsigned cta = 0; cta < cluster_blocks; ++cta) {
        Region& region = dynamic_regions[cta];
        region.begin = map(launch.shared_bytes, 0);
        region.end = region.begin + launch.shared_bytes;
        region.cta = static_cast<int>(cta);
        set_up_shared(region, "dynamic shared memory" + (cluster_blocks > 1 ? " of block " + std::to_string(cta) : ""));
        region.origins = static_cast<Origin*>(calloc(launch.shared_bytes / 16 + 1, sizeof(Origin)));
    }
}

// Shared memory holds NaN (as f16, as f32) that nobody wrote.
static void forget(Region& region) {
    const size_t bytes = region.end - region.begin;
    std::memset(reinterpret_cast<void*>(region.begin), 0xff, bytes);
    std::memset(region.known, kNeverWritten, bytes);
    if (region.origins) std::memset(region.origins, 0, (bytes / 16 + 1) * sizeof(Origin));
}

void start_memory() {
    for (Region& region : dynamic_regions) forget(region);
    forget(static_region);
    start_races();
}

static bool inside(const Region& region, uintptr_t address) {
    return region.begin <= address && address < region.end;
}

Region* find_region(uintptr_t address) {
    const unsigned mine = current ? current->cta : 0;
    if (inside(dynamic_regions[mine], address)) return &dynamic_regions[mine];
    static size_t last = 0;
    if (last < buffers.size() && inside(buffers[last], address)) return &buffers[last];
    if (inside(static_region, address)) return &static_region;
    for (size_t i = 0; i < buffers.size(); ++i) {
        if (inside(buffers[i], address)) return &buffers[last = i];
    }
    for (Region& region : dynamic_regions) {
        if (inside(region, address)) return &region;
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
    for (const Region& region : dynamic_regions) {
        if (region.end != region.begin) consider(region);
    }
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
        // A kernel's parameters, where their address was taken.
        for (const Argument& argument : launch.arguments) {
            const auto begin = reinterpret_cast<uintptr_t>(argument.bytes);
            if (begin <= address && address + bytes <= begin + argument.size) return;
        }
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

// An access to the shared memory of another block of the cluster: that block must still be there.
static void check_neighbour(const Region& region, Access kind, uintptr_t address, Pc pc) {
    if (region.cta < 0 || region.cta == static_cast<int>(current->cta)) return;
    race_reach(region.cta, pc);
    if (!has_left(static_cast<unsigned>(region.cta))) return;
    fault("missing wait", pc, "%s of %s, whose threads have all returned: nothing makes them wait, such as a barrier of the "
          "cluster", word_for(kind), describe_address(address).c_str());
}

// What a read needs to be known of every byte it takes, and a write of those it replaces.
static void check_known(const Region& region, uintptr_t address, unsigned bytes, Access kind, Pc pc) {
    const uint8_t* known = region.known + (address - region.begin);
    for (unsigned i = 0; i < bytes; ++i) {
        if (known[i] == kWritten) continue;
        if (known[i] == kNeverWritten && kind != Access::Read && kind != Access::Atomic) continue;
        const std::string where = describe_address(address + i);
        if (known[i] == kBarrier) fault("wrong barrier", pc, "%s of %s, which is part of an mbarrier", word_for(kind), where.c_str());
        if (known[i] == kInFlight) {
            fault("missing wait", pc, "%s of %s, which an asynchronous copy has not delivered yet", word_for(kind),
                  where.c_str());
        }
        if (region.shared) return suspect(pc, std::string(word_for(kind)) + " of " + where + ", which nobody wrote");
        fault("never written", pc, "%s of %s, which nobody wrote", word_for(kind), where.c_str());
    }
    if (kind == Access::Read || !region.readers) return;
    for (unsigned i = 0; i < bytes; ++i) {
        if (!region.readers[address - region.begin + i]) continue;
        fault("missing wait", pc, "%s of %s, which a bulk copy or wgmma under way still reads", word_for(kind),
              describe_address(address + i).c_str());
    }
}

static void touch(Region& region, uintptr_t address, unsigned bytes, Access kind) {
    const uint8_t mark = kind == Access::Read ? 1 : kind == Access::Atomic ? 3 : 2;
    for (unsigned i = 0; i < bytes; ++i) region.touched[address - region.begin + i] |= mark;
}

void access(uintptr_t address, unsigned bytes, Access kind, Pc pc) {
    if (current->stack_begin <= address && address + bytes <= current->stack_end) {
        if (current->watched) check_registers(address, bytes, kind, pc);
        return;
    }
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
    if (region->shared) {
        check_neighbour(*region, kind, address, pc);
        race_check(*region, address, bytes, kind, pc);
        // A copy that arrives was told of when it was started.
        if (tracing.on && !(path == Path::AsyncCopy && kind == Access::Write)) trace_shared(*region, address, bytes, kind, pc);
    } else if (!region->constant && launch.dependent && !launch.beside && !current->background.waited) {
        require_wait(word_for(kind) + (" of " + describe_address(address)), pc);
    }
    check_known(*region, address, bytes, kind, pc);
    if (region->touched) touch(*region, address, bytes, kind);
    if (kind != Access::Write && kind != Access::AsyncWrite) region->bytes_read[static_cast<int>(path)] += bytes;
    if (kind == Access::Read) return;
    if (kind != Access::AsyncWrite) region->bytes_written[static_cast<int>(path)] += bytes;
    if (region->origins) std::memset(region->origins + (address - region->begin) / 16, 0, (bytes + 15) / 16 * sizeof(Origin));
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
