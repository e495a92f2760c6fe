#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <string_view>

#include "cli/command.h"

namespace holdfast::cli {
namespace {

std::atomic<bool> stop{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_signal(int) {
  if (stop.exchange(true)) _exit(kInterrupted);
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
