// What holds weights back: penalties, projections and bounds, beside loops over single elements.
#include <algorithm>
#include <cmath>

#include "audit/case.h"
#include "audit/reference/random_tensor.h"
#include "audit/reference/small_arena.h"
#include "train/gradient_projection.h"
#include "train/mixout.h"
#include "train/penalty.h"
#include "train/protect.h"

namespace holdfast::audit {
namespace {

using reference::random_tensor;
using Vector = std::vector<double>;

constexpr std::int64_t kWidth = 130;  // matrices of more than one piece

// Importance in [0, 1) by place, a fifth of it zero; nothing in the gaps between slices.
Tensor importance_for(const ParameterArena& arena, std::uint64_t seed) {
  const Tensor f = Tensor::zeros({arena.numel()}, DType::f64);
  const Vector random = random_tensor({arena.numel()}, seed, -0.25, 1).to_vector();
  for (const NamedSlice& slice : arena.slices()) {
    for (std::int64_t i = slice.offset; i < slice.offset + slice.size; ++i) {
      f.data<double>()[i] = std::max(0.0, random[static_cast<std::size_t>(i)]);
    }
  }
  return f.to(arena.dtype());
}

double mean_positive(const Vector& f, std::size_t begin, std::size_t end) {
  double sum = 0, count = 0;
  for (std::size_t i = begin; i < end; ++i) sum += f[i], count += f[i] > 0;
  return sum / count;
}

double ewc_value() {
  const ParameterArena old = small_arena(1, DType::f64, kWidth);
  EwcPenalty penalty(0.7, old);
  penalty.add(importance_for(old, 5), Normalization::none);
  const Tensor theta = small_arena(2, DType::f64, kWidth).values();
  const Vector f = importance_for(old, 5).to_vector(), x = theta.to_vector(),
               anchor = old.values().to_vector();
  double expected = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    expected += 0.7 * f[i] * (x[i] - anchor[i]) * (x[i] - anchor[i]);
  }
  return relative_error(penalty.value(theta), expected);
}

double ewc_gradient() {
  const ParameterArena old = small_arena(1, DType::f64);
  EwcPenalty penalty(0.7, old);
  penalty.add(importance_for(old, 5), Normalization::mean);
  const Tensor theta = small_arena(2, DType::f64).values();
  const Tensor gradient = Tensor::full(theta.shape(), DType::f64, 5);
  penalty.add_gradient(theta, gradient);
  Vector found = gradient.to_vector(), expected;
  for (std::int64_t i = 0; i < theta.numel(); ++i) {
    double& x = theta.data<double>()[i];
    const double at = x;
    const auto central = [&](double h) {
      x = at + h;
      const double above = penalty.value(theta);
      x = at - h;
      const double below = penalty.value(theta);
      x = at;
      return (above - below) / (2 * h);
    };
    expected.push_back(5 + (4 * central(1e-2) - central(2e-2)) / 3);
  }
  return relative_error(found, expected);
}

// Fh of every normalisation, one task upon another, and what is said about the raw values.
double normalisations() {
  const ParameterArena old = small_arena(1, DType::f64, kWidth);
  const Tensor fisher = importance_for(old, 5);
  const Vector f = fisher.to_vector();
  const double mean = mean_positive(f, 0, f.size()), largest = *std::ranges::max_element(f);
  Worst worst;
  for (const Normalization kind :
       {Normalization::none, Normalization::mean, Normalization::max, Normalization::tensor}) {
    EwcPenalty penalty(1, old);
    penalty.add(Tensor::full({old.numel()}, DType::f64, 0.25), Normalization::none);
    const ImportanceScale scale = penalty.add(fisher, kind, 0.4);
    Vector expected(f.size(), 0.25);
    for (const NamedSlice& slice : old.slices()) {
      const auto begin = static_cast<std::size_t>(slice.offset),
                 end = begin + static_cast<std::size_t>(slice.size);
      const double divisor = kind == Normalization::none   ? 1
                             : kind == Normalization::mean ? mean
                             : kind == Normalization::max  ? largest
                                                           : mean_positive(f, begin, end);
      for (std::size_t i = begin; i < end; ++i) expected[i] += 0.4 * f[i] / divisor;
    }
    worst.add(relative_error(penalty.importance().to_vector(), expected));
    worst.add(relative_error(scale.mean_positive, mean));
    worst.add(relative_error(scale.maximum, largest));
    worst.add(relative_error(scale.positive_share, static_cast<double>(std::ranges::count_if(
                                                       f, [](double x) { return x > 0; })) /
                                                       static_cast<double>(old.parameter_count())));
  }
  return worst.value();
}

double recadam() {
  const RecAdam rule{.weight = 0.8, .slope = 0.5, .midpoint = 6, .pull = 90};
  Worst worst;
  for (const std::int64_t t : {1, 5, 6, 7, 40}) {
    const double share = 0.8 / (1 + std::exp(-0.5 * (static_cast<double>(t) - 6)));
    worst.add(relative_error(rule.task_share(t), share));
    worst.add(relative_error(rule.keep(0.01, t), 1 - 0.01 * (0.8 - share) * 90));
  }
  return worst.value();
}

double projection() {
  const ParameterArena arena = small_arena(1, DType::f64, kWidth);
  const std::vector<ArenaSpan> spans = shared_spans(arena);
  Worst worst;
  for (const double sign : {1.0, -1.0}) {
    const Tensor r = random_tensor({arena.numel()}, 2), g = random_tensor({arena.numel()}, 3);
    Vector a = g.to_vector(), b = r.to_vector();
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = g.data<double>()[i] += 0.4 * sign * b[i];
    double gr = 0, rr = 0, gg = 0;
    for (const auto& [begin, end] : spans) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        gr += a[i] * b[i], rr += b[i] * b[i], gg += a[i] * a[i];
      }
    }
    const Projection found = project(g, r, spans);
    for (const auto& [begin, end] : spans) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        a[i] -= gr < 0 ? gr / rr * b[i] : 0;
      }
    }
    worst.add(relative_error(g.to_vector(), a));
    worst.add(relative_error(found.cosine, gr / std::sqrt(gg * rr)));
    worst.add(unequal(found.acted, sign < 0));
  }
  return worst.value();
}

