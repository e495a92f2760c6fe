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
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/cuda/tables.h"
#include "tensor/dtype.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/gemm.h"
#include "tests/reference/tf32.h"

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
    ++asked_;
  }
  void wait() {
    const std::lock_guard lock(mutex_);
    if (!queue_.empty()) ++waits_;
    while (!queue_.empty()) {
      queue_.front()();
      queue_.pop_front();
    }
    done_ = asked_;
  }
  std::uint64_t asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  std::uint64_t done() {
    const std::lock_guard lock(mutex_);
    return done_;
  }
  std::int64_t waits() {
    const std::lock_guard lock(mutex_);
    return waits_;
  }

 private:
  std::mutex mutex_;
  std::deque<std::function<void()>> queue_;
  std::uint64_t asked_ = 0, done_ = 0;
  std::int64_t waits_ = 0;
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

// What a product reads: `rows` rows of `columns` as stored, in the type of its sums.
template <class T>
std::vector<typename Product<T>::Sum> operand(const T* x, std::int64_t rows, std::int64_t columns,
                                              std::int64_t ld, bool tf32) {
  using Sum = typename Product<T>::Sum;
  std::vector<Sum> y(static_cast<std::size_t>((rows - 1) * ld + columns));
  std::transform(x, x + y.size(), y.begin(), [&](T value) { return static_cast<Sum>(value); });
  if constexpr (std::is_same_v<T, float>) {
    if (tf32) std::ranges::transform(y, y.begin(), nearest_tf32);
  }
  return y;
}

template <class T>
void multiply_now(const Product<T>& p) {
  using Sum = typename Product<T>::Sum;
  const std::vector<Sum> a = operand(p.A, p.transpose_a ? p.K : p.M, p.transpose_a ? p.M : p.K,
                                     p.lda, p.tf32),
                         b = operand(p.B, p.transpose_b ? p.N : p.K, p.transpose_b ? p.K : p.N,
                                     p.ldb, p.tf32);
  kernels::portable::table<kernels::Gemm<Sum>>().multiply(
      p.transpose_a, p.transpose_b, p.M, p.N, p.K, Sum{1}, a.data(), p.lda, b.data(), p.ldb,
      p.add ? Sum{1} : Sum{0}, p.C, p.ldc);
  for (std::int64_t m = 0; m < p.M && p.bias != nullptr; ++m) {
    for (std::int64_t n = 0; n < p.N; ++n) p.C[m * p.ldc + n] += p.bias[n];
  }
}

template <class T>
constexpr Products<T> kProducts{[](const Product<T>& product) {
  if (product.M < 1 || product.N < 1 || product.K < 1 ||
      (product.bias != nullptr && !takes_bias(product.bias))) {
    throw std::logic_error("a product that is none for a GPU");
  }
  stream(selected).push([product] { multiply_now(product); });
}};

// NaN, whatever is read as f32 or f64: nothing may depend on it. As zeros and copies do, it selects
// the device (runtime.cu).
void* allocate(int device, std::int64_t bytes) {
  selected = device;
  const std::int64_t whole = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  void* memory = std::aligned_alloc(kAlignment, static_cast<std::size_t>(whole));
  if (memory != nullptr) std::memset(memory, 0xff, static_cast<std::size_t>(whole));
  return memory;
}

void wait(int device) { stream(device).wait(); }
void release(int device, void* memory) {
  wait(device);
  std::free(memory);
}

}  // namespace

std::int64_t kernels_run() { return run_so_far; }
std::int64_t waits() { return stream(0).waits(); }

const Runtime& simulation(int team_size) {
  TeamOfAll& team = team_of_all();
  if (team.threads->size() != team_size) {
    wait(0);
    wait(1);
    team.threads = std::make_unique<Threads>(team_size);
  }
  static const Tables tables =
      make_tables<Launcher>(kProducts<float>, kProducts<double>, kProducts<Bf16>);
  static const Runtime runtime{
      .missing = [](int) { return std::string(); },
      .device_count = [] { return 2; },
      .facts =
          [](int) {
            return DeviceFacts{
                .name = "simulation", .memory_bytes = 1 << 30, .major = 8, .minor = 0};
          },
      .description = [] { return std::string("simulation"); },
      .allocate = allocate,
      .release = [](int device, void* memory, std::int64_t) { release(device, memory); },
      .allocate_pinned = allocate,
      .release_pinned = release,
      .zero =
          [](int device, void* memory, std::int64_t bytes) {
            selected = device;
            stream(device).push([=] { std::memset(memory, 0, static_cast<std::size_t>(bytes)); });
          },
      .copy =
          [](int device, const void* from, void* to, std::int64_t bytes) {
            selected = device;
            stream(device).push([=] { std::memmove(to, from, static_cast<std::size_t>(bytes)); });
          },
      .wait = wait,
      .asked = [](int device) { return stream(device).asked(); },
      .done = [](int device) { return stream(device).done(); },
      .select = [](int device) { selected = device; },
      .tables = &tables};
  return runtime;
}

}  // namespace holdfast::cuda
