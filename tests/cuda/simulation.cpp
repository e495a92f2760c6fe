#include "tests/cuda/simulation.h"

#include <algorithm>
#include <barrier>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/cuda/tables.h"
#include "tensor/dtype.h"
#include "tensor/kernels/dispatch.h"

namespace holdfast::cuda {
namespace {

constexpr std::int64_t kAlignment = 256;

/// What a kernel sees of its threads. Each is a warp too (tensor/cuda/warp.h), whose lanes'
/// registers it holds: so a kernel's places of elements are those of a device.
class HostTeam {
 public:
  static constexpr int kLanes = kWarp;
  using Rows = Fragment<HostTeam, const std::uint32_t*, 1>;
  using Registers = Fragment<HostTeam, std::uint32_t, 4>;

  HostTeam(int rank, int size, std::barrier<>& barrier, std::byte* memory)
      : rank_(rank), size_(size), barrier_(barrier), memory_(memory) {}
  int rank() const { return rank_; }
  int size() const { return size_; }
  void sync() {
    if (size_ > 1) barrier_.arrive_and_wait();
  }
  template <class T>
  T* shared() const {
    return reinterpret_cast<T*>(memory_);
  }

  int warp() const { return rank_; }
  int warps() const { return size_; }
  int lane(int l) const { return l; }
  static std::uint32_t bf16_pair(float x, float y) {
    return Bf16(x).bits | std::uint32_t{Bf16(y).bits} << 16;
  }
  static bool aligned(const float* x) { return reinterpret_cast<std::uintptr_t>(x) % 16 == 0; }
  static void load_four(const float* x, float (&four)[4]) { std::copy_n(x, 4, four); }
  void load(const Rows& rows, int offset, Registers& m) const {
    for (int l = 0; l < kWarp; ++l) {
      for (int j = 0; j < 4; ++j) m.of[l][j] = rows.of[8 * j + l / 4][0][offset + l % 4];
    }
  }
  void load_transposed(const Rows& rows, int offset, Registers& m) const {
    for (int l = 0; l < kWarp; ++l) {
      for (int j = 0; j < 4; ++j) {
        const int g = l / 4, row = 8 * j + l % 4 * 2;
        const auto element = [&](int r) {
          return rows.of[r][0][offset + g / 2] >> (g % 2 * 16) & 0xffff;
        };
        m.of[l][j] = element(row) | element(row + 1) << 16;
      }
    }
  }
  void multiply(Fragment<HostTeam, float, 4>& c, const Registers& a, const Registers& b,
                int n) const {
    float A[16][16], B[16][8];
    for (int l = 0; l < kWarp; ++l) {
      const int g = l / 4, t = l % 4;
      for (int e = 0; e < 8; ++e) A[g + e / 2 % 2 * 8][2 * t + e % 2 + e / 4 * 8] = half(a, l, e);
      for (int e = 0; e < 4; ++e) B[2 * t + e % 2 + e / 2 * 8][g] = half(b, l, 4 * n + e);
    }
    for (int l = 0; l < kWarp; ++l) {
      for (int e = 0; e < 4; ++e) {
        for (int k = 0; k < 16; ++k)
          c.of[l][e] += A[l / 4 + e / 2 * 8][k] * B[k][l % 4 * 2 + e % 2];
      }
    }
  }
  template <class T, int N>
  Fragment<HostTeam, T, N> exchange(const Fragment<HostTeam, T, N>& x, int mask) const {
    Fragment<HostTeam, T, N> result;
    for (int l = 0; l < kWarp; ++l) std::copy_n(x.of[l ^ mask], N, result.of[l]);
    return result;
  }

 private:
  // Element `number` of a lane, two a register.
  static float half(const Registers& x, int lane, int number) {
    return std::bit_cast<float>(x.of[lane][number / 2] >> (number % 2 * 16) << 16);
  }

  int rank_, size_;
  std::barrier<>& barrier_;
  std::byte* memory_;
};

/// Threads that run the same function at the same time, the caller as rank 0.
class Threads {
 public:
  explicit Threads(int size) : size_(size), meet_(size) {
    for (int rank = 1; rank < size; ++rank) workers_.emplace_back([this, rank] { work(rank); });
  }
  ~Threads() {
    function_ = nullptr;
    meet_.arrive_and_wait();
    for (std::thread& worker : workers_) worker.join();
  }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

  int size() const { return size_; }
  void run(const std::function<void(int)>& function) {
    function_ = &function;
    if (size_ > 1) meet_.arrive_and_wait();
    function(0);
    if (size_ > 1) meet_.arrive_and_wait();
  }

