// The matrix products of a training step alone, at full speed: what a step's GFLOP/s are held
// against.
//   bench_gemm (--model DIR | --config FILE.json|PRESET) (--full BxT | --data FILE.csv ...)
//   [--steps N] [--threads N]
// All products of a step one after another, forward and both gradients, N rounds, and the median
// round. The library is the one that training uses; HOLDFAST_ISA=avx2 makes it OpenBLAS, which
// picks its own kernels for the CPU.
#include <utility>

#include "base/parallel.h"
#include "bench/useful_work.h"
#include "bench/workload.h"
#include "tensor/blas.h"

using namespace holdfast;
using namespace holdfast::bench;

namespace {

BertConfig config_of(const Options& options) {
  const std::string& config = options.at("config");
  if (config.empty()) return BertConfig::load(options.at("model") + "/config.json");
  return config.ends_with(".json") ? BertConfig::load(config) : BertConfig::preset(config);
}

void multiply(const Product& p, float* x, float* w, float* y) {
  gemm(Trans::no, Trans::yes, p.rows, p.out, p.in, 1.0f, x, p.in, w, p.in, 0.0f, y, p.out);
  gemm(Trans::no, Trans::no, p.rows, p.in, p.out, 1.0f, y, p.out, w, p.in, 0.0f, x, p.in);
  gemm(Trans::yes, Trans::no, p.out, p.in, p.rows, 1.0f, y, p.out, x, p.in, 0.0f, w, p.in);
}

}  // namespace

int main(int argc, char** argv) {
  return run_main("bench_gemm", [&] {
    const Options options = parse(argc, argv, kWorkload);
    set_thread_count(std::stoi(options.at("threads")));
    const BertConfig config = config_of(options);
    const std::vector<Product> products = products_of(config, make_batches(options, 1).front());
    std::int64_t widest_x = 0, widest_w = 0, widest_y = 0;
    double flops = 0;
    for (const Product& p : products) {
      widest_x = std::max(widest_x, p.rows * p.in);
      widest_w = std::max(widest_w, p.in * p.out);
      widest_y = std::max(widest_y, p.rows * p.out);
      flops += 3 * p.flops() * static_cast<double>(p.count);
    }
    // Zeros stay zeros; no product is faster for them.
    std::vector<float> x(static_cast<std::size_t>(widest_x)), w(static_cast<std::size_t>(widest_w)),
        y(static_cast<std::size_t>(widest_y));
    std::vector<double> seconds;
    for (int round = 0; round <= std::stoi(options.at("steps")); ++round) {
      const auto start = Clock::now();
      for (const Product& p : products) {
        for (std::int64_t i = 0; i < p.count; ++i) multiply(p, x.data(), w.data(), y.data());
      }
      if (round > 0) seconds.push_back(since(start));
    }
    Json::Array shapes;
    for (const Product& p : products) shapes.push_back(Json::list({p.rows, p.in, p.out, p.count}));
    return Json::object({{"side", gemm_description()},
                         {"rate", flops / median(seconds) * 1e-9},
                         {"products", Json::list(std::move(shapes))}});
  });
}