bool is_matrix(const NamedSlice& slice) {
  return slice.task.empty() && slice.layer > 0 && slice.decay;
}

// M from the mixed weights themselves; what is not mixed stays as it is.
double mixout() {
  const double p = 0.25;
  const ParameterArena arena = small_arena(1, DType::f64, kWidth);
  const Tensor old = small_arena(2, DType::f64, kWidth).values(), theta = arena.values().clone(),
               gradient = random_tensor(theta.shape(), 3);
  const Vector W = theta.to_vector(), W0 = old.to_vector(), dW = gradient.to_vector();
  Mixout measure(arena, old, p, 7);
  measure.mix(theta, 12);
  const Vector mixed = theta.to_vector();
  measure.unmix(theta, gradient);
  Worst worst;
  worst.add(unequal(theta.to_vector(), W));
  Vector expected = W, slope = dW;
  for (const NamedSlice& slice : arena.slices()) {
    if (!is_matrix(slice)) continue;
    const auto first = static_cast<std::size_t>(slice.offset);
    for (std::size_t i = first; i < first + static_cast<std::size_t>(slice.size); ++i) {
      const std::size_t column = first + (i - first) % static_cast<std::size_t>(kWidth);
      const double M = mixed[column] == W0[column] ? 0 : 1;
      expected[i] = ((1 - M) * W0[i] + M * W[i] - p * W0[i]) / (1 - p);
      slope[i] = dW[i] * M / (1 - p);
    }
  }
  worst.add(relative_error(mixed, expected));
  worst.add(relative_error(gradient.to_vector(), slope));
  // Columns decide, and each step anew: four deviations of their share.
  double kept = 0, decisions = 0;
  for (std::uint32_t step = 13; step < 53; ++step) {
    measure.mix(theta, step);
    const Vector again = theta.to_vector();
    measure.unmix(theta, gradient);
    for (const NamedSlice& slice : arena.slices()) {
      if (!is_matrix(slice)) continue;
      for (auto i = static_cast<std::size_t>(slice.offset);
           i < static_cast<std::size_t>(slice.offset + kWidth); ++i)
        kept += again[i] == W0[i] ? 0 : 1, decisions += 1;
    }
  }
  const double deviation = std::sqrt(p * (1 - p) / decisions);
  if (std::abs(kept / decisions - (1 - p)) > 4 * deviation) worst.add(1);
  return worst.value();
}

