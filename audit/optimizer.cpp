// The optimizer beside a textbook loop over single elements (reference/pulled_adamw.h), with every
// pull that acts inside its pass.
#include "train/optimizer.h"

#include <algorithm>
#include <cmath>

#include "audit/case.h"
#include "audit/reference/pulled_adamw.h"
#include "audit/reference/random_tensor.h"
#include "audit/reference/small_arena.h"
#include "train/schedule.h"

namespace holdfast::audit {
namespace {

using reference::PulledAdamW;
using reference::random_tensor;
using Vector = std::vector<double>;

// Constants that all matter: epsilon of the size of the smaller gradients, unequal betas.
constexpr AdamWOptions kOptions{.beta1 = 0.8, .beta2 = 0.95, .epsilon = 1e-3};
constexpr double kDecay = 0.1, kClip = 0.5, kRateFactor = 0.75;
constexpr std::int64_t kWidth = 40;  // matrices of several blocks of the kernel
constexpr int kSteps = 7;

// A third of the importances are zero, and a run of them that a penalty passes over.
Vector importance(std::int64_t n) {
  Vector f = random_tensor({n}, 3, 0).to_vector();
  for (std::size_t i = 0; i < f.size(); i += 3) f[i] = 0;
  std::fill(f.begin() + 700, f.begin() + 1500, 0.0);
  return f;
}

// Of every size from 1e-6 to 1.
Vector gradient(std::int64_t n, std::uint64_t step) {
  Vector g = random_tensor({n}, 10 + step).to_vector();
  for (std::size_t i = 0; i < g.size(); ++i) g[i] *= std::pow(10.0, -static_cast<double>(i % 7));
  return g;
}

struct Setting {
  double lambda = 0;
  Coupling coupling = Coupling::coupled;
  L2Penalty l2{};
  bool recadam = false;
};
constexpr RecAdam kRecAdam{.weight = 0.8, .slope = 0.5, .midpoint = 4, .pull = 9};

PulledAdamW oracle_of(const UpdateRange& range, const Setting& setting, const Vector& theta,
                      const Vector& old, const Vector& f) {
  const auto part = [&](const Vector& x) {
    return Vector(x.begin() + range.begin, x.begin() + range.end);
  };
  PulledAdamW oracle;
  oracle.rate = range.learning_rate * kRateFactor, oracle.decay = range.weight_decay;
  oracle.clip = kClip;
  oracle.beta1 = kOptions.beta1, oracle.beta2 = kOptions.beta2, oracle.epsilon = kOptions.epsilon;
  oracle.lambda = setting.lambda, oracle.decoupled = setting.coupling == Coupling::decoupled;
  const bool to_old = setting.l2.toward == L2Target::old;
  oracle.l2 = to_old && !range.anchored ? setting.l2.head : setting.l2.weight;
  oracle.l2_to_old = to_old && range.anchored;
  if (setting.recadam && range.anchored) {
    oracle.w = kRecAdam.weight, oracle.slope = kRecAdam.slope;
    oracle.midpoint = kRecAdam.midpoint, oracle.gamma = kRecAdam.pull;
  }
  oracle.theta = part(theta), oracle.old = part(old), oracle.fisher = part(f);
  oracle.m.resize(oracle.theta.size()), oracle.v.resize(oracle.theta.size());
  return oracle;
}

// What the penalties are before a step, by loops over the oracles' ranges.
UpdateSums sums_of(const std::vector<PulledAdamW>& oracles, const std::vector<UpdateRange>& ranges,
                   const Setting& setting) {
  UpdateSums sums;
  for (std::size_t r = 0; r < oracles.size(); ++r) {
    const PulledAdamW& o = oracles[r];
    const bool head = setting.l2.toward == L2Target::old && !ranges[r].anchored;
    for (std::size_t i = 0; i < o.theta.size(); ++i) {
      const double d = o.theta[i] - o.old[i], pulled = o.l2_to_old ? d : o.theta[i];
      sums.ewc += o.lambda * o.fisher[i] * d * d;
      (head ? sums.l2_head : sums.l2) += o.l2 * pulled * pulled;
    }
  }
  return sums;
}

double adamw(const Setting& setting, DType dtype) {
  const ParameterArena old = small_arena(1, dtype, kWidth);
  const std::int64_t n = old.numel();
  const Tensor theta = small_arena(2, dtype, kWidth).values();
  const Vector f = Tensor::from(importance(n), {n}).to(dtype).to_vector();
  const std::vector<ArenaSpan> fresh =
      spans_of(old, [](const NamedSlice& slice) { return slice.task == "medical"; });
  const std::vector<UpdateRange> ranges =
      update_ranges(old, layer_rates(0.01, 0.08, 2), kDecay, fresh);
  EwcPenalty ewc(setting.lambda, old);
  ewc.add(Tensor::from(f, {n}).to(dtype), Normalization::none);
  AdamW optimizer(n, dtype, ranges, kOptions);
  std::vector<PulledAdamW> oracles;
  for (const UpdateRange& range : ranges) {
    oracles.push_back(oracle_of(range, setting, theta.to_vector(), old.values().to_vector(), f));
  }
  const Pull pull{.ewc = setting.lambda > 0 ? &ewc : nullptr,
                  .l2 = setting.l2,
                  .anchor = &old.values(),
                  .coupling = setting.coupling,
                  .recadam = setting.recadam ? &kRecAdam : nullptr};
  Vector expected = theta.to_vector();
  Worst worst;
  for (std::uint64_t step = 0; step < kSteps; ++step) {
    const Tensor g = Tensor::from(gradient(n, step), {n}).to(dtype);
    const Vector task = g.to_vector();
    const UpdateSums sums = optimizer.step(theta, g, kRateFactor, kClip, pull);
    const UpdateSums wanted = sums_of(oracles, ranges, setting);
    if (dtype == DType::f64) {
      worst.add(relative_error(sums.ewc, wanted.ewc));
      worst.add(relative_error(sums.l2, wanted.l2));
      worst.add(relative_error(sums.l2_head, wanted.l2_head));
    }
    for (std::size_t r = 0; r < ranges.size(); ++r) {
      oracles[r].step(Vector(task.begin() + ranges[r].begin, task.begin() + ranges[r].end));
      std::ranges::copy(oracles[r].theta, expected.begin() + ranges[r].begin);
    }
    worst.add(relative_error(theta.to_vector(), expected));
  }
  return worst.value();
}

// Layers that are trained late begin as at t = 1; what is not trained stays.
double late_layers() {
  const ParameterArena old = small_arena(1, DType::f64, kWidth);
  const std::int64_t n = old.numel();
  const Tensor theta = old.values().clone();
  const std::vector<UpdateRange> ranges =
      update_ranges(old, layer_rates(0.01, 0.08, 2), kDecay, {});
  AdamW optimizer(n, DType::f64, ranges, kOptions);
  std::vector<PulledAdamW> oracles;
  for (const UpdateRange& range : ranges) {
    oracles.push_back(oracle_of(range, {}, theta.to_vector(), theta.to_vector(),
                                Vector(static_cast<std::size_t>(n))));
  }
  Vector expected = theta.to_vector();
  Worst worst;
  for (const int lowest : {3, 3, 2, 1, 0, 0}) {
    optimizer.train_from_layer(lowest);
    const Vector g = gradient(n, static_cast<std::uint64_t>(lowest));
    optimizer.step(theta, Tensor::from(g, {n}), kRateFactor, kClip);
    for (std::size_t r = 0; r < ranges.size(); ++r) {
      if (ranges[r].layer < lowest) continue;
      oracles[r].step(Vector(g.begin() + ranges[r].begin, g.begin() + ranges[r].end));
      std::ranges::copy(oracles[r].theta, expected.begin() + ranges[r].begin);
    }
    worst.add(relative_error(theta.to_vector(), expected));
    std::int64_t trained = 0, wanted = 0;
    for (const ArenaSpan& span : optimizer.trained_spans()) trained += span.size();
    for (const UpdateRange& range : ranges)
      wanted += range.layer < lowest ? 0 : range.end - range.begin;
    worst.add(unequal(trained, wanted));
  }
  return worst.value();
}

double ranges_by_slice() {
  const ParameterArena arena = small_arena(1, DType::f64);
  const std::vector<double> rates = layer_rates(0.01, 0.08, 2);
  const NamedSlice& head = *arena.find("heads.medical.weight");
  const ArenaSpan fresh{head.offset + 3, head.offset + 8};
  const std::vector<UpdateRange> ranges = update_ranges(arena, rates, kDecay, {&fresh, 1});
  Worst worst;
  for (const NamedSlice& slice : arena.slices()) {
    for (std::int64_t i = slice.offset; i < slice.offset + slice.size; ++i) {
      const auto range = std::ranges::find_if(
          ranges, [&](const UpdateRange& r) { return r.begin <= i && i < r.end; });
      if (range == ranges.end()) return std::numeric_limits<double>::infinity();
      worst.add(relative_error(range->learning_rate, rates[static_cast<std::size_t>(slice.layer)]));
      worst.add(relative_error(range->weight_decay, slice.decay ? kDecay : 0.0));
      worst.add(unequal(range->anchored, i < fresh.begin || i >= fresh.end));
    }
  }
  return worst.value();
}

double norms(DType dtype) {
  const std::int64_t n = 50000;
  const Tensor g = random_tensor({n}, 4, -1, 1, dtype);
  const Vector values = g.to_vector();
  const std::vector<ArenaSpan> spans{{5, 100}, {200, 40000}, {40001, 45017}};
  const auto expected = [&](const std::vector<ArenaSpan>& within) {
    double sum = 0;
    for (const auto& [begin, end] : within) {
      for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
        sum += values[i] * values[i];
      }
    }
    return std::sqrt(sum);
  };
  Worst worst;
  worst.add(relative_error(gradient_norm(g), expected({{0, n}})));
  worst.add(relative_error(gradient_norm(g, spans), expected(spans)));
  return worst.value();
}

// As torch.nn.utils.clip_grad_norm_: both sides of the limit, and no limit.
double clipping() {
  Worst worst;
  for (const double norm : {0.0, 1e-7, 0.3, 1.4999989, 1.5, 20.0}) {
    worst.add(relative_error(clip_factor(norm, 1.5), std::min(1.0, 1.5 / (norm + 1e-6))));
    worst.add(relative_error(clip_factor(norm, 0), 1));
  }
  worst.add(relative_error(clip_factor(1e-5, 1e-6), 1e-6 / 1.1e-5));
  return worst.value();
}

}  // namespace

