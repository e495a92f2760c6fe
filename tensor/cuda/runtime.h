// What holdfast asks of CUDA, in plain C++: memory that host and device both read, kernels in one
// order, waiting. tensor/cuda/runtime.cu implements it, where a build has CUDA; tests bring one
// that runs every kernel on the CPU (tests/cuda/simulation.h).
#pragma once

#include <cstdint>
#include <string>

#include "tensor/cuda/operations.h"

namespace holdfast::cuda {

struct DeviceFacts {
  std::string name;
  std::int64_t memory_bytes = 0;
  int major = 0, minor = 0;  // compute capability
};

/// Everything that is ordered (kernels, zero, copy) runs on a device after what was asked of it
/// before, while the caller goes on. Functions throw std::runtime_error with CUDA's own words.
struct Runtime {
  /// Why this device, of those that there are, cannot be used; or why there is none. Empty: it can.
  std::string (*missing)(int device);
  int (*device_count)();
  DeviceFacts (*facts)(int device);
  /// Versions of driver, runtime and cuBLASLt, for ledgers and `info`.
  std::string (*description)();
  /// Managed memory, 256-byte aligned, contents unspecified: the host may read and write it
  /// whenever the device is done with what was asked of it. Null when there is not enough: of
  /// managed memory CUDA gives more than a device has, and moves it to and fro.
  void* (*allocate)(int device, std::int64_t bytes);
  /// Waits first. `bytes` as when it was allocated.
  void (*release)(int device, void* memory, std::int64_t bytes);
  /// The host's memory, from which copy() reads in order while the caller goes on. Null when there
  /// is not enough.
  void* (*allocate_pinned)(int device, std::int64_t bytes);
  /// Waits first.
  void (*release_pinned)(int device, void* memory);
  /// Ordered.
  void (*zero)(int device, void* memory, std::int64_t bytes);
  /// Ordered; memory of devices, or of the host, which must stay until it is done.
  void (*copy)(int device, const void* from, void* to, std::int64_t bytes);
  /// Until everything asked of the device is done; at once when it is. Any thread may call it.
  void (*wait)(int device);
  /// How much was asked of the device so far, and how much of that is known to be done: as of the
  /// latest wait.
  std::uint64_t (*asked)(int device);
  std::uint64_t (*done)(int device);
  /// Kernels that this thread asks for from here on run on `device`.
  void (*select)(int device);
  /// The operations; every one is ordered.
  const Tables* tables;
};

/// This build's, or the one in use; null: none.
const Runtime* runtime();
/// Takes another one, null: this build's own. For tests; no tensor may be on a device.
void use_runtime(const Runtime* runtime);

/// The operations of a device; this thread's kernels go there from here on.
template <class Table>
const Table& table(int device) {
  runtime()->select(device);
  return std::get<Table>(*runtime()->tables);
}

}  // namespace holdfast::cuda
