#include "bench/ceilings.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <time.h>

#include <algorithm>
#include <fstream>
#include <functional>

#include "base/parallel.h"
#include "tensor/cpu.h"
#include "tensor/tensor.h"

namespace holdfast::bench {
namespace {

typedef float Float4 __attribute__((vector_size(16)));
typedef float Float8 __attribute__((vector_size(32)));
typedef float Float16 __attribute__((vector_size(64)));

/// One thread's is processor time: other work on the machine takes none of it.
double now() {
  timespec t{};
  clock_gettime(thread_count() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// Operations a second of work() in units of 1e9, the best of many short tries.
double best_rate(double amount, const std::function<void()>& work) {
  const auto seconds = [&] {
    const double start = now();
    work();
    return now() - start;
  };
  double fastest = seconds();
  for (int i = 0; i < 40; ++i) fastest = std::min(fastest, seconds());
  return amount / fastest * 1e-9;
}

// Twelve independent chains of multiply-adds hide the latency of one.
constexpr int kChains = 12;

template <class Vector>
[[gnu::always_inline]] inline float multiply_add(std::int64_t rounds) {
  Vector sum[kChains], factor = Vector{} + 0.999f;
  for (Vector& s : sum) s = Vector{} + 1.0f;
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (Vector& s : sum) s = s * factor + factor;
  }
  float total = 0;
  for (Vector& s : sum) total += s[0];
  return total;
}
#if defined(__x86_64__)
[[gnu::target("avx512f"), gnu::optimize("fp-contract=fast")]] float multiply_add_avx512(
    std::int64_t rounds) {
  return multiply_add<Float16>(rounds);
}
[[gnu::target("avx2,fma"), gnu::optimize("fp-contract=fast")]] float multiply_add_avx2(
    std::int64_t rounds) {
  return multiply_add<Float8>(rounds);
}
// Sums of products of pairs: 32 multiply-adds an instruction.
[[gnu::target("avx512f,avx512bf16")]] float dot_products_bf16(std::int64_t rounds) {
  const __m512 ones = _mm512_set1_ps(1.0f);
  const __m512bh factor = _mm512_cvtne2ps_pbh(ones, ones);
  __m512 sum[kChains];
  for (__m512& s : sum) s = ones;
  for (std::int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (__m512& s : sum) s = _mm512_dpbf16_ps(s, factor, factor);
  }
  float total = 0;
  for (const __m512& s : sum) total += _mm512_cvtss_f32(s);
  return total;
}
#endif
float multiply_add_baseline(std::int64_t rounds) { return multiply_add<Float4>(rounds); }

/// GFLOP/s of all workers, each of which does `flops` in a round of chains().
double register_rate(float (*chains)(std::int64_t rounds), int flops) {
  constexpr std::int64_t kRounds = 4'000'000;
  const std::int64_t workers = thread_count();
  volatile float kept = 0;
  return best_rate(static_cast<double>(flops * kRounds * workers), [&] {
    parallel_for(workers, 1, [&](std::int64_t, std::int64_t) { kept = chains(kRounds); });
  });
}

double multiply_add_rate() {
#if defined(__x86_64__)
  if (isa() == Isa::avx512) return register_rate(multiply_add_avx512, 2 * 16 * kChains);
  if (isa() == Isa::avx2) return register_rate(multiply_add_avx2, 2 * 8 * kChains);
#endif
  return register_rate(multiply_add_baseline, 2 * 4 * kChains);
}

double bf16_rate() {
#if defined(__x86_64__)
  if (has_bf16()) return register_rate(dot_products_bf16, 2 * 32 * kChains);
#endif
  return 0;
}

/// GB/s of a loop over [begin, end) of arrays of n floats, `arrays` of them read or written.
double bandwidth_of(std::int64_t n, int arrays,
                    const std::function<void(std::int64_t, std::int64_t)>& loop) {
  return best_rate(4.0 * arrays * static_cast<double>(n), [&] { parallel_for(n, 1 << 16, loop); });
}

// Sixteen partial sums, so that the loop waits for memory and not for additions.
float sum_of(const float* x, std::int64_t begin, std::int64_t end) {
  Float16 even{}, odd{};
  for (std::int64_t i = begin; i + 32 <= end; i += 32) {
    for (int j = 0; j < 16; ++j) even[j] += x[i + j], odd[j] += x[i + 16 + j];
  }
  even += odd;
  return even[0];
}

}  // namespace

double Ceilings::bandwidth() const { return std::max({copy, triad, update, read}); }

// sysconf() counts what a virtual machine does not have.
std::int64_t cache_bytes() {
  std::ifstream file("/sys/devices/system/cpu/cpu0/cache/index3/size");
  std::int64_t kibibytes = 0;
  return file >> kibibytes ? kibibytes << 10 : 0;
}

std::int64_t bytes_beyond_cache() { return std::max<std::int64_t>(64 << 20, 2 * cache_bytes()); }

Ceilings measure_ceilings() {
  const std::int64_t n = bytes_beyond_cache() / 4;
  const Tensor a = Tensor::full({n}, DType::f32, 1), b = Tensor::full({n}, DType::f32, 2),
               c = Tensor::full({n}, DType::f32, 3);
  const float *x = a.data<float>(), *y = b.data<float>();
  float* z = c.data<float>();
  volatile float kept = 0;
  Ceilings out;
  out.gflops = multiply_add_rate();
  out.bf16_gflops = bf16_rate();
  out.copy = bandwidth_of(n, 2, [&](std::int64_t begin, std::int64_t end) {
    std::copy(x + begin, x + end, z + begin);
  });
  out.triad = bandwidth_of(n, 3, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) z[i] = x[i] + 0.5f * y[i];
  });
  out.update = bandwidth_of(n, 3, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) z[i] += 0.5f * x[i];
  });
  out.read = bandwidth_of(
      n, 1, [&](std::int64_t begin, std::int64_t end) { kept = sum_of(x, begin, end); });
  return out;
}

}  // namespace holdfast::bench
