// bench_threads: what a second thread gains for a whole training step, beside what plain GEMM gains
// from the second CPU in the same minute: 2 T independent products, one thread's worth each at a
// time. Sides run in turn; figures are of medians.
//   bench_threads (--model DIR | --config FILE.json|PRESET) [--full BxT | --data FILE.csv
//   --max-length T] [--threads T]
//                 [--steps ROUNDS]
#include "base/parallel.h"
#include "bench/training_step.h"
#include "tensor/blas.h"

namespace {

using namespace holdfast;
using namespace holdfast::bench;

/// Seconds for `count` products of (4096, 384) and (384, 1536), MiniLM's widest, at most one a
/// thread at a time.
double gemm_seconds(int count, std::vector<std::vector<float>>& c, const std::vector<float>& a,
                    const std::vector<float>& b) {
  const auto start = Clock::now();
  parallel_for(count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      gemm_serial(Trans::no, Trans::yes, 4096, 1536, 384, 1.0f, a.data(), 384, b.data(), 384, 0.0f,
                  c[static_cast<std::size_t>(i)].data(), 1536);
    }
  });
  return since(start);
}

}  // namespace

int main(int argc, char** argv) {
  return run_main("bench_threads", [&] {
    Options options = parse(argc, argv, kWorkload);
    if (options.at("data").empty() && options.at("full").empty()) options["full"] = "32x128";
    const int threads = std::stoi(options.at("threads"));
    const auto batches = make_batches(options, std::stoul(options.at("steps")) + 1);
    Step step(make_model(options));
    std::vector<float> a(4096 * 384, 0.5f), b(1536 * 384, 0.25f);
    std::vector<std::vector<float>> c(static_cast<std::size_t>(2 * threads),
                                      std::vector<float>(4096 * 1536));
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
    const double step_gain = median(steps[0]) / median(steps[1]),
                 gemm_gain = median(products[0]) / median(products[1]);
    return Json::object({{"threads", threads},
                         {"step_gain", step_gain},
                         {"gemm_gain", gemm_gain},
                         {"share", step_gain / gemm_gain}});
  });
}
