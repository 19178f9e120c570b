// Reads one launch from standard input, runs it, writes what became of the buffers to standard output.
// The form of both is program.rs's; all numbers are little-endian.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "trace.hpp"

namespace emulator {

static std::vector<char> read_input() {
    std::vector<char> bytes;
    size_t filled = 0;
    for (;;) {
        if (bytes.size() - filled < 1 << 20) bytes.resize(bytes.size() * 2 + (4 << 20));
        const ssize_t n = read(0, bytes.data() + filled, bytes.size() - filled);
        if (n < 0) fault("protocol", 0, "standard input cannot be read");
        if (n == 0) break;
        filled += static_cast<size_t>(n);
    }
    bytes.resize(filled);
    return bytes;
}

// Takes numbers and bytes off the front.
struct Reader {
    const std::vector<char>& bytes;
    size_t at = 0;
    const void* take(uint64_t count) {
        if (count > bytes.size() - at) fault("protocol", 0, "the launch description ends early");
        const void* here = bytes.data() + at;
        at += count;
        return here;
    }
    template <typename T>
    T number() {
        T value;
        std::memcpy(&value, take(sizeof value), sizeof value);
        return value;
    }
    Index index() {
        Index i{};
        i.x = number<uint32_t>(), i.y = number<uint32_t>(), i.z = number<uint32_t>();
        return i;
    }
};

static void read_buffers(Reader& input) {
    const auto count = input.number<uint32_t>();
    for (uint32_t i = 0; i < count; ++i) {
        const auto name_bytes = input.number<uint32_t>();
        const std::string name(static_cast<const char*>(input.take(name_bytes)), name_bytes);
        const bool read_only = input.number<uint32_t>() != 0;
        const auto bytes = input.number<uint64_t>();
        const void* data = input.take(bytes);
        const auto* known = static_cast<const uint8_t*>(input.take(bytes));
        add_buffer(name, data, known, bytes, read_only);
    }
}

// An argument is bytes by value (0), a pointer to a buffer (1; -1: null), or a tensor map (2): a buffer, an offset into it
// and a description whose first 8 bytes are for the address.
static void read_arguments(Reader& input) {
    const auto count = input.number<uint32_t>();
    if (count != entry.arguments) {
        fault("wrong arguments", 0, "%s takes %u arguments, the launch gives %u", entry.name, entry.arguments, count);
    }
    for (uint32_t i = 0; i < count; ++i) {
        const auto kind = input.number<uint32_t>();
        const bool pointer = kind == 1;
        if (pointer != entry.pointers[i]) {
            fault("wrong arguments", 0, "argument %u of %s is %s, the launch gives %s", i, entry.name,
                  entry.pointers[i] ? "a pointer" : "a value", pointer ? "a pointer" : "a value");
        }
        // Kept for the whole launch, aligned for any type.
        auto* slot = static_cast<char*>(aligned_alloc(128, 128));
        uint64_t size = sizeof(void*);
        if (pointer) {
            const auto buffer = input.number<int32_t>();
            if (buffer >= static_cast<int32_t>(buffers.size())) fault("protocol", 0, "no buffer %d", buffer);
            const uintptr_t address = buffer < 0 ? 0 : buffers[static_cast<size_t>(buffer)].begin;
            std::memcpy(slot, &address, sizeof address);
        } else {
            size = input.number<uint64_t>();
            if (size != entry.sizes[i]) {
                fault("wrong arguments", 0, "argument %u of %s has %llu bytes, the launch gives %llu", i, entry.name,
                      static_cast<unsigned long long>(entry.sizes[i]), static_cast<unsigned long long>(size));
            }
            const auto buffer = kind == 2 ? input.number<uint32_t>() : 0;
            const auto offset = kind == 2 ? input.number<uint64_t>() : 0;
            free(slot);
            slot = static_cast<char*>(aligned_alloc(128, (size + 127) / 128 * 128));
            std::memcpy(slot, input.take(size), size);
            if (kind == 2) {
                if (buffer >= buffers.size()) fault("protocol", 0, "no buffer %u", buffer);
                const uint64_t address = buffers[buffer].begin + offset;
                std::memcpy(slot, &address, sizeof address);
            }
        }
        launch.arguments.push_back({slot, size, pointer});
    }
}

static void run(unsigned threads, unsigned blocks) {
    create_fibers(threads, blocks);
    set_up_races();
    Index block{};
    for (block.z = 0; block.z < launch.grid.z; block.z += launch.cluster.z) {
        for (block.y = 0; block.y < launch.grid.y; block.y += launch.cluster.y) {
            for (block.x = 0; block.x < launch.grid.x; block.x += launch.cluster.x) run_cluster(block);
        }
    }
}

// The blocks of a cluster: 8 at most, whole ones only (CUDA C++ programming guide, "Thread Block Clusters"). Either the kernel
// says how many or the launch does.
static unsigned check_cluster(uint64_t threads) {
    const Index own = cluster_extent;
    Index& c = launch.cluster;
    if (own.x * own.y * own.z > 1) {
        if (c.x * c.y * c.z > 1) fault("wrong launch", 0, "clusters by the launch, of a kernel that has its own");
        c = own;
    }
    const unsigned blocks = c.x * c.y * c.z;
    if (blocks == 0 || blocks > 8 || launch.grid.x % c.x || launch.grid.y % c.y || launch.grid.z % c.z) {
        fault("wrong launch", 0, "clusters of (%u,%u,%u) blocks in a grid of (%u,%u,%u)", c.x, c.y, c.z, launch.grid.x,
              launch.grid.y, launch.grid.z);
    }
    if (blocks > 1 && (threads % kWarp || blocks * threads > kMaxWarps * kWarp)) {
        fault("wrong launch", 0, "the emulator takes clusters of whole warps, %u at most; got %u blocks of %llu threads",
              kMaxWarps, blocks, static_cast<unsigned long long>(threads));
    }
    return blocks;
}

// Bytes read and written by each path; and how many different ones, which is known while tracing.
static void write_traffic(const std::vector<const Region*>& regions) {
    uint64_t traffic[kPaths][2] = {};
    for (const Region* region : regions) {
        for (int path = 0; path < kPaths; ++path) {
            traffic[path][0] += region->bytes_read[path];
            traffic[path][1] += region->bytes_written[path];
        }
    }
    uint64_t touched[2] = {};
    for (const Region* region : regions) {
        for (size_t i = 0; region->touched && i < region->end - region->begin; ++i) {
            touched[0] += region->touched[i] & 1;
            touched[1] += region->touched[i] >> 1;
        }
    }
    write_all(traffic, sizeof traffic);
    write_all(touched, sizeof touched);
}

static void write_answer() {
    write_all("ok\n", 3);
    for (const Region& region : buffers) {
        write_traffic({&region});
        if (region.read_only) continue;
        const size_t bytes = region.end - region.begin;
        write_all(reinterpret_cast<const void*>(region.begin), bytes);
        write_all(region.known, bytes);
    }
    std::vector<const Region*> shared = {&shared_static()};
    for (unsigned cta = 0; cta < cluster_blocks; ++cta) shared.push_back(&shared_dynamic(cta));
    write_traffic(shared);
    const std::string trace = trace_report();
    const uint64_t length = trace.size();
    write_all(&length, sizeof length);
    write_all(trace.data(), trace.size());
}

}  // namespace emulator

