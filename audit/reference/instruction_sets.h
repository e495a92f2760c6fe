// The sets of kernels that this machine runs, each made the current one in turn.
#pragma once

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/parallel.h"
#include "tensor/cpu.h"

namespace holdfast::reference {

inline std::vector<Isa> instruction_sets() {
  std::vector<Isa> found;
  std::copy_if(std::begin(kIsas), std::end(kIsas), std::back_inserter(found), supported);
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
