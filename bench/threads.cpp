// bench_threads: what a second thread gains for a whole training step, beside what plain GEMM gains from the second CPU in the
// same minute: 2 T independent products, one thread's worth each at a time. Sides run in turn; figures are of medians.
//   bench_threads --model DIR [--full BxT | --data FILE.csv --max-length T] [--threads T] [--steps ROUNDS]
#include <cstdio>

#include "base/parallel.h"
#include "bench/training_step.h"
#include "tensor/blas.h"

namespace {

using namespace holdfast;
using namespace holdfast::bench;

/// Seconds for `count` products of (4096, 384) and (384, 1536), MiniLM's widest, at most one a thread at a time.
double gemm_seconds(int count, std::vector<std::vector<float>>& c, const std::vector<float>& a, const std::vector<float>& b) {
  const auto start = Clock::now();
  parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      gemm_serial(Trans::no, Trans::yes, 4096, 1536, 384, 1.0f, a.data(), 384, b.data(), 384, 0.0f, c[static_cast<std::size_t>(i)].data(), 1536);
    }
  });
  return since(start);
}

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) try {
  auto options = parse(argc, argv);
  if (!options.contains("data")) options.emplace("full", "32x128");
  const int threads = std::stoi(options.at("threads"));
  const auto batches = make_batches(options);
  Step step(options.at("model"));
  std::vector<float> a(4096 * 384, 0.5f), b(1536 * 384, 0.25f);
  std::vector<std::vector<float>> c(static_cast<std::size_t>(2 * threads), std::vector<float>(4096 * 1536));
  step(batches.front());
  gemm_seconds(2 * threads, c, a, b);
  std::vector<double> steps[2], products[2];
  for (std::size_t i = 1; i < batches.size(); ++i) {
    for (int many = 0; many < 2; ++many) {
      set_thread_count(many == 1 ? threads : 1);
      products[many].push_back(gemm_seconds(2 * threads, c, a, b));
      const auto start = Clock::now();
      step(batches[i]);
      steps[many].push_back(since(start));
    }
  }
  const double step_gain = median(steps[0]) / median(steps[1]), gemm_gain = median(products[0]) / median(products[1]);
  std::printf("{\"threads\":%d,\"step_gain\":%.3f,\"gemm_gain\":%.3f,\"share\":%.3f}\n", threads, step_gain, gemm_gain, step_gain / gemm_gain);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_threads: %s\n", error.what());
  return 2;
}
