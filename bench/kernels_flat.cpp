// Kernels over flat spans larger than the caches: element-wise arithmetic, the optimizer, sums per
// sample.
#include <utility>
#include <vector>

#include "bench/ceilings.h"
#include "bench/kernels.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/elementwise.h"
#include "tensor/kernels/per_sample.h"
#include "tensor/kernels/update.h"

namespace holdfast::bench {
namespace {

using kernels::best;

/// Spans of n floats in (0, 1): what logarithms and roots can take.
struct Spans {
  std::int64_t n;
  float *a, *b, *c, *d, *e, *f;
  std::vector<Tensor> owners;

  explicit Spans(std::int64_t count) : n(count) {
    a = make(), b = make(), c = make(), d = make(), e = make(), f = make();
  }

 private:
  float* make() {
    owners.push_back(noise({n}, 0.49));
    float* x = owners.back().data<float>();
    for (std::int64_t i = 0; i < n; ++i) x[i] += 0.5f;
    return x;
  }
};

/// A kernel that reads and writes `bytes` an element.
template <class Kernel>
void add(const std::string& name, int bytes, Kernel kernel) {
  const std::int64_t n = bytes_beyond_cache() / 4;
  add_row(name, std::to_string(n), {.bytes = static_cast<double>(bytes * n)},
          [=] { return [=, s = Spans(n)] { kernel(s); }; });
}

void add_elementwise() {
  const auto& table = best<kernels::Elementwise<float>>();
  add("elementwise.accumulate", 12, [&](const Spans& s) { table.accumulate(s.a, s.b, s.n); });
  add("elementwise.scale", 8, [&](const Spans& s) { table.scale(0.5f, s.a, s.b, s.n); });
  for (const auto& [name, f] : std::vector<std::pair<std::string, kernels::Binary<float>>>{
           {"add", table.add}, {"sub", table.sub}, {"mul", table.mul}, {"div", table.div}}) {
    add("elementwise." + name, 12, [f = f](const Spans& s) { f(s.a, 1, s.b, 1, s.c, s.n); });
  }
  for (const auto& [name, f] :
       std::vector<std::pair<std::string, kernels::Unary<float>>>{{"exp", table.exp},
                                                                  {"tanh", table.tanh},
                                                                  {"log", table.log},
                                                                  {"erf", table.erf},
                                                                  {"gelu_erf", table.gelu_erf},
                                                                  {"gelu_tanh", table.gelu_tanh},
                                                                  {"relu", table.relu}}) {
    add("elementwise." + name + ".forward", 8,
        [f = f](const Spans& s) { f.forward(s.a, s.b, s.n); });
    add("elementwise." + name + ".backward", 12,
        [f = f](const Spans& s) { f.backward(s.a, s.b, s.c, s.n); });
  }
}

void add_update() {
  const auto& table = best<kernels::Update<float>>();
  const kernels::AdamWStep step{.clip = 0.5,
                                .decay = 1 - 1e-7,
                                .one_minus_beta1 = 0.1,
                                .beta2 = 0.999,
                                .one_minus_beta2 = 0.001,
                                .step_size = 1e-5,
                                .root_bias2 = 0.5,
                                .epsilon = 1e-8};
  add("update.adamw", 28,
      [&, step](const Spans& s) { table.adamw(step, s.a, s.b, s.c, s.d, s.n); });
  add("update.adamw_pulled", 36, [&, step](const Spans& s) {
    kernels::PullSpans<float> pull;
    pull.importance = s.e, pull.anchor = s.f, pull.lambda = 0.3;
    table.adamw_pulled(step, pull, s.a, s.b, s.c, s.d, s.n);
  });
  add("update.sum_squares", 4, [&](const Spans& s) { table.sum_squares(s.a, s.n); });
  add("update.sum_weighted_squares", 12,
      [&](const Spans& s) { table.sum_weighted_squares(s.a, s.b, s.c, s.n); });
  add("update.sum_squared_differences", 8,
      [&](const Spans& s) { table.sum_squared_differences(s.a, s.b, s.n); });
  add("update.dots", 8, [&](const Spans& s) { table.dots(s.a, s.b, s.n); });
  add("update.add_weighted_difference", 20,
      [&](const Spans& s) { table.add_weighted_difference(0.1, s.a, s.b, s.c, s.d, s.n); });
}

void add_per_sample() {
  const auto& table = best<kernels::PerSample<float>>();
  for (const auto& [name, f] : std::vector<std::pair<std::string, kernels::Magnitude<float>>>{
           {"squares", table.squares}, {"absolutes", table.absolutes}}) {
    add("per_sample." + name + ".assign", 8, [f = f](const Spans& s) { f.assign(s.a, s.b, s.n); });
    add("per_sample." + name + ".add", 12, [f = f](const Spans& s) { f.add(s.a, s.b, s.n); });
  }
  const std::int64_t n = bytes_beyond_cache() / 4;
  for (const auto& [name, f] :
       std::vector<std::pair<std::string, void (*)(const float*, double*, std::int64_t)>>{
           {"squares.widen_add", table.squares.widen_add},
           {"absolutes.widen_add", table.absolutes.widen_add},
           {"widen_add", table.widen_add}}) {
    add_row("per_sample." + name, std::to_string(n), {.bytes = 20.0 * static_cast<double>(n)},
            [n, f = f] {
              return [=, x = noise({n}), y = Tensor::zeros({n}, DType::f64)] {
                f(x.data<float>(), y.data<double>(), n);
              };
            });
  }
  constexpr std::int64_t kWidth = 384, kTokens = 54;  // a text's rows at a time
  add("per_sample.column_sums", 4, [&](const Spans& s) {
    for (std::int64_t i = 0; i + kTokens * kWidth <= s.n; i += kTokens * kWidth)
      table.column_sums(s.a + i, kTokens, kWidth, s.b, kWidth);
  });
  add("per_sample.column_products", 8, [&](const Spans& s) {
    for (std::int64_t i = 0; i + kTokens * kWidth <= s.n; i += kTokens * kWidth)
      table.column_products(s.a + i, s.b + i, kTokens, kWidth, s.c, kWidth);
  });
}

}  // namespace

void add_flat_kernels() {
  add_elementwise();
  add_update();
  add_per_sample();
}

}  // namespace holdfast::bench
