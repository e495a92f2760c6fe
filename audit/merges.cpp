// Merging of models beside whole vectors of double (reference/merge.h).
#include <cmath>

#include "audit/case.h"
#include "audit/reference/merge.h"
#include "audit/reference/random_tensor.h"
#include "audit/reference/small_arena.h"
#include "tensor/random.h"
#include "train/merge.h"

namespace holdfast::audit {
namespace {

using reference::random_tensor;
using reference::Vector;

// Models near a base, one far from it; importance that is zero here and there.
struct Models {
  ParameterArena arena = small_arena(1, DType::f64, 60);
  std::vector<NamedSlice> slices = arena.slices();
  Tensor base = arena.values().clone();

  Tensor near(std::uint64_t seed, double spread) const {
    const Vector noise = random_tensor(base.shape(), seed, -spread, spread).to_vector();
    const Tensor out = base.clone();
    for (std::size_t i = 0; i < noise.size(); ++i) out.data<double>()[i] += noise[i];
    return out;
  }
  Tensor importance(std::uint64_t seed) const {
    const Tensor out = random_tensor(base.shape(), seed, -0.5, 1);
    for (double& x : out.span<double>()) x = x < 0 ? 0 : 1e-4 * x;
    return out;
  }
  // The elements of the slices, one tensor after the other.
  Vector flat(const Tensor& x) const {
    Vector out;
    for (const NamedSlice& slice : slices) {
      const Vector part = x.slice(0, slice.offset, slice.offset + slice.size).to_vector();
      out.insert(out.end(), part.begin(), part.end());
    }
    return out;
  }
  Vector merged(const MergeOptions& options, const std::vector<MergeInput>& inputs) const {
    const Tensor target = Tensor::zeros(base.shape(), DType::f64);
    merge(slices, needs_base(options.method) ? base : Tensor(), inputs, options, target);
    return flat(target);
  }
};

double linear() {
  const Models m;
  const Tensor a = m.near(2, 0.1), b = m.near(3, 0.3), c = m.near(4, 0.01);
  return relative_error(m.merged({.method = MergeMethod::linear}, {{a, 0.5}, {b, 3}, {c, 1}}),
                        reference::mean_of({m.flat(a), m.flat(b), m.flat(c)}, {0.5, 3, 1}));
}

// One tensor is parallel to itself and another nearly: cosines on both sides of the threshold.
double slerp() {
  const Models m;
  const Tensor a = m.near(2, 0.1), b = random_tensor(m.base.shape(), 9);
  for (const NamedSlice& slice : m.slices) {
    const double spread = slice.layer == 1 ? 0.02 : slice.layer == 2 ? 0.05 : 2;
    for (std::int64_t i = slice.offset; i < slice.offset + slice.size; ++i) {
      b.data<double>()[i] = a.data<double>()[i] + spread * b.data<double>()[i];
    }
  }
  Vector expected;
  std::int64_t on_arc = 0;
  for (const NamedSlice& slice : m.slices) {
    const auto part = [&](const Tensor& x) {
      return x.slice(0, slice.offset, slice.offset + slice.size).to_vector();
    };
    const Vector x = part(a), y = part(b), merged = reference::slerp(x, y, 0.3);
    on_arc += merged != reference::mean_of({x, y}, {0.7, 0.3});
    expected.insert(expected.end(), merged.begin(), merged.end());
  }
  const Tensor target = Tensor::zeros(m.base.shape(), DType::f64);
  const std::vector<MergeInput> inputs{{a, 1.4}, {b, 0.6}};
  const MergeReport report = merge(m.slices, {}, inputs, {.method = MergeMethod::slerp}, target);
  Worst worst;
  worst.add(relative_error(m.flat(target), expected));
  worst.add(unequal(report.on_arc, on_arc));
  worst.add(on_arc == 0 || on_arc == report.tensors ? 1.0 : 0.0);  // both ways are met
  return worst.value();
}

double fisher() {
  const Models m;
  const Tensor a = m.near(2, 0.1), b = m.near(3, 0.3), fa = m.importance(5), fb = m.importance(6);
  return relative_error(
      m.merged({.method = MergeMethod::fisher, .floor = 0.2}, {{a, 0.5, fa}, {b, 2, fb}}),
      reference::fisher_mean({m.flat(a), m.flat(b)}, {0.5, 2}, {m.flat(fa), m.flat(fb)}, 0.2));
}

double task_arithmetic() {
  const Models m;
  const Tensor a = m.near(2, 0.1), b = m.near(3, 0.3);
  const Vector base = m.flat(m.base);
  const Vector expected =
      reference::moved(reference::moved(base, 0.4 * 0.5, reference::task_vector(m.flat(a), base)),
                       0.4 * 2, reference::task_vector(m.flat(b), base));
  return relative_error(
      m.merged({.method = MergeMethod::task_arithmetic, .scale = 0.4}, {{a, 0.5}, {b, 2}}),
      expected);
}

// An element of tau is kept when word i%4 of the stream's place i/4 is below keep 2^32.
Vector masked(const Models& m, const Vector& tau, std::size_t model, double keep,
              std::uint64_t seed) {
  Vector out;
  for (const NamedSlice& slice : m.slices) {
    const RandomStream stream(seed, "dare/" + std::to_string(model) + "/" + slice.name);
    for (std::uint64_t i = 0; i < static_cast<std::uint64_t>(slice.size); ++i) {
      const bool kept = static_cast<double>(stream.bits(0, i / 4)[i % 4]) < keep * 0x1p32;
      out.push_back(kept ? tau[out.size()] / keep : 0);
    }
  }
  return out;
}

double with_base(MergeMethod method) {
  const Models m;
  const std::vector<Tensor> models{m.near(2, 0.1), m.near(3, 0.3), m.near(4, 0.2)};
  const Vector weights{0.5, 2, 1}, base = m.flat(m.base);
  std::vector<MergeInput> inputs;
  std::vector<Vector> taus;
  for (std::size_t k = 0; k < models.size(); ++k) {
    inputs.push_back({models[k], weights[k]});
    const Vector tau = reference::task_vector(m.flat(models[k]), base);
    taus.push_back(method == MergeMethod::ties ? reference::trimmed(tau, 0.3)
                                               : masked(m, tau, k, 0.3, 11));
  }
  const Vector tau = method == MergeMethod::dare_linear ? reference::mean_of(taus, weights)
                                                        : reference::elected_mean(taus, weights);
  return relative_error(
      m.merged({.method = method, .scale = 0.8, .density = 0.3, .seed = 11}, inputs),
      reference::moved(base, 0.8, tau));
}

double with_start() {
  const Models m;
  const Tensor trained = m.near(2, 0.1), fa = m.importance(5), fb = m.importance(6);
  const Vector start = m.flat(m.base), end = m.flat(trained);
  const auto merged = [&](const MergeOptions& options) {
    const Tensor target = Tensor::zeros(m.base.shape(), DType::f64);
    merge_with_start(m.slices, {m.base, 1, fa}, {trained, 1, fb}, 0.3, options, target);
    return m.flat(target);
  };
  Worst worst;
  worst.add(relative_error(merged({.method = MergeMethod::linear}),
                           reference::mean_of({start, end}, {0.7, 0.3})));
  worst.add(relative_error(
      merged({.method = MergeMethod::fisher}),
      reference::fisher_mean({start, end}, {0.7, 0.3}, {m.flat(fa), m.flat(fb)}, 1e-6)));
  worst.add(relative_error(merged({.method = MergeMethod::task_arithmetic, .scale = 0.5}),
                           reference::moved(start, 0.15, reference::task_vector(end, start))));
  return worst.value();
}

}  // namespace

std::vector<Case> merge_cases() {
  Family family("merges");
  struct Row {
    std::string name, equation, source;
    std::function<double()> error;
  };
  const auto of = [](MergeMethod method) { return [method] { return with_base(method); }; };
  const std::vector<Row> rows{
      {"linear", "sum_k w_k theta_k / sum_k w_k", "Wortsman et al. 2022", linear},
      {"slerp", "(sin((1-a) omega) theta_0 + sin(a omega) theta_1) / sin omega", "Shoemake 1985",
       slerp},
      {"fisher", "sum_k w_k Fh_k theta_k / sum_k w_k Fh_k, Fh = max(F / mean, floor)",
       "Matena & Raffel 2022", fisher},
      {"task arithmetic", "theta_b + s sum_k w_k tau_k", "Ilharco et al. 2023", task_arithmetic},
      {"TIES", "trim, elect the sign, theta_b + s (mean of those that agree)", "Yadav et al. 2023",
       of(MergeMethod::ties)},
      {"DARE, linear", "theta_b + s sum_k w_k tau_k / sum_k w_k, tau dropped and divided by p",
       "Yu et al. 2024", of(MergeMethod::dare_linear)},
      {"DARE, TIES", "TIES with DARE's tau", "Yu et al. 2024", of(MergeMethod::dare_ties)},
      {"merge with the start", "weights 1 - w and w; scale s w", "Wortsman et al. 2022",
       with_start}};
  for (const Row& row : rows) {
    family.formula({.name = row.name,
                    .equation = row.equation,
                    .source = row.source,
                    .against = "whole vectors of double, tensors of several chunks",
                    .covers = row.name == "merge with the start" ? "train/merge.h: merge_with_start"
                                                                 : "train/merge.h: merge",
                    .unit = "of the largest weight",
                    .bound = 1e-14},
                   row.error);
  }
  return family.take();
}

}  // namespace holdfast::audit
