#include "tensor/storage.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <compare>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tensor/cuda/runtime.h"

namespace holdfast {
namespace {

constexpr std::int64_t kAlignment = 64;

// Sizes are rounded up to 1/8 of their power of two: a block serves requests of nearly its size,
// and at most an eighth is wasted, so that batches of slightly different length share blocks.
std::int64_t block_size(std::int64_t bytes) {
  std::int64_t step = kAlignment;
  while (step * 16 <= bytes) step *= 2;
  return std::max(kAlignment, (bytes + step - 1) / step * step);
}

// A kind of memory: a device's, or the host's that it copies from by itself (pinned).
struct Place {
  Device device;
  bool pinned = false;
  auto operator<=>(const Place&) const = default;
};

// Null when there is not enough.
std::byte* allocate(Place place, std::int64_t bytes) {
  const int device = place.device.cuda;
  void* data = !place.device.is_cuda()
                   ? std::aligned_alloc(kAlignment, static_cast<std::size_t>(bytes))
               : place.pinned ? cuda::runtime()->allocate_pinned(device, bytes)
                              : cuda::runtime()->allocate(device, bytes);
  return static_cast<std::byte*>(data);
}

void release(Place place, std::byte* data, std::int64_t bytes) {
  const int device = place.device.cuda;
  if (!place.device.is_cuda()) return std::free(data);
  place.pinned ? cuda::runtime()->release_pinned(device, data)
               : cuda::runtime()->release(device, data, bytes);
}

// Where a device is: it may still read pinned memory that was given back before.
std::uint64_t asked(Place place) {
  return place.pinned ? cuda::runtime()->asked(place.device.cuda) : 0;
}
std::uint64_t done(Place place) {
  return place.pinned ? cuda::runtime()->done(place.device.cuda) : 0;
}

class Pool {
 public:
  std::byte* take(Place place, std::int64_t block) {
    std::lock_guard lock(mutex_);
    check_budget(block);
    std::byte* data = nullptr;
    auto& free = free_[{place, block}];
    const auto idle = std::find_if(free.rbegin(), free.rend(),
                                   [now = done(place)](const Free& of) { return of.asked <= now; });
    if (idle != free.rend()) {
      data = idle->data;
      free.erase(std::next(idle).base());
      use_.cached -= block;
    } else {
      data = allocate(place, block);
      if (data == nullptr) {  // of other sizes there may be enough
        release_all();
        data = allocate(place, block);
      }
      if (data == nullptr) throw std::bad_alloc();
    }
    count_live(block);
    return data;
  }

  /// For memory that is not the pool's but counts.
  void count(std::int64_t block) {
    std::lock_guard lock(mutex_);
    check_budget(block);
    count_live(block);
  }
  void discount(std::int64_t block) {
    std::lock_guard lock(mutex_);
    use_.live -= block;
  }

  // Kernels that still work on it run before those of its next owner; the host does not wait to
  // write pinned memory, so a device must be done with it.
  void give_back(Place place, std::byte* data, std::int64_t block) {
    std::lock_guard lock(mutex_);
    use_.live -= block;
    use_.cached += block;
    free_[{place, block}].push_back({data, asked(place)});
  }

  void release() {
    std::lock_guard lock(mutex_);
    release_all();
  }

  MemoryUse use() {
    std::lock_guard lock(mutex_);
    return use_;
  }
  void reset_peak() {
    std::lock_guard lock(mutex_);
    use_.peak = use_.live;
  }
  void set_budget(std::int64_t bytes) {
    std::lock_guard lock(mutex_);
    budget_ = bytes;
  }

 private:
  void check_budget(std::int64_t block) const {
    if (budget_ > 0 && use_.live + block > budget_) {
      throw std::runtime_error("[memory] " + std::to_string(use_.live + block) +
                               " bytes wanted, the budget is " + std::to_string(budget_) +
                               ": raise memory_budget, or lower batch_size or max_length");
    }
  }
  void count_live(std::int64_t block) {
    use_.live += block;
    use_.peak = std::max(use_.peak, use_.live);
  }

  void release_all() {
    for (auto& [key, free] : free_) {
      while (!free.empty()) {
        std::byte* data = free.back().data;
        free.pop_back();
        use_.cached -= key.second;
        holdfast::release(key.first, data, key.second);
      }
    }
  }

