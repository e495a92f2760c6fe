// The instruction sets of this machine, each made the current one in turn.
#pragma once

#include <stdexcept>
#include <vector>

#include "base/parallel.h"
#include "tensor/cpu.h"

namespace holdfast::reference {

inline std::vector<Isa> instruction_sets() {
  const Isa before = isa();
  std::vector<Isa> found;
  for (const Isa candidate : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    try {
      set_isa(candidate);
    } catch (const std::invalid_argument&) {
      break;
    }
    found.push_back(candidate);
  }
  set_isa(before);
  return found;
}

/// Puts back the instruction set and the number of threads at the end of a scope.
class KeepMachine {
 public:
  KeepMachine() = default;
  ~KeepMachine() {
    set_isa(isa_);
    set_thread_count(threads_);
  }
  KeepMachine(const KeepMachine&) = delete;
  KeepMachine& operator=(const KeepMachine&) = delete;

 private:
  Isa isa_ = isa();
  int threads_ = thread_count();
};

}  // namespace holdfast::reference
