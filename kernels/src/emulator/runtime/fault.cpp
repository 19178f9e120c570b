// How a fault is told: as lines of text to the parent, which finds the source lines and words.
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "state.hpp"

namespace emulator {

static std::string second_place;

std::string name_of(const Fiber& fiber) {
    char text[120];
    const int length = std::snprintf(text, sizeof text, "thread (%u,%u,%u)", fiber.thread.x, fiber.thread.y, fiber.thread.z);
    const Index& b = fiber.block;
    if (cluster_blocks > 1) {
        std::snprintf(text + length, sizeof text - static_cast<size_t>(length), " of block (%u,%u,%u)", b.x, b.y, b.z);
    }
    return text;
}

void also(Pc pc, const Fiber* fiber, const char* role) {
    char text[240];
    std::snprintf(text, sizeof text, "also %llx %s of %s\n", static_cast<unsigned long long>(pc), role,
                  name_of(*fiber).c_str());
    second_place = text;
}

void write_all(const void* data, size_t bytes) {
    const char* at = static_cast<const char*>(data);
    while (bytes) {
        const ssize_t n = write(1, at, bytes);
        if (n <= 0) _exit(4);
        at += n;
        bytes -= static_cast<size_t>(n);
    }
}

struct Suspicion {
    Pc pc = 0;
    Fiber* fiber = nullptr;
    std::string message;
};
static Suspicion suspicion;

void suspect(Pc pc, const std::string& message) {
    if (!suspicion.fiber) suspicion = {pc, current, message};
}

void confirm_suspicion() {
    if (!suspicion.fiber) return;
    const Suspicion confirmed = suspicion;
    suspicion = Suspicion{};
    current = confirmed.fiber;
    second_place.clear();
    fault("never written", confirmed.pc, "%s", confirmed.message.c_str());
}

void fault(const char* kind, Pc pc, const char* format, ...) {
    // Whatever goes wrong after a read of garbage is likely to come of it, but a race or a wait that is missing explains the read itself.
    if (std::strcmp(kind, "data race") != 0 && std::strcmp(kind, "missing wait") != 0) confirm_suspicion();
    char message[600];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    char report[1200];
    int length = std::snprintf(report, sizeof report, "fault\nkind %s\nmessage %s\n", kind, message);
    if (current) {
        const Index& b = current->block;
        const Index& t = current->thread;
        length += std::snprintf(report + length, sizeof report - static_cast<size_t>(length),
                                "block %u %u %u\nthread %u %u %u\npc %llx\n", b.x, b.y, b.z, t.x, t.y, t.z,
                                static_cast<unsigned long long>(pc));
    }
    write_all(report, static_cast<size_t>(length));
    write_all(second_place.data(), second_place.size());
    _exit(3);
}

void trap(const char* message) { fault("trap", CALLER, "%s", message); }

static Pc interrupted_at(void* context) {
    const auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    return static_cast<Pc>(machine.gregs[REG_RIP]) + 1;
#elif defined(__aarch64__)
    return static_cast<Pc>(machine.pc) + 1;
#else
    (void)machine;
    return 0;
#endif
}

static void on_signal(int number, siginfo_t* info, void* context) {
    const Pc pc = interrupted_at(context);
    if (number == SIGALRM) fault("no progress", pc, "the launch runs for too long; this thread was running");
    const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
    if (number == SIGFPE) fault("division by zero", pc, "integer division by zero or overflow");
    if (current && address < current->stack_begin && current->stack_begin - address <= 8192) {
        fault("stack overflow", pc, "the thread's local memory is larger than the emulator's stacks");
    }
    fault("out of bounds", pc, "access outside of all mappings (signal %d): %s", number,
          describe_address(address).c_str());
}

void install_signal_handlers(unsigned seconds) {
    static char stack[64 << 10];
    stack_t alternate{};
    alternate.ss_sp = stack;
    alternate.ss_size = sizeof stack;
    sigaltstack(&alternate, nullptr);
    struct sigaction action {};
    action.sa_sigaction = on_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) sigaction(number, &action, nullptr);
    alarm(seconds);
}

}  // namespace emulator
