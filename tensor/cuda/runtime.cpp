#include "tensor/cuda/runtime.h"

#include <atomic>

#include "tensor/cuda/built_in.h"

namespace holdfast::cuda {
namespace {

std::atomic<const Runtime*>& in_use() {
  static std::atomic<const Runtime*> runtime{built_in()};
  return runtime;
}

}  // namespace

const Runtime* runtime() { return in_use().load(std::memory_order_acquire); }

void use_runtime(const Runtime* runtime) {
  in_use().store(runtime != nullptr ? runtime : built_in(), std::memory_order_release);
}

}  // namespace holdfast::cuda
