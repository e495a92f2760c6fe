#include "train/fisher.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "base/elementary.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/random.h"
#include "train/device_update.h"
#include "train/mixing.h"
#include "train/per_sample.h"

namespace holdfast {
namespace {

// softmax of logits (K) in double.
std::vector<double> softmax_of(std::span<const double> logits) {
  std::vector<double> p(logits.begin(), logits.end());
  const double largest = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (double& z : p) sum += z = elementary::exp(z - largest);
  for (double& z : p) z /= sum;
  return p;
}

// d -log p_y / dz = p - e_y
std::vector<double> gradient_at(std::span<const double> p, std::int32_t label) {
  std::vector<double> gradient(p.begin(), p.end());
  gradient[static_cast<std::size_t>(label)] -= 1;
  return gradient;
}

// +1 or -1 for each class of the text at `place`.
std::vector<int> random_signs(std::size_t K, std::uint64_t seed, std::uint64_t place) {
  const RandomStream stream(seed, "fisher/signs");
  std::vector<int> signs;
  for (std::size_t y = 0; y < K; ++y) {
    signs.push_back((stream.bits(place, y)[0] & 1U) != 0 ? 1 : -1);
  }
  return signs;
}

// The gradients of one text's logits that are walked back, one pass each: (K, passes) row-major.
std::vector<double> logit_gradients(const ImportanceOptions& options,
                                    std::span<const double> logits, std::int32_t label,
                                    std::uint64_t place) {
  const std::vector<double> p = softmax_of(logits);
  switch (options.kind) {
    case ImportanceKind::true_fisher:
      return fisher_factor(p);
    case ImportanceKind::empirical:
      return gradient_at(p, label);
    case ImportanceKind::sampled:
      return gradient_at(
          p, label_at(p, RandomStream(options.seed, "fisher/labels").uniform(place, 0)));
    case ImportanceKind::sketch:
      return sketched_gradient(p, random_signs(p.size(), options.seed, place));
    default: {  // mas: d ||z||^2 / dz = 2 z
      std::vector<double> gradient(logits.begin(), logits.end());
      for (double& z : gradient) z *= 2;
      return gradient;
    }
  }
}

void check(const Head& head, std::span<const Sample> samples, const ImportanceOptions& options) {
  if (options.kind == ImportanceKind::si) {
    throw std::invalid_argument(
        "[importance] kind \"si\" comes from the path of a training, not from texts");
  }
  if (options.dropout.active) {
    throw std::invalid_argument(
        "[importance] dropout is on: importance is that of the model without it");
  }
  if (samples.empty()) throw std::invalid_argument("[importance] there are no samples");
  if (options.batch_size < 1) {
    throw std::invalid_argument("[importance] batch_size must be at least 1");
  }
  if (head.labels.size() < 2) {
    throw std::invalid_argument(
        fmt::format("[importance] head \"{}\" has fewer than two labels", head.task));
  }
  if (options.kind != ImportanceKind::empirical) return;
  for (const Sample& sample : samples) {
    if (sample.label < 0 || static_cast<std::size_t>(sample.label) >= head.labels.size()) {
      throw std::invalid_argument(
          fmt::format("[importance] sample {} has label {}, head \"{}\" has {} labels", sample.id,
                      sample.label, head.task, head.labels.size()));
    }
  }
}

// One forward pass, then a backward pass for every gradient of the logits. `place`: of the first
// text among all.
void add_batch(Model& model, const Head& head, std::span<const Sample> samples, std::size_t place,
               const ImportanceOptions& options, PerSampleSums& sums) {
  std::vector<TokenSpan> texts;
  for (const Sample& sample : samples) {
    texts.push_back({sample.ids, sample.type_ids, static_cast<std::int32_t>(texts.size())});
  }
  const Batch batch = pack(texts);
  const Var logits = model.logits(model.pool(batch), head);
  const std::vector<double> z = logits.value().to_vector();
  const std::size_t K = head.labels.size();
  const std::size_t passes = options.kind == ImportanceKind::true_fisher ? K - 1 : 1;
  std::vector<std::vector<double>> gradients(passes, std::vector<double>(z.size()));
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const std::vector<double> of_text =
        logit_gradients(options, std::span(z).subspan(n * K, K), samples[n].label, place + n);
    for (std::size_t k = 0; k < passes; ++k) {
      for (std::size_t i = 0; i < K; ++i) gradients[k][n * K + i] = of_text[i * passes + k];
    }
  }
  for (const std::vector<double>& gradient : gradients) {
    sums.begin(batch.packing);
    backward(logits, Tensor::from(gradient, logits.shape()).to(logits.dtype()), sums);
  }
}

// Sums over `count` texts -> means in the model's type.
Tensor means(const Tensor& sums, std::int64_t count, DType dtype) {
  const auto n = static_cast<double>(count);
  const auto check_finite = [](bool finite) {
    if (finite) return;
    throw std::runtime_error(
        "[importance] a gradient is not finite: the model's weights are broken");
  };
  if (const Device on = sums.device(); on.is_cuda()) {
    const ArenaSpan whole{0, sums.numel()};
    for (const cuda::ImportanceSums& piece : importance_sums_on(on, pieces_of({&whole, 1}), sums))
      check_finite(piece.refused == 0);
    const Tensor values = Tensor::zeros(sums.shape(), DType::f64);
    add_normalised_on(on, sums, 1, n, values);
    return values.to(dtype);
  }
  const Tensor values = Tensor::empty(sums.shape(), dtype);
  dispatch(dtype, "importance", [&]<class T>() {
    const auto all = sums.span<double>();
    std::transform(all.begin(), all.end(), values.data<T>(), [&](double sum) {
      check_finite(std::isfinite(sum));
      return static_cast<T>(sum / n);
    });
  });
  return values;
}

}  // namespace

