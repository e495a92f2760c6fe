#include "train/threads.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "base/parallel.h"
#include "tensor/blas.h"
#include "tensor/tensor.h"

namespace holdfast {
namespace {

constexpr int kTries = 5;
constexpr std::int64_t kRows = 2048;
constexpr std::int64_t kWidth = 384;

// GFLOP/s of one (2048, 384) x (384, 384) product.
double gemm_rate(const Tensor& a, const Tensor& b, const Tensor& c) {
  const auto start = std::chrono::steady_clock::now();
  gemm(Trans::no, Trans::yes, kRows, kWidth, kWidth, 1.0F, a.data<float>(), kWidth, b.data<float>(),
       kWidth, 0.0F, c.data<float>(), kWidth);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return 2e-9 * static_cast<double>(kRows * kWidth * kWidth) / seconds.count();
}

std::vector<ThreadRate> measure(int cpus) {
  const OnDevice host{Device()};  // it is the CPU's rate, wherever the run is
  std::vector<ThreadRate> rates;
  for (int threads = 1; threads < cpus; threads *= 2) {
    rates.push_back({threads, 0});
  }
  rates.push_back({cpus, 0});
  const Tensor a = Tensor::full({kRows, kWidth}, DType::f32, 0.5);
  const Tensor b = Tensor::full({kWidth, kWidth}, DType::f32, 0.25);
  const Tensor c = Tensor::zeros({kRows, kWidth}, DType::f32);
  for (int attempt = 0; attempt <= kTries; ++attempt) {  // in turn; the first warms up
    for (ThreadRate& rate : rates) {
      set_thread_count(rate.threads);
      const double gflops = gemm_rate(a, b, c);
      rate.gflops = attempt == 0 ? 0 : std::max(rate.gflops, gflops);
    }
  }
  return rates;
}

}  // namespace

ThreadChoice choose_threads(const std::vector<ThreadRate>& measured) {
  if (measured.empty()) {
    throw std::invalid_argument("[threads] nothing was measured");
  }
  const double best = std::max_element(measured.begin(), measured.end(), [](auto& a, auto& b) {
                        return a.gflops < b.gflops;
                      })->gflops;
  ThreadChoice choice{0, measured, ""};
  for (const ThreadRate& rate : measured) {
    if (rate.gflops >= 0.95 * best && (choice.threads == 0 || rate.threads < choice.threads)) {
      choice.threads = rate.threads;
    }
    choice.reason +=
        fmt::format("{}{:.0f} on {}", choice.reason.empty() ? "" : ", ", rate.gflops, rate.threads);
  }
  choice.reason = fmt::format("using {} of {} CPUs: matrix products reach {} (GFLOP/s)",
                              choice.threads, measured.back().threads, choice.reason);
  return choice;
}

ThreadChoice use_threads(int wanted) {
  if (wanted < 0) {
    throw std::invalid_argument(fmt::format("[threads] {} threads were asked for", wanted));
  }
  ThreadChoice choice;
  if (wanted > 0) {
    choice = {
        wanted, {}, fmt::format("using {} thread{}, as asked", wanted, wanted == 1 ? "" : "s")};
  } else if (available_cpus() == 1) {
    choice = {1, {}, "using 1 thread: there is one CPU"};
  } else {
    choice = choose_threads(measure(available_cpus()));
  }
  set_thread_count(choice.threads);
  return choice;
}

}  // namespace holdfast
