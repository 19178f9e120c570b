// Reads one launch from standard input, runs it, writes what became of the buffers to standard output.
// The form of both is program.rs's; all numbers are little-endian.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "state.hpp"

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

// An argument is bytes by value, or a pointer to a buffer (-1: null).
static void read_arguments(Reader& input) {
    const auto count = input.number<uint32_t>();
    if (count != entry.arguments) {
        fault("wrong arguments", 0, "%s takes %u arguments, the launch gives %u", entry.name, entry.arguments, count);
    }
    for (uint32_t i = 0; i < count; ++i) {
        const bool pointer = input.number<uint32_t>() != 0;
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
            free(slot);
            slot = static_cast<char*>(aligned_alloc(128, (size + 127) / 128 * 128));
            std::memcpy(slot, input.take(size), size);
        }
        launch.arguments.push_back({slot, size, pointer});
    }
}

static void run(unsigned threads) {
    create_fibers(threads);
    set_up_races();
    Index block{};
    for (block.z = 0; block.z < launch.grid.z; ++block.z) {
        for (block.y = 0; block.y < launch.grid.y; ++block.y) {
            for (block.x = 0; block.x < launch.grid.x; ++block.x) run_block(block);
        }
    }
}

static void write_answer() {
    write_all("ok\n", 3);
    for (const Region& region : buffers) {
        const uint64_t traffic[2] = {region.bytes_read, region.bytes_written};
        write_all(traffic, sizeof traffic);
        if (region.read_only) continue;
        const size_t bytes = region.end - region.begin;
        write_all(reinterpret_cast<const void*>(region.begin), bytes);
        write_all(region.known, bytes);
    }
    const uint64_t traffic[2] = {shared_dynamic().bytes_read + shared_static().bytes_read,
                                 shared_dynamic().bytes_written + shared_static().bytes_written};
    write_all(traffic, sizeof traffic);
}

}  // namespace emulator

int main() {
    using namespace emulator;
    const std::vector<char> bytes = read_input();
    Reader input{bytes};
    install_signal_handlers(input.number<uint32_t>());
    launch.grid = input.index();
    launch.block = input.index();
    launch.shared_bytes = input.number<uint32_t>();
    const uint64_t threads = uint64_t{launch.block.x} * launch.block.y * launch.block.z;
    const uint64_t blocks = uint64_t{launch.grid.x} * launch.grid.y * launch.grid.z;
    if (threads == 0 || threads > 1024 || blocks == 0 || launch.grid.y > 65535 || launch.grid.z > 65535) {
        fault("wrong launch", 0, "%llu threads in each of %llu blocks (%u,%u,%u)",
              static_cast<unsigned long long>(threads), static_cast<unsigned long long>(blocks), launch.grid.x,
              launch.grid.y, launch.grid.z);
    }
    set_up_memory();
    const size_t static_bytes = shared_static().end - shared_static().begin;
    if (static_bytes > 48 << 10) {
        fault("wrong launch", 0, "%zu bytes of static shared memory; there are 49152 at most", static_bytes);
    }
    read_buffers(input);
    read_arguments(input);
    run(static_cast<unsigned>(threads));
    write_answer();
    return 0;
}