std::vector<double> fisher_factor(std::span<const double> probabilities) {
  const std::size_t K = probabilities.size();
  std::vector<double> tails(K + 1, 0);
  for (std::size_t i = K; i-- > 0;) tails[i] = tails[i + 1] + probabilities[i];
  std::vector<double> factor(K * (K - 1), 0);
  for (std::size_t j = 0; j + 1 < K; ++j) {
    if (tails[j + 1] == 0) break;  // all probability lies before: the rest of B is zero
    const double diagonal = std::sqrt(probabilities[j] * (tails[j + 1] / tails[j]));
    factor[j * (K - 1) + j] = diagonal;
    for (std::size_t i = j + 1; i < K; ++i) {
      factor[i * (K - 1) + j] = -diagonal * (probabilities[i] / tails[j + 1]);
    }
  }
  return factor;
}

std::int32_t label_at(std::span<const double> probabilities, double u) {
  double sum = 0;
  std::int32_t last = 0;  // with p > 0: the sum may round to less than 1
  for (std::size_t y = 0; y < probabilities.size(); ++y) {
    if (probabilities[y] == 0) continue;
    last = static_cast<std::int32_t>(y);
    sum += probabilities[y];
    if (u < sum) break;
  }
  return last;
}

std::vector<double> sketched_gradient(std::span<const double> probabilities,
                                      std::span<const int> signs) {
  std::vector<double> weights;  // eps_y sqrt(p_y)
  for (std::size_t y = 0; y < probabilities.size(); ++y) {
    weights.push_back(signs[y] * std::sqrt(probabilities[y]));
  }
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  std::vector<double> gradient;
  for (std::size_t y = 0; y < probabilities.size(); ++y) {
    gradient.push_back(sum * probabilities[y] - weights[y]);
  }
  return gradient;
}

Importance measure_importance(Model& model, const Head& head, std::span<const Sample> samples,
                              const ImportanceOptions& options,
                              const ImportanceProgress& progress) {
  check(head, samples, options);
  const ParameterArena& arena = model.arena();
  const bool mas = options.kind == ImportanceKind::mas;
  PerSampleSums sums(arena, mas ? SumOf::absolutes : SumOf::squares);
  const auto total = static_cast<std::int64_t>(samples.size());
  for (std::int64_t begin = 0; begin < total; begin += options.batch_size) {
    const std::int64_t count = std::min(options.batch_size, total - begin);
    const auto place = static_cast<std::size_t>(begin);
    add_batch(model, head, samples.subspan(place, static_cast<std::size_t>(count)), place, options,
              sums);
    if (progress) progress(begin + count, total);
  }
  Importance result;
  result.task = head.task;
  result.kind = options.kind;
  result.samples = total;
  result.weights = weights_digest(arena);
  result.values = means(sums.sums(), total, model.dtype());
  result.scale = importance_scale(result.values, arena.parameter_count());
  if (result.scale.maximum == 0) {
    throw std::runtime_error(fmt::format(
        "[importance] F is zero everywhere on {} texts of task \"{}\": {}, so no weight seems to "
        "matter; use other texts",
        total, head.task, mas ? "every logit is 0" : "the model is certain of every answer"));
  }
  return result;
}

std::vector<std::int64_t> fisher_samples(std::int64_t n, std::int64_t count, std::uint64_t seed) {
  std::vector<std::int64_t> order = permutation(n, RandomStream(seed, "fisher/samples"), 0);
  order.resize(static_cast<std::size_t>(std::min(n, count)));
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace holdfast