 private:
  void work(int rank) {
    for (;;) {
      meet_.arrive_and_wait();
      if (function_ == nullptr) return;
      (*function_)(rank);
      meet_.arrive_and_wait();
    }
  }

  int size_;
  std::barrier<> meet_;
  const std::function<void(int)>* function_ = nullptr;
  std::vector<std::thread> workers_;
};

/// The queue of a device. Whoever waits runs what is in it.
class Stream {
 public:
  void push(std::function<void()> work) {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
  }
  void wait() {
    const std::lock_guard lock(mutex_);
    while (!queue_.empty()) {
      queue_.front()();
      queue_.pop_front();
    }
  }

 private:
  std::mutex mutex_;
  std::deque<std::function<void()>> queue_;
};

Stream& stream(int device) {
  static Stream streams[2];
  return streams[device];
}

// One team for both devices, so that a test has no more threads than it asks for.
struct TeamOfAll {
  std::mutex mutex;
  std::unique_ptr<Threads> threads = std::make_unique<Threads>(1);
};
TeamOfAll& team_of_all() {
  static TeamOfAll team;
  return team;
}

thread_local int selected = 0;
std::int64_t run_so_far = 0;  // under the team's mutex

struct Launcher {
  template <class Kernel>
  static void run(const Kernel& kernel) {
    if (kernel.launch().blocks > 0) stream(selected).push([kernel] { run_now(kernel); });
  }

  template <class Kernel>
  static void run_now(const Kernel& kernel) {
    const Launch launch = kernel.launch();
    TeamOfAll& team = team_of_all();
    const std::lock_guard lock(team.mutex);
    ++run_so_far;
    const int size = std::min(team.threads->size(), launch.threads);
    std::vector<std::byte> shared(static_cast<std::size_t>(launch.shared_bytes), std::byte{0xff});
    std::barrier<> barrier(size);
    team.threads->run([&](int rank) {
      if (rank >= size) return;
      HostTeam host(rank, size, barrier, shared.data());
      for (std::int64_t block = 0; block < launch.blocks; ++block) {
        kernel(host, block);
        host.sync();
      }
    });
  }
};

template <class T>
constexpr kernels::Gemm<T> kGemm{[](bool ta, bool tb, std::int64_t M, std::int64_t N,
                                    std::int64_t K, T alpha, const T* A, std::int64_t lda,
                                    const T* B, std::int64_t ldb, T beta, T* C, std::int64_t ldc) {
  stream(selected).push([=] {
    kernels::portable::table<kernels::Gemm<T>>().multiply(ta, tb, M, N, K, alpha, A, lda, B, ldb,
                                                          beta, C, ldc);
  });
}};

// NaN, whatever is read as f32 or f64: nothing may depend on it.
void* allocate(int, std::int64_t bytes) {
  const std::int64_t whole = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, static_cast<std::size_t>(whole));
  if (memory != nullptr) std::memset(memory, 0xff, static_cast<std::size_t>(whole));
  return memory;
}

void wait(int device) { stream(device).wait(); }

}  // namespace

std::int64_t kernels_run() { return run_so_far; }

const Runtime& simulation(int team_size) {
  TeamOfAll& team = team_of_all();
  if (team.threads->size() != team_size) {
    wait(0);
    wait(1);
    team.threads = std::make_unique<Threads>(team_size);
  }
  static const Tables tables = make_tables<Launcher>(kGemm<float>, kGemm<double>);
  static const Runtime runtime{
      .missing = [] { return std::string(); },
      .device_count = [] { return 2; },
      .facts =
          [](int) {
            return DeviceFacts{
                .name = "simulation", .memory_bytes = 1 << 30, .major = 8, .minor = 0};
          },
      .description = [] { return std::string("simulation"); },
      .allocate = allocate,
      .release =
          [](int device, void* memory) {
            wait(device);
            std::free(memory);
          },
      .zero =
          [](int device, void* memory, std::int64_t bytes) {
            stream(device).push([=] { std::memset(memory, 0, static_cast<std::size_t>(bytes)); });
          },
      .copy =
          [](int device, const void* from, void* to, std::int64_t bytes) {
            stream(device).push([=] { std::memmove(to, from, static_cast<std::size_t>(bytes)); });
          },
      .wait = wait,
      .select = [](int device) { selected = device; },
      .tables = &tables};
  return runtime;
}

}  // namespace holdfast::cuda