// Bounds by loops: key weights are the most important shared ones, ties by place.
double bounds_on_weights(ProtectUnit unit, ProtectMode mode) {
  const ParameterArena arena = small_arena(1, DType::f64, 9);
  const Tensor importance = importance_for(arena, 5);
  const Vector f = importance.to_vector(), old = arena.values().to_vector();
  const Tensor theta = arena.values().clone();
  const Vector d = random_tensor(theta.shape(), 4, -0.4, 0.4).to_vector();
  for (std::size_t i = 0; i < d.size(); ++i) theta.data<double>()[i] += d[i];
  const Vector before = theta.to_vector();
  // Units as lists of places.
  std::vector<std::vector<std::size_t>> units;
  for (const NamedSlice& slice : arena.slices()) {
    if (!slice.task.empty()) continue;
    const auto first = static_cast<std::size_t>(slice.offset),
               size = static_cast<std::size_t>(slice.size);
    if (unit == ProtectUnit::weight) {
      for (std::size_t i = first; i < first + size; ++i) units.push_back({i});
      continue;
    }
    if (slice.name.ends_with("bias")) continue;
    const NamedSlice* bias = slice.name.ends_with(".weight")
                                 ? arena.find(slice.name.substr(0, slice.name.size() - 6) + "bias")
                                 : nullptr;
    const auto rows = static_cast<std::size_t>(slice.shape[0]);
    for (std::size_t r = 0; r < rows; ++r) {
      std::vector<std::size_t>& neuron = units.emplace_back();
      for (std::size_t i = 0; i < size / rows; ++i) neuron.push_back(first + r * (size / rows) + i);
      if (bias) neuron.push_back(static_cast<std::size_t>(bias->offset) + r);
    }
  }
  const auto score = [&](const std::vector<std::size_t>& places) {
    double sum = 0;
    for (const std::size_t i : places) sum += f[i];
    return sum / static_cast<double>(places.size());
  };
  const auto count =
      static_cast<std::size_t>(std::llround(0.3 * static_cast<double>(units.size())));
  std::ranges::stable_sort(units,
                           [&](const auto& a, const auto& b) { return score(a) > score(b); });
  Vector expected = before;
  for (std::size_t u = 0; u < count; ++u) {
    for (const std::size_t i : units[u]) {
      const double reach = mode == ProtectMode::freeze ? 0 : 0.2 * std::abs(old[i]);
      expected[i] = std::clamp(before[i], old[i] - reach, old[i] + reach);
    }
  }
  Protection protection(arena, arena.values().clone(), &importance,
                        {.key_fraction = 0.3, .max_drift = 0.2, .mode = mode, .unit = unit});
  protection.apply(theta);
  return relative_error(theta.to_vector(), expected);
}

