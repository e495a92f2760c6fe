// bench_bf16: what products in bf16 gain for a whole training step, beside what they gain for the
// step's matrix products alone. Sides run in turn; figures are of medians.
//   bench_bf16 (--model DIR | --config FILE.json|PRESET) [--full BxT | --data FILE.csv
//   --max-length T] [--steps N] [--threads N]
#include "autograd/fused.h"
#include "base/parallel.h"
#include "bench/training_step.h"
#include "bench/useful_work.h"
#include "tensor/blas.h"

namespace {

using namespace holdfast;
using namespace holdfast::bench;

void multiply(const Product& p, const float* x, const float* w, const float* y, float* out) {
  gemm(Trans::no, Trans::yes, p.rows, p.out, p.in, 1.0F, x, p.in, w, p.in, 0.0F, out, p.out);
  gemm(Trans::no, Trans::no, p.rows, p.in, p.out, 1.0F, y, p.out, w, p.in, 0.0F, out, p.in);
  gemm(Trans::yes, Trans::no, p.out, p.in, p.rows, 1.0F, y, p.out, x, p.in, 0.0F, out, p.in);
}
void multiply(const Product& p, const Bf16* x, const Bf16* w, const Bf16* y, float* out) {
  gemm(Trans::no, Trans::yes, p.rows, p.out, p.in, x, p.in, w, p.in, false, out, p.out);
  gemm(Trans::no, Trans::no, p.rows, p.in, p.out, y, p.out, w, p.in, false, out, p.in);
  gemm(Trans::yes, Trans::no, p.out, p.in, p.rows, y, p.out, x, p.in, false, out, p.in);
}

/// All products of a step, forward and both gradients.
class Products {
 public:
  Products(const BertConfig& config, const std::vector<Sample>& samples)
      : products_(products_of(config, samples)) {
    for (const Product& p : products_) {
      const auto most =
          static_cast<std::size_t>(std::max({p.rows * p.in, p.in * p.out, p.rows * p.out}));
      if (most > out_.size()) out_.resize(most);
    }
    wide_.resize(out_.size());
    narrow_.resize(out_.size());
  }

  double seconds(bool bf16) {
    const auto start = Clock::now();
    for (const Product& p : products_) {
      for (std::int64_t i = 0; i < p.count; ++i) {
        if (bf16) {
          multiply(p, narrow_.data(), narrow_.data(), narrow_.data(), out_.data());
        } else {
          multiply(p, wide_.data(), wide_.data(), wide_.data(), out_.data());
        }
      }
    }
    return since(start);
  }

  double flops() const {
    double sum = 0;
    for (const Product& p : products_) sum += 3 * p.flops() * static_cast<double>(p.count);
    return sum;
  }

 private:
  std::vector<Product> products_;
  std::vector<float> wide_, out_;
  std::vector<Bf16> narrow_;
};

}  // namespace

int main(int argc, char** argv) {
  return run_main("bench_bf16", [&] {
    Options options = parse(argc, argv, kWorkload);
    if (options.at("data").empty() && options.at("full").empty()) options["full"] = "32x128";
    set_thread_count(std::stoi(options.at("threads")));
    const auto batches = make_batches(options, std::stoul(options.at("steps")) + 1);
    Step step(make_model(options));
    std::vector<double> steps[2], products[2];
    double flops = 0;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      Products alone(step.model.config(), batches[i]);
      alone.seconds(true);
      flops += i > 0 ? alone.flops() : 0;
      for (const bool bf16 : {false, true}) {
        const double product_seconds = alone.seconds(bf16);
        const Bf16Products scope(bf16);
        const auto start = Clock::now();
        step(batches[i]);
        if (i == 0) continue;
        steps[bf16].push_back(since(start));
        products[bf16].push_back(product_seconds);
      }
    }
    const double rate = flops / static_cast<double>(batches.size() - 1) * 1e-9;
    const double step_gain = median(steps[0]) / median(steps[1]),
                 gemm_gain = median(products[0]) / median(products[1]);
    return Json::object({{"step_seconds_f32", median(steps[0])},
                         {"step_seconds_bf16", median(steps[1])},
                         {"gemm_rate_f32", rate / median(products[0])},
                         {"gemm_rate_bf16", rate / median(products[1])},
                         {"step_gain", step_gain},
                         {"gemm_gain", gemm_gain},
                         {"share", step_gain / gemm_gain}});
  });
}
