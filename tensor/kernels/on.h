// The functions of an operation, of the device that it runs on.
#pragma once

#include "base/parallel.h"
#include "tensor/cuda/runtime.h"
#include "tensor/device.h"
#include "tensor/kernels/dispatch.h"

namespace holdfast::kernels {

/// best<Table>(), or the operations of a GPU (tensor/cuda/operations.h), to which this thread's
/// work goes from here on.
template <class Table>
const Table& on(Device device) {
  return device.is_cuda() ? cuda::table<Table>(device.cuda) : best<Table>();
}

/// parallel_for() on the CPU; a GPU gets all n at once, as body(0, n), and is its own judge of how
/// to share them.
template <class Body>
void over(Device device, std::int64_t n, std::int64_t grain, Body&& body) {
  if (!device.is_cuda()) {
    parallel_for(n, grain, body);
  } else if (n > 0) {
    body(std::int64_t{0}, n);
  }
}

}  // namespace holdfast::kernels