int main() {
    using namespace emulator;
    const std::vector<char> bytes = read_input();
    Reader input{bytes};
    install_signal_handlers(input.number<uint32_t>());
    launch.grid = input.index();
    launch.block = input.index();
    launch.cluster = input.index();
    launch.shared_bytes = input.number<uint32_t>();
    launch.dependent = input.number<uint32_t>() != 0;
    launch.beside = input.number<uint32_t>() != 0;
    tracing.on = input.number<uint32_t>() != 0;
    tracing.block = input.index();
    tracing.thread = input.number<uint32_t>();
    tracing.most = input.number<uint64_t>();
    const uint64_t threads = uint64_t{launch.block.x} * launch.block.y * launch.block.z;
    const uint64_t blocks = uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
    if (threads == 0 || threads > 1024 || blocks == 0 || launch.grid.y > 65535 || launch.grid.z > 65535) {
        fault("wrong launch", 0, "%llu threads in each of %llu blocks (%u,%u,%u)",
              static_cast<unsigned long long>(threads), static_cast<unsigned long long>(blocks), launch.grid.x,
              launch.grid.y, launch.grid.z);
    }
    cluster_blocks = check_cluster(threads);
    set_up_memory();
    const size_t static_bytes = shared_static().end - shared_static().begin;
    if (static_bytes && cluster_blocks > 1) {
        fault("wrong launch", 0, "in clusters the emulator takes dynamic shared memory only; %zu bytes are static",
              static_bytes);
    }
    if (static_bytes > 48 << 10) {
        fault("wrong launch", 0, "%zu bytes of static shared memory; there are 49152 at most", static_bytes);
    }
    read_buffers(input);
    read_arguments(input);
    run(static_cast<unsigned>(threads), cluster_blocks);
    write_answer();
    return 0;
}
