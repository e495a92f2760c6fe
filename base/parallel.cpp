#include "base/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace holdfast {
namespace {

thread_local bool inside_loop = false;

// Lets the other thread of a core go on while this one waits.
void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// One loop at a time; workers take chunks from an atomic counter and spin a little before they
// sleep, as the loops of a training step follow each other within microseconds.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { work(); });
  }
  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  void run(std::int64_t n, std::int64_t grain, detail::ChunkFunction function, void* body) {
    std::lock_guard one_loop(loop_mutex_);
    n_ = n, grain_ = grain, function_ = function, body_ = body, error_ = nullptr;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    {
      std::lock_guard lock(mutex_);
      generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    take_chunks();
    for (int spin = 0; busy_.load(std::memory_order_acquire) != 0; ++spin) {
      spin > kSpins ? std::this_thread::yield() : pause();
    }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  static constexpr int kSpins = 4000;

  void take_chunks() {
    inside_loop = true;
    for (;;) {
      const std::int64_t begin = next_.fetch_add(grain_, std::memory_order_relaxed);
      if (begin >= n_) break;
      try {
        function_(body_, begin, std::min(n_, begin + grain_));
      } catch (...) {
        std::lock_guard lock(mutex_);
        if (!error_) error_ = std::current_exception();
        next_.store(n_, std::memory_order_relaxed);
      }
    }
    inside_loop = false;
  }

  void work() {
    std::uint64_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < kSpins && generation_.load(std::memory_order_acquire) == seen;
           ++spin) {
        pause();
      }
      if (generation_.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
      }
      seen = generation_.load(std::memory_order_acquire);
      if (stop_) return;
      take_chunks();
      busy_.fetch_sub(1, std::memory_order_release);
    }
  }

  std::vector<std::thread> workers_;
  std::mutex loop_mutex_, mutex_;
  std::condition_variable wake_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::int64_t> next_{0};
  std::atomic<int> busy_{0};
  std::int64_t n_ = 0, grain_ = 1;
  detail::ChunkFunction function_ = nullptr;
  void* body_ = nullptr;
  std::exception_ptr error_;
  bool stop_ = false;
};

std::unique_ptr<Pool>& pool() {
  static std::unique_ptr<Pool> instance = std::make_unique<Pool>(1);
  return instance;
}

}  // namespace

int thread_count() { return pool()->threads(); }

void set_thread_count(int threads) {
  if (threads < 1)
    throw std::invalid_argument("[threads] the number of threads must be at least 1");
  if (threads != thread_count()) pool() = std::make_unique<Pool>(threads);
}

int available_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

void detail::parallel_run(std::int64_t n, std::int64_t grain, ChunkFunction function, void* body) {
  if (n <= 0) return;
  grain = std::max<std::int64_t>(1, grain);
  if (n <= grain || inside_loop || pool()->threads() == 1) {
    for (std::int64_t begin = 0; begin < n; begin += grain) {
      function(body, begin, std::min(n, begin + grain));
    }
    return;
  }
  pool()->run(n, grain, function, body);
}

}  // namespace holdfast