double bounds_on_tensors() {
  const ParameterArena arena = small_arena(1, DType::f64, kWidth);
  const Tensor theta = arena.values().clone();
  const Vector old = arena.values().to_vector();
  Worst worst;
  Vector expected = old;
  std::int64_t at_bound = 0;
  std::uint64_t seed = 7;
  for (const NamedSlice& slice : arena.slices()) {  // tensors move by less and by more than allowed
    const auto first = static_cast<std::size_t>(slice.offset);
    const Vector d = random_tensor({slice.size}, ++seed, -1, 1).to_vector();
    double moved = 0, norm = 0;
    for (std::size_t i = 0; i < d.size(); ++i) {
      const double step = (seed % 2 == 0 ? 0.1 : 0.4) * d[i];
      theta.data<double>()[first + i] += step;
      moved += step * step, norm += old[first + i] * old[first + i];
      expected[first + i] += step;
    }
    if (!slice.task.empty() || moved <= 0.04 * norm) continue;
    ++at_bound;
    for (std::size_t i = first; i < first + d.size(); ++i) {
      expected[i] = old[i] + (expected[i] - old[i]) * 0.2 * std::sqrt(norm / moved);
    }
  }
  Protection protection(arena, arena.values().clone(), nullptr,
                        {.max_drift = 0.2, .bound = ProtectBound::tensor});
  protection.apply(theta);
  worst.add(unequal(protection.at_bound(), at_bound));
  worst.add(relative_error(theta.to_vector(), expected));
  return worst.value();
}

}  // namespace

std::vector<Case> penalty_cases() {
  Family family("penalties and bounds");
  family.formula({.name = "EWC",
                  .equation = "lambda sum_i Fh_i (theta_i - theta_old,i)^2",
                  .source = "Kirkpatrick et al. 2017",
                  .against = "loop in double, 37,000 weights",
                  .covers = "train/penalty.h: EwcPenalty",
                  .bound = 1e-12},
                 ewc_value);
  family.gradient({.name = "EWC, gradient",
                   .equation = "2 lambda Fh (theta - theta_old)",
                   .source = "Kirkpatrick et al. 2017",
                   .against = "Richardson's differences of the value, every element",
                   .covers = "train/penalty.h: EwcPenalty",
                   .bound = 1e-10},
                  ewc_gradient);
  family.formula(
      {.name = "normalised importance",
       .equation = "Fh += factor F / (1 | mean of F > 0 | max F | the tensor's own mean)",
       .source = "Schwarz et al. 2018",
       .against = "loops in double, all four kinds",
       .covers = "train/importance.h: add_normalised, train/importance.h: importance_scale",
       .bound = 1e-13},
      normalisations);
  family.formula({.name = "RecAdam",
                  .equation = "k(t) = w / (1 + exp(-slope (t - t0))); keep 1 - lr (w - k) gamma",
                  .source = "Chen et al. 2020",
                  .against = "closed form, before, at and after t0",
                  .covers = "train/penalty.h: RecAdam",
                  .bound = 1e-14},
                 recadam);
  family.formula({.name = "A-GEM",
                  .equation = "g -= (g.r / r.r) r when g.r < 0",
                  .source = "Chaudhry et al. 2019",
                  .against = "loop in double, conflicting and agreeing gradients",
                  .covers = "train/gradient_projection.h: project",
                  .bound = 1e-12},
                 projection);
  family.formula({.name = "Mixout",
                  .equation = "W' = ((1-M) W0 + M W - p W0) / (1-p), dW = dW' M / (1-p)",
                  .source = "Lee, Cho & Kang 2020",
                  .against = "the formula with the masks it drew",
                  .covers = "train/mixout.h: Mixout",
                  .bound = 1e-14},
                 mixout);
  for (const auto& [name, unit, mode] :
       {std::tuple{"clamped weights", ProtectUnit::weight, ProtectMode::clamp},
        {"clamped neurons", ProtectUnit::neuron, ProtectMode::clamp},
        {"frozen weights", ProtectUnit::weight, ProtectMode::freeze}}) {
    family.formula(
        {.name = name,
         .equation = "theta_i within theta_old,i -+ max_drift |theta_old,i| for the most important",
         .source = "definition",
         .against = "sorting and clamping in double",
         .covers = "train/protect.h: Protection",
         .bound = 1e-15},
        [=] { return bounds_on_weights(unit, mode); });
  }
  family.formula({.name = "bounded tensors",
                  .equation = "theta_old + d max_drift ||theta_old|| / ||d|| where ||d|| is beyond",
                  .source = "definition",
                  .against = "loops in double, both sides of the bound",
                  .covers = "train/protect.h: Protection",
                  .bound = 1e-14},
                 bounds_on_tensors);
  return family.take();
}

}  // namespace holdfast::audit