  struct Free {
    std::byte* data;
    std::uint64_t asked;  // of the device when it was given back
  };
  std::mutex mutex_;
  std::map<std::pair<Place, std::int64_t>, std::vector<Free>> free_;  // of a size
  MemoryUse use_;
  std::int64_t budget_ = 0;
};

// Never destroyed: tensors with static storage may outlive any other static object.
Pool& pool() {
  alignas(Pool) static std::byte memory[sizeof(Pool)];
  static Pool* instance = new (memory) Pool();
  return *instance;
}

}  // namespace

MemoryUse memory_use() { return pool().use(); }
void reset_memory_peak() { pool().reset_peak(); }
void set_memory_budget(std::int64_t bytes) { pool().set_budget(bytes); }
void release_cached_memory() { pool().release(); }

Storage::Storage(std::int64_t bytes, Device device, Writer writer)
    : device_(device), bytes_(bytes) {
  if (bytes < 0) throw std::invalid_argument("[storage] negative size");
  const std::int64_t block = block_size(bytes);
  if (device.is_cuda() && writer == Writer::host) {
    copy_ = std::make_unique<HostCopy>();
    copy_->host = pool().take({device, true}, block);
  }
  try {
    data_ = pool().take({device}, block);
  } catch (...) {
    if (copy_) pool().give_back({device, true}, copy_->host, block);
    throw;
  }
  block_ = block;
}

std::shared_ptr<Storage> Storage::zeros(std::int64_t bytes) {
  if (bytes < 0) throw std::invalid_argument("[storage] negative size");
  if (current_device().is_cuda()) {
    auto storage = std::make_shared<Storage>(bytes);
    storage->clear(0, bytes);
    return storage;
  }
  const std::int64_t block = block_size(bytes);
  const auto size = static_cast<std::size_t>(block);
  pool().count(block);
  void* data = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    pool().discount(block);
    throw std::bad_alloc();
  }
  madvise(data, size, MADV_HUGEPAGE);  // fewer page faults; a system without is no worse off
  return std::make_shared<Storage>(data, bytes, std::shared_ptr<void>(data, [size, block](void* p) {
                                     munmap(p, size);
                                     pool().discount(block);
                                   }));
}

void Storage::expect_sparse(std::int64_t begin, std::int64_t end) const {
  const std::int64_t page = sysconf(_SC_PAGESIZE), first = (begin + page - 1) / page * page,
                     last = std::min(end, bytes_) / page * page;
  if (first < last && !device_.is_cuda())
    madvise(data_ + first, static_cast<std::size_t>(last - first), MADV_NOHUGEPAGE);
}

Storage::Storage(void* data, std::int64_t bytes, std::shared_ptr<void> owner)
    : data_(static_cast<std::byte*>(data)), bytes_(bytes), owner_(std::move(owner)) {}

Storage::~Storage() {
  if (block_ == 0) return;
  pool().give_back({device_}, data_, block_);
  if (copy_) pool().give_back({device_, true}, copy_->host, block_);
}

void Storage::clear(std::int64_t begin, std::int64_t bytes) const {
  if (device_.is_cuda() && !copy_) {
    cuda::runtime()->zero(device_.cuda, data_ + begin, bytes);
  } else {
    std::memset(data() + begin, 0, static_cast<std::size_t>(bytes));
  }
}

void Storage::write(const void* from, std::int64_t bytes) const {
  if (bytes == 0) return;
  const auto size = static_cast<std::size_t>(bytes);
  if (!device_.is_cuda() || copy_) {
    std::memcpy(data(), from, size);
    return;
  }
  const std::int64_t block = block_size(bytes);
  std::byte* staging = pool().take({device_, true}, block);
  std::memcpy(staging, from, size);
  cuda::runtime()->copy(device_.cuda, staging, data_, bytes);
  pool().give_back({device_, true}, staging, block);
}

// A device that was sent the host's numbers may not have copied them yet.
std::byte* Storage::for_host() const {
  if (!copy_ || copy_->sent) cuda::runtime()->wait(device_.cuda);
  if (!copy_) return data_;
  copy_->sent = false;
  return copy_->host;
}

// Marked as sent only then, so that no other thread asks for a kernel before what it reads: two
// that come at once send the same twice.
void Storage::send() const {
  if (copy_->sent) return;
  cuda::runtime()->copy(device_.cuda, copy_->host, data_, bytes_);
  copy_->sent = true;
}

}  // namespace holdfast