std::vector<Case> optimizer_cases() {
  Family family("optimizer");
  const std::string step =
      "g = clip g_task + pulls; theta *= 1 - lr decay; m += (1-b1)(g-m); "
      "v = b2 v + (1-b2) g^2; theta -= lr/(1-b1^t) m/(sqrt(v)/sqrt(1-b2^t) + eps)";
  const std::string against = "textbook loop in double, seven steps, six ranges of rates and decay";
  struct Row {
    std::string name, equation, source;
    Setting setting;
  };
  const std::vector<Row> rows{
      {"AdamW", step, "Loshchilov & Hutter 2019, alg. 2", {}},
      {"AdamW with EWC, coupled", "g += 2 lambda Fh d", "Kirkpatrick et al. 2017", {.lambda = 0.7}},
      {"AdamW with EWC, decoupled",
       "then theta = theta_old + d / (1 + 2 lr lambda Fh)",
       "proximal map; Parikh & Boyd 2014",
       {.lambda = 9, .coupling = Coupling::decoupled}},
      {"AdamW with L2-SP",
       "g += 2 w (theta - theta_old), 2 head theta in a new head",
       "Li et al. 2018",
       {.l2 = {.weight = 0.3, .toward = L2Target::old, .head = 0.2}}},
      {"AdamW with L2",
       "g += 2 w theta",
       "definition",
       {.l2 = {.weight = 0.3, .toward = L2Target::zero, .head = 0.2}}},
      {"AdamW with RecAdam",
       "lr k(t) in the step; theta -= lr (w - k) gamma d",
       "Chen et al. 2020",
       {.recadam = true}},
      {"AdamW with all of them",
       "the pulls above in one pass",
       "definition",
       {.lambda = 0.7,
        .coupling = Coupling::decoupled,
        .l2 = {.weight = 0.3, .toward = L2Target::old, .head = 0.2},
        .recadam = true}}};
  for (const Row& row : rows) {
    for (const DType dtype : {DType::f64, DType::f32}) {
      family.formula({.name = row.name + ", " + std::string(name_of(dtype)),
                      .equation = row.equation,
                      .source = row.source,
                      .against = against,
                      .covers = "train/optimizer.h: AdamW, tensor/kernels/update.h: Update",
                      .unit = "of the largest weight",
                      .bound = dtype == DType::f64 ? 1e-13 : 3e-6},
                     [setting = row.setting, dtype] {
                       return on_every_isa([&] { return adamw(setting, dtype); });
                     });
    }
  }
  family.formula({.name = "layers that thaw",
                  .equation = "each range counts its own steps t",
                  .source = "Howard & Ruder 2018",
                  .against = "textbook loop a range",
                  .covers = "train/optimizer.h: AdamW",
                  .bound = 1e-13},
                 late_layers);
  family.formula(
      {.name = "update ranges",
       .equation =
           "rate of the slice's layer, decay where it wants it, anchored outside what is new",
       .source = "definition",
       .against = "every element's slice",
       .covers = "train/optimizer.h: update_ranges",
       .bound = 0},
      ranges_by_slice);
  for (const DType dtype : {DType::f64, DType::f32}) {
    family.formula({.name = "gradient norm, " + std::string(name_of(dtype)),
                    .equation = "sqrt(sum g_i^2)",
                    .source = "definition",
                    .against = "loop in double, whole and in spans",
                    .covers = "train/optimizer.h: gradient_norm",
                    .bound = 1e-13},
                   [dtype] { return on_every_isa([&] { return norms(dtype); }); });
  }
  family.formula({.name = "clipping",
                  .equation = "min(1, c / (norm + 1e-6)); 1 for c = 0",
                  .source = "Pascanu et al. 2013; torch.nn.utils.clip_grad_norm_",
                  .against = "closed form on both sides of the limit",
                  .covers = "train/optimizer.h: clip_factor",
                  .bound = 1e-15},
                 clipping);
  return family.take();
}

}  // namespace holdfast::audit
