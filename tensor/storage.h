// Memory of tensors: blocks from a caching pool that counts live and peak bytes, all devices
// together. A training step asks for the same sizes again and again; a cached block is neither
// mapped nor faulted anew.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "tensor/device.h"

namespace holdfast {

struct MemoryUse {
  std::int64_t live = 0;    // bytes in blocks that tensors hold
  std::int64_t peak = 0;    // highest `live` since the start or the last reset_peak()
  std::int64_t cached = 0;  // bytes in free blocks kept for reuse
};

MemoryUse memory_use();
void reset_memory_peak();
/// Bytes that live blocks may reach together; 0: no limit. An allocation beyond it throws
/// std::runtime_error.
void set_memory_budget(std::int64_t bytes);
/// Gives the free blocks back to the system.
void release_cached_memory();

/// A block of memory on the current device, 64-byte aligned, contents unspecified when new. Blocks
/// come from and return to the pool.
class Storage {
 public:
  /// Throws std::invalid_argument when bytes < 0, std::runtime_error beyond the budget,
  /// std::bad_alloc.
  explicit Storage(std::int64_t bytes, Device device = current_device());
  /// All zeros, from the system and back to it, for what lives long: on the CPU, pages take time
  /// and memory when they are first written. Counts in full. Throws as above.
  static std::shared_ptr<Storage> zeros(std::int64_t bytes);
  /// Of zeros(), before anything is written: much of bytes [begin, end) may never be. Small pages
  /// there, so that what is not takes no memory.
  void expect_sparse(std::int64_t begin, std::int64_t end) const;
  /// Memory of someone else's, kept alive by `owner`; may be read-only (a mapped file).
  Storage(void* data, std::int64_t bytes, std::shared_ptr<void> owner);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  /// For the host, which may read and write all memory: on a device, waits until that is done with
  /// everything asked of it. Ask anew after every operation.
  std::byte* data() const {
    if (device_.is_cuda()) wait();
    return data_;
  }
  /// For an operation that runs on `on`: as data(), but without waiting where the memory is there,
  /// as a device works in the order in which it was asked.
  std::byte* data(Device on) const { return on == device_ ? data_ : data(); }
  Device device() const { return device_; }
  std::int64_t bytes() const { return bytes_; }
  /// Zeros to `bytes` bytes from `begin` on.
  void clear(std::int64_t begin, std::int64_t bytes) const;

 private:
  void wait() const;

  std::byte* data_ = nullptr;
  Device device_;
  std::int64_t bytes_ = 0;
  std::int64_t block_ = 0;  // size of the pool's block; 0 for foreign memory
  std::shared_ptr<void> owner_;
};

}  // namespace holdfast
