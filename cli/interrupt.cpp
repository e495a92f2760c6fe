#include "cli/interrupt.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <string_view>

#include "cli/command.h"

namespace holdfast::cli {
namespace {

std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free);

// One keystroke may arrive twice, at a program and at its group: a second signal within a second is
// taken for the same.
std::atomic<std::int64_t> first{0};
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

std::int64_t milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

extern "C" void on_signal(int) {
  if (stop.exchange(true)) {
    if (milliseconds() - first > 1000) _exit(kInterrupted);
    return;
  }
  first = milliseconds();
  constexpr std::string_view text =
      "\nholdfast: stopping after this step and saving; once more ends at once\n";
  if (write(STDERR_FILENO, text.data(), text.size()) < 0) return;
}

void install(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

Interrupt::Interrupt() {
  stop = false;
  install(on_signal);
}

Interrupt::~Interrupt() { install(SIG_DFL); }

const std::atomic<bool>* Interrupt::flag() const { return &stop; }

}  // namespace holdfast::cli
