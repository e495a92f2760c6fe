// Importance of parameters: batched estimators beside loops over single texts and whole gradients.
#include <cmath>

#include "audit/case.h"
#include "audit/reference/per_sample_loop.h"
#include "audit/reference/random_tensor.h"
#include "audit/reference/small_arena.h"
#include "audit/reference/tiny_classifier.h"
#include "train/fisher.h"
#include "train/path_importance.h"
#include "train/per_sample.h"

namespace holdfast::audit {
namespace {

using Vector = std::vector<double>;

const std::vector<Vector>& distributions() {
  static const std::vector<Vector> some{{0.5, 0.5},
                                        {0.7, 0.2, 0.1},
                                        {0.1, 0.0, 0.6, 0.3},
                                        {1.0, 0.0, 0.0},
                                        {0.05, 0.15, 0.25, 0.2, 0.35}};
  return some;
}

double estimator(ImportanceKind kind) {
  Model model = tiny_model(DType::f64);
  const Head& head = model.heads()[0];
  const std::vector<Sample> samples = texts(19, 3);
  Worst worst;
  for (const std::int64_t batch : {1, 7}) {
    const Importance found = measure_importance(
        model, head, samples, {.kind = kind, .batch_size = batch, .dropout = {}, .seed = 3});
    worst.add(relative_error(found.values.to_vector(),
                             importance_by_loop(model, head, samples, kind, 3)));
  }
  return worst.value();
}

// A single linear layer and softmax has the Fisher E[x_i^2] p_k (1 - p_k) in closed form: here of
// the classifier, whose inputs are the pooled texts.
double logistic_regression() {
  Model model = tiny_model(DType::f64);
  const Head& head = model.heads()[0];
  const std::vector<Sample> samples = texts(11, 3);
  const Vector found = measure_importance(model, head, samples).values.to_vector();
  const NamedSlice &weight = *model.arena().find(head.slice_name("weight")),
                   &bias = *model.arena().find(head.slice_name("bias"));
  const auto C = static_cast<std::size_t>(model.config().hidden_size);
  Vector of_weight(3 * C, 0), of_bias(3, 0);
  for (const Sample& sample : samples) {
    const TokenSpan text{sample.ids, sample.type_ids, 0};
    const Var pooled = model.pool(pack(std::span(&text, 1)));
    const Vector x = pooled.value().to_vector(), z = model.logits(pooled, head).value().to_vector();
    double total = 0;
    for (const double logit : z) total += std::exp(logit);
    for (std::size_t k = 0; k < 3; ++k) {
      const double p = std::exp(z[k]) / total;
      of_bias[k] += p * (1 - p) / 11;
      for (std::size_t c = 0; c < C; ++c) of_weight[k * C + c] += x[c] * x[c] * p * (1 - p) / 11;
    }
  }
  const auto part = [&](const NamedSlice& slice) {
    return Vector(found.begin() + slice.offset, found.begin() + slice.offset + slice.size);
  };
  Worst worst;
  worst.add(relative_error(part(weight), of_weight));
  worst.add(relative_error(part(bias), of_bias));
  return worst.value();
}

// B B^T = diag(p) - p p^T, columns of B sum to zero.
double factor() {
  Worst worst;
  for (const Vector& p : distributions()) {
    const std::size_t K = p.size();
    const Vector B = fisher_factor(p);
    for (std::size_t i = 0; i < K; ++i) {
      for (std::size_t j = 0; j < K; ++j) {
        double sum = 0;
        for (std::size_t k = 0; k + 1 < K; ++k) sum += B[i * (K - 1) + k] * B[j * (K - 1) + k];
        worst.add(std::abs(sum - ((i == j ? p[i] : 0) - p[i] * p[j])));
      }
    }
  }
  return worst.value();
}

// The mean of its outer product over all signs is diag(p) - p p^T.
double sketch() {
  Worst worst;
  for (const Vector& p : distributions()) {
    const std::size_t K = p.size(), all = std::size_t{1} << K;
    Vector mean(K * K, 0), expected(K * K, 0);
    for (std::size_t bits = 0; bits < all; ++bits) {
      std::vector<int> signs;
      for (std::size_t k = 0; k < K; ++k) signs.push_back((bits >> k & 1) != 0 ? 1 : -1);
      const Vector delta = sketched_gradient(p, signs), naive = sketch_by_definition(p, signs);
      worst.add(relative_error(delta, naive));
      for (std::size_t i = 0; i < K * K; ++i)
        mean[i] += delta[i / K] * delta[i % K] / static_cast<double>(all);
    }
    for (std::size_t i = 0; i < K * K; ++i)
      expected[i] = (i / K == i % K ? p[i / K] : 0) - p[i / K] * p[i % K];
    for (std::size_t i = 0; i < K * K; ++i) worst.add(std::abs(mean[i] - expected[i]));
  }
  return worst.value();
}

double labels() {
  Worst worst;
  for (const Vector& p : distributions()) {
    for (double u = 0; u < 1; u += 0.0101) {
      std::size_t y = p.size();
      for (double above = 1; y > 0 && above > u + 1e-12;) above -= p[--y];
      worst.add(unequal(label_at(p, u), static_cast<std::int32_t>(y)));
    }
  }
  const std::vector<std::int64_t> some = fisher_samples(50, 20, 3), all = fisher_samples(5, 20, 3);
  worst.add(unequal(some.size(), std::size_t{20}));
  for (std::size_t i = 1; i < some.size(); ++i)
    worst.add(some[i] > some[i - 1] && some[i] < 50 ? 0 : 1);
  worst.add(unequal(all, {0, 1, 2, 3, 4}));
  return worst.value();
}

// Sums of per-sample gradients of one operation's parameters: tokens and texts as rows.
struct Layer {
  ParameterArena arena;
  Layer(std::int64_t O, std::int64_t I) {
    for (const auto& [name, shape] :
         {std::pair<const char*, Shape>{"weight", {O, I}}, {"bias", {O}}}) {
      arena.declare(name, shape, {NamedSlice{.name = name, .shape = shape, .task = {}}});
    }
    arena.allocate(DType::f64);
  }
};

double per_sample(SumOf what) {
  const std::int64_t O = 70, I = 300;  // more than a tile each way
  const std::vector<std::int32_t> offsets{0, 3, 4, 9};
  const Packing packing{Tensor::from(offsets, {4}), {}, {}};
  const auto f = [what](double g) { return what == SumOf::squares ? g * g : std::abs(g); };
  Worst worst;
  for (const bool tokens : {true, false}) {
    const std::int64_t N = tokens ? 9 : 3;
    const Tensor x = reference::random_tensor({N, I}, 1),
                 delta = reference::random_tensor({N, O}, 2);
    Layer layer(O, I);
    PerSampleSums sums(layer.arena, what);
    for (int pass = 0; pass < 2; ++pass) {
      sums.begin(packing);
      sums.linear(layer.arena[0], &layer.arena[1], x, delta);
    }
    Vector weight(static_cast<std::size_t>(O * I), 0), bias(static_cast<std::size_t>(O), 0);
    for (std::size_t n = 0; n < 3; ++n) {
      const std::int64_t begin = tokens ? offsets[n] : static_cast<std::int64_t>(n),
                         end = tokens ? offsets[n + 1] : begin + 1;
      for (std::int64_t o = 0; o < O; ++o) {
        double of_bias = 0;
        for (std::int64_t t = begin; t < end; ++t) of_bias += delta.data<double>()[t * O + o];
        bias[static_cast<std::size_t>(o)] += 2 * f(of_bias);
        for (std::int64_t i = 0; i < I; ++i) {
          double g = 0;
          for (std::int64_t t = begin; t < end; ++t)
            g += delta.data<double>()[t * O + o] * x.data<double>()[t * I + i];
          weight[static_cast<std::size_t>(o * I + i)] += 2 * f(g);
        }
      }
    }
    const Vector all = sums.sums().to_vector();
    worst.add(relative_error(std::span(all).first(weight.size()), weight));
    const auto at = static_cast<std::size_t>(layer.arena.slices()[1].offset);
    worst.add(relative_error(std::span(all).subspan(at, bias.size()), bias));
  }
  return worst.value();
}

// w by a second walk over the steps; O of what moved far, little, up and down the gradient.
double path() {
  const ParameterArena start = small_arena(1, DType::f64, 130);
  ParameterArena arena = small_arena(1, DType::f64, 130);
  PathImportance measure(arena);
  Vector w(static_cast<std::size_t>(arena.numel()), 0);
  for (std::uint64_t step = 0; step < 4; ++step) {
    const Vector before = arena.values().to_vector();
    const Tensor g = reference::random_tensor(arena.values().shape(), 20 + step),
                 move = reference::random_tensor(arena.values().shape(), 30 + step, -0.2, 0.2);
    for (const NamedSlice& slice : arena.slices()) {
      for (std::int64_t i = slice.offset; i < slice.offset + slice.size; ++i) {
        arena.values().data<double>()[i] += move.data<double>()[i] - 0.1 * g.data<double>()[i];
      }
    }
    measure.record(g, arena.values());
    for (std::size_t i = 0; i < w.size(); ++i) {
      w[i] -= g.data<double>()[i] * (arena.values().data<double>()[i] - before[i]);
    }
  }
  const Importance found = measure.finish(arena, "medical", 0.03);
  Vector expected(w.size(), 0);
  for (const NamedSlice& slice : arena.slices()) {
    if (slice.task == "news") continue;
    for (auto i = static_cast<std::size_t>(slice.offset);
         i < static_cast<std::size_t>(slice.offset + slice.size); ++i) {
      const double way = arena.values().data<double>()[i] - start.values().data<double>()[i];
      expected[i] = w[i] > 0 ? w[i] / (way * way + 0.03) : 0;
    }
  }
  Worst worst;
  worst.add(relative_error(measure.contributions().to_vector(), w));
  worst.add(relative_error(found.values.to_vector(), expected));
  worst.add(unequal(found.samples, std::int64_t{4}));
  return worst.value();
}

}  // namespace

std::vector<Case> estimator_cases() {
  Family family("estimators");
  for (const auto& [kind, equation, source] :
       {std::tuple{ImportanceKind::true_fisher, "1/N sum_n sum_y p_y (d log p_y / d theta_i)^2",
                   "Kunstner et al. 2019"},
        {ImportanceKind::empirical, "1/N sum_n (d log p(y_n|x_n) / d theta_i)^2",
         "Kunstner et al. 2019"},
        {ImportanceKind::sampled, "the same at a label drawn from p", "Martens 2020"},
        {ImportanceKind::sketch, "(sum_y eps_y sqrt(p_y) (p - e_y) . dz / d theta_i)^2",
         "unbiased by its outer product"},
        {ImportanceKind::mas, "1/N sum_n |d ||z||^2 / d theta_i|", "Aljundi et al. 2018"}}) {
    family.formula(
        {.name = "importance, " + std::string(name_of(kind)),
         .equation = equation,
         .source = source,
         .against = "one text at a time, its whole gradient, 19 texts, BERT of two layers",
         .covers = "train/fisher.h: measure_importance, train/per_sample.h: PerSampleSums",
         .unit = "of the largest",
         .bound = 1e-10},
        [kind] { return on_every_isa([&] { return estimator(kind); }); });
  }
  family.formula({.name = "Fisher of logistic regression",
                  .equation = "E[x_i^2 p_k (1 - p_k)]",
                  .source = "closed form",
                  .against = "the classifier's slice, from its inputs",
                  .covers = "train/fisher.h: measure_importance",
                  .unit = "of the largest",
                  .bound = 1e-12},
                 logistic_regression);
  family.formula({.name = "factor of the Fisher",
                  .equation = "B B^T = diag(p) - p p^T",
                  .source = "Tanabe & Sagae 1992",
                  .against = "the product, five distributions with zeros",
                  .covers = "train/fisher.h: fisher_factor",
                  .unit = "absolute",
                  .bound = 1e-15},
                 factor);
  family.formula({.name = "sketched gradient",
                  .equation = "E[delta delta^T] = diag(p) - p p^T",
                  .source = "definition",
                  .against = "all signs, and its definition",
                  .covers = "train/fisher.h: sketched_gradient",
                  .unit = "absolute",
                  .bound = 1e-15},
                 sketch);
  family.formula({.name = "drawn labels and texts",
                  .equation = "p_0 + ... + p_{y-1} <= u < p_0 + ... + p_y",
                  .source = "definition",
                  .against = "the same from above",
                  .covers = "train/fisher.h: label_at, train/fisher.h: fisher_samples",
                  .unit = "exact",
                  .bound = 0},
                 labels);
  for (const SumOf what : {SumOf::squares, SumOf::absolutes}) {
    family.formula(
        {.name = what == SumOf::squares ? "per-sample squares" : "per-sample absolute values",
         .equation = what == SumOf::squares ? "sum_n (delta_n^T x_n)^2" : "sum_n |delta_n^T x_n|",
         .source = "Goodfellow 2015",
         .against = "loops over samples, tokens and texts as rows, two passes",
         .covers = "train/per_sample.h: PerSampleSums, tensor/kernels/per_sample.h: PerSample",
         .unit = "of the largest",
         .bound = 1e-13},
        [what] { return on_every_isa([&] { return per_sample(what); }); });
  }
  family.formula({.name = "synaptic intelligence",
                  .equation = "max(0, w_i) / (d_i^2 + xi), w_i = -sum_t g_i dtheta_i",
                  .source = "Zenke, Poole & Ganguli 2017",
                  .against = "a loop over four steps",
                  .covers = "train/path_importance.h: PathImportance",
                  .unit = "of the largest",
                  .bound = 1e-13},
                 path);
  return family.take();
}

}  // namespace holdfast::audit
