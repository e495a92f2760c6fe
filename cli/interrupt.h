// Ctrl-C: the first asks a run to stop after its step, the second ends the program at once.
#pragma once

#include <atomic>

namespace holdfast::cli {

/// Takes over SIGINT and SIGTERM until destroyed.
class Interrupt {
 public:
  Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;
  ~Interrupt();
  const std::atomic<bool>* flag() const;
};

}  // namespace holdfast::cli
