// Memory of tensors: blocks from a caching pool that counts live and peak bytes, all devices
// together. A training step asks for the same sizes again and again; a cached block is neither
// mapped nor faulted anew.
#pragma once

#include <atomic>
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
  /// Who writes a device's memory. `host`: the host alone does and the device reads a copy, sent
  /// ahead of the first operation that asks for it; so neither waits for the other.
  enum class Writer { anyone, host };

  /// Throws std::invalid_argument when bytes < 0, std::runtime_error beyond the budget,
  /// std::bad_alloc.
  explicit Storage(std::int64_t bytes, Device device = current_device(),
                   Writer writer = Writer::anyone);
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
  std::byte* data() const { return device_.is_cuda() ? for_host() : data_; }
  /// As data(), to read only: does not wait for what the host alone writes.
  const std::byte* read() const { return copy_ ? copy_->host : data(); }
  /// For an operation that runs on `on`: as data(), but without waiting where the memory is there,
  /// as a device works in the order in which it was asked. What the host alone writes, only to
  /// read.
  std::byte* data(Device on) const {
    if (on != device_) return data();
    if (copy_) send();
    return data_;
  }
  Device device() const { return device_; }
  std::int64_t bytes() const { return bytes_; }
  /// Zeros to `bytes` bytes from `begin` on.
  void clear(std::int64_t begin, std::int64_t bytes) const;
  /// The host's `from` to the first `bytes` bytes, which may change as soon as this returns: a
  /// device is not waited for.
  void write(const void* from, std::int64_t bytes) const;

 private:
  // The host's side of Writer::host, in memory that a device copies from by itself.
  struct HostCopy {
    std::byte* host = nullptr;
    std::atomic<bool> sent = false;  // since the host last asked for it to write
  };
  std::byte* for_host() const;
  void send() const;

  std::byte* data_ = nullptr;
  Device device_;
  std::int64_t bytes_ = 0;
  std::int64_t block_ = 0;  // size of the pool's block; 0 for foreign memory
  std::unique_ptr<HostCopy> copy_;
  std::shared_ptr<void> owner_;
};

}  // namespace holdfast
