// cp.async.bulk: who tells whom when bytes have come. PTX ISA: "Data Movement and Conversion Instructions: Bulk copy"
// and "Completion Mechanisms for Asynchronous Copy Operations". Boxes of tensors are in tensor_copy.cpp.
//
// A copy into shared memory reads its source when it is started, and arrives only when no thread can go on without it.
// Until then its target counts as in flight. A copy out of shared memory keeps what it reads from being written until
// its group is waited for.
#include <cstring>

#include "bulk_copy.hpp"

namespace emulator {

struct Arrival {
    std::vector<Piece> pieces;
    uintptr_t barrier;
    unsigned bytes;
    Pc pc;
};
static std::vector<Arrival> arrivals;

void start_arrival(std::vector<Piece> pieces, uintptr_t barrier, unsigned bytes, Pc pc) {
    const unsigned agent = mbarrier_agent(barrier, pc);
    for (const Piece& piece : pieces) proxy_write(piece.at, piece.bytes, agent, pc);
    arrivals.push_back({std::move(pieces), barrier, bytes, pc});
}

bool deliver_copies() {
    if (arrivals.empty()) return false;
    const std::vector<Arrival> due = std::move(arrivals);
    arrivals.clear();
    for (const Arrival& arrival : due) {
        for (const Piece& piece : arrival.pieces) {
            proxy_deliver(piece.at, piece.data, piece.bytes);
            Region& region = *find_region(piece.at);
            if (region.origins) region.origins[(piece.at - region.begin) / 16] = piece.origin;
        }
        mbarrier_complete(arrival.barrier, arrival.bytes);
    }
    return true;
}

// All threads have returned.
void end_copies() {
    if (!arrivals.empty()) {
        current = &fibers[0];
        fault("missing wait", arrivals.front().pc, "the block ends while a bulk copy to %s is under way",
              describe_address(arrivals.front().pieces.front().at).c_str());
    }
    for (Fiber& fiber : fibers) {
        current = &fiber;
        for (const BulkStore& store : fiber.background.stores) {
            if (!store.from.empty()) {
                fault("missing wait", store.pc, "the thread ends while its bulk copy from %s is under way",
                      describe_address(store.from.front().at).c_str());
            }
        }
        finish_stores(0, true, 0);
    }
}

// ---- Loads ---------------------------------------------------------------------------------------------------

static void check_bulk(const void* a, const void* b, uint32_t bytes, Pc pc) {
    require_alignment(a, 16, "cp.async.bulk", pc);
    require_alignment(b, 16, "cp.async.bulk", pc);
    if (bytes % 16) fault("misaligned", pc, "cp.async.bulk of %u bytes, no multiple of 16", bytes);
}

void cp_async_bulk_load(void* shared, const void* global, uint32_t bytes, uint64_t* barrier) {
    const Pc pc = CALLER;
    check_bulk(shared, global, bytes, pc);
    if (!bytes) return mbarrier_complete(reinterpret_cast<uintptr_t>(barrier), 0);
    const auto from = reinterpret_cast<uintptr_t>(global);
    const Region* source = find_region(from);
    if (source && source->shared) fault("wrong memory space", pc, "cp.async.bulk reads global memory, got %s", describe_address(from).c_str());
    path = Path::Bulk;
    access(from, bytes, Access::Read, pc);
    path = Path::Plain;
    start_arrival(pieces_of(reinterpret_cast<uintptr_t>(shared), global, bytes), reinterpret_cast<uintptr_t>(barrier), bytes, pc);
}

std::vector<Piece> pieces_of(uintptr_t to, const void* from, unsigned bytes) {
    std::vector<Piece> pieces((bytes + 15) / 16);
    for (size_t i = 0; i < pieces.size(); ++i) {
        Piece& piece = pieces[i];
        piece.at = to + 16 * i;
        piece.bytes = bytes - 16 * static_cast<unsigned>(i) < 16 ? bytes - 16 * static_cast<unsigned>(i) : 16;
        std::memcpy(piece.data, static_cast<const char*>(from) + 16 * i, piece.bytes);
    }
    return pieces;
}

// Both ends in the cluster's shared memory; the barrier is of the block that gets the bytes.
static void require_same_block(uintptr_t to, const uint64_t* barrier, const char* what, Pc pc) {
    const auto at = reinterpret_cast<uintptr_t>(barrier);
    if (find_region(to) == find_region(at)) return;
    fault("wrong memory space", pc, "%s to %s tells an mbarrier at %s; both must be of one block", what,
          describe_address(to).c_str(), describe_address(at).c_str());
}

void cp_async_bulk_cluster(void* to, const void* from, uint32_t bytes, uint64_t* barrier) {
    const Pc pc = CALLER;
    check_bulk(to, from, bytes, pc);
    require_same_block(reinterpret_cast<uintptr_t>(to), barrier, "cp.async.bulk", pc);
    path = Path::Bulk;
    proxy_read(reinterpret_cast<uintptr_t>(from), bytes, "cp.async.bulk", pc);
    path = Path::Plain;
    proxy_read_done({reinterpret_cast<uintptr_t>(from), bytes}, pc);
    start_arrival(pieces_of(reinterpret_cast<uintptr_t>(to), from, bytes), reinterpret_cast<uintptr_t>(barrier), bytes, pc);
}

void st_async(uint32_t* there, uint32_t value, uint64_t* barrier) {
    const Pc pc = CALLER;
    require_alignment(there, 4, "st.async", pc);
    require_same_block(reinterpret_cast<uintptr_t>(there), barrier, "st.async", pc);
    start_arrival(pieces_of(reinterpret_cast<uintptr_t>(there), &value, 4), reinterpret_cast<uintptr_t>(barrier), 4, pc);
}

// ---- Stores --------------------------------------------------------------------------------------------------

void start_store(BulkStore store, Pc pc) {
    path = Path::Bulk;
    for (const Span& span : store.from) proxy_read(span.at, span.bytes, "a bulk copy's read", pc);
    for (const Span& span : store.to) {
        access(span.at, span.bytes, Access::Write, pc);
        Region& region = *find_region(span.at);
        std::memset(region.known + (span.at - region.begin), kInFlight, span.bytes);
    }
    path = Path::Plain;
    store.pc = pc;
    store.group = current->background.stores_committed;
    current->background.stores.push_back(std::move(store));
}

void cp_async_bulk_store(void* global, const void* shared, uint32_t bytes) {
    const Pc pc = CALLER;
    check_bulk(global, shared, bytes, pc);
    if (!bytes) return;
    const Region* target = find_region(reinterpret_cast<uintptr_t>(global));
    if (target && target->shared) fault("wrong memory space", pc, "cp.async.bulk writes global memory, got %s", target->name.c_str());
    const auto* data = static_cast<const unsigned char*>(shared);
    const auto from = reinterpret_cast<uintptr_t>(shared);
    BulkStore store;
    store.from = {{from, bytes}};
    store.to = {{reinterpret_cast<uintptr_t>(global), bytes}};
    // Copied behind the checks of start_store, which comes first for that reason.
    start_store(std::move(store), pc);
    current->background.stores.back().data.assign(data, data + bytes);
}

void cp_async_bulk_commit() { current->background.stores_committed += 1; }

// Groups up to `pending` from the youngest are left; `whole`: written, too, not only read.
void finish_stores(uint64_t pending, bool whole, Pc pc) {
    Background& mine = current->background;
    std::vector<BulkStore> left;
    for (BulkStore& store : mine.stores) {
        if (pc && store.group + pending >= mine.stores_committed) {
            left.push_back(std::move(store));
            continue;
        }
        for (const Span& span : store.from) proxy_read_done(span, pc);
        store.from.clear();
        if (!whole) {
            left.push_back(std::move(store));
            continue;
        }
        size_t at = 0;
        for (const Span& span : store.to) {
            Region& region = *find_region(span.at);
            std::memcpy(reinterpret_cast<void*>(span.at), store.data.data() + at, span.bytes);
            std::memset(region.known + (span.at - region.begin), kWritten, span.bytes);
            at += span.bytes;
        }
    }
    mine.stores = std::move(left);
}

void cp_async_bulk_wait(unsigned pending, bool read_only) { finish_stores(pending, !read_only, CALLER); }

}  // namespace emulator
