#include "train/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "base/elementary.h"
#include "train/features.h"

namespace holdfast {
namespace {

// log(sum_k exp(z_k)), from the largest.
double log_sum_exp(std::span<const double> z) {
  const double largest = *std::max_element(z.begin(), z.end());
  double sum = 0;
  for (const double value : z) {
    sum += elementary::exp(value - largest);
  }
  return largest + elementary::log(sum);
}

}  // namespace

std::vector<double> logits_of(Model& model, const Head& head, std::span<const Sample> samples,
                              const EvaluationProgress& progress, std::int64_t batch_tokens) {
  std::vector<double> logits;
  logits.reserve(samples.size() * head.labels.size());
  for_each_pooled(model, samples, batch_tokens,
                  [&](const Var& pooled, std::int64_t texts, std::int64_t tokens) {
                    const std::vector<double> z = model.logits(pooled, head).value().to_vector();
                    logits.insert(logits.end(), z.begin(), z.end());
                    if (progress) {
                      progress(texts, tokens);
                    }
                  });
  const auto broken =
      std::find_if(logits.begin(), logits.end(), [](double z) { return !std::isfinite(z); });
  if (broken != logits.end()) {
    const auto text = static_cast<std::size_t>(broken - logits.begin()) / head.labels.size();
    throw std::runtime_error(fmt::format("[evaluate] task {}: the logits of text {} are not finite",
                                         head.task, samples[text].id));
  }
  return logits;
}

std::vector<double> probabilities(Model& model, const Head& head, std::span<const Sample> samples,
                                  const EvaluationProgress& progress, std::int64_t batch_tokens) {
  std::vector<double> p = logits_of(model, head, samples, progress, batch_tokens);
  const std::size_t K = head.labels.size();
  for (std::size_t row = 0; row < p.size(); row += K) {
    const std::span<double> z(p.data() + row, K);
    const double total = log_sum_exp(z);
    std::transform(z.begin(), z.end(), z.begin(),
                   [total](double value) { return elementary::exp(value - total); });
  }
  return p;
}

Evaluation evaluate(Model& model, const Head& head, std::span<const Sample> samples,
                    const EvaluationProgress& progress, std::int64_t batch_tokens) {
  const std::size_t K = head.labels.size();
  std::vector<std::int32_t> labels;
  for (const Sample& sample : samples) {
    if (sample.label < 0 || static_cast<std::size_t>(sample.label) >= K) {
      throw std::invalid_argument(fmt::format("[evaluate] label {} of text {} is not in [0, {})",
                                              sample.label, sample.id, K));
    }
    labels.push_back(sample.label);
  }
  if (labels.empty()) {
    throw std::invalid_argument("[evaluate] there are no texts of task " + head.task);
  }
  const std::vector<double> logits = logits_of(model, head, samples, progress, batch_tokens);
  Evaluation result;
  for (std::size_t n = 0; n < labels.size(); ++n) {
    const std::span<const double> z(logits.data() + n * K, K);
    const auto best = std::max_element(z.begin(), z.end());  // the first of equal ones
    result.predictions.push_back(static_cast<std::int32_t>(best - z.begin()));
    result.loss += log_sum_exp(z) - z[static_cast<std::size_t>(labels[n])];
  }
  ClassificationReport report =
      classification_report(labels, result.predictions, static_cast<std::int64_t>(K));
  result.task = head.task;
  result.n = report.n;
  result.correct = report.correct;
  result.accuracy = report.accuracy;
  result.ci95 = wilson_interval(report.correct, report.n);
  result.macro_f1 = report.macro_f1;
  result.loss /= static_cast<double>(report.n);
  result.labels = head.labels;
  result.per_class = std::move(report.per_class);
  result.confusion = std::move(report.confusion);
  return result;
}

Json to_json(const Evaluation& evaluation) {
  Json per_class = Json::object();
  for (std::size_t k = 0; k < evaluation.labels.size(); ++k) {
    const ClassRates& rates = evaluation.per_class[k];
    per_class.add(evaluation.labels[k], Json::object({{"n", rates.support},
                                                      {"precision", rates.precision},
                                                      {"recall", rates.recall},
                                                      {"f1", rates.f1}}));
  }
  Json confusion = Json::list();
  for (const std::vector<std::int64_t>& row : evaluation.confusion) {
    Json counts = Json::list();
    for (const std::int64_t count : row) {
      counts.push_back(count);
    }
    confusion.push_back(std::move(counts));
  }
  return Json::object({{"task", evaluation.task},
                       {"n", evaluation.n},
                       {"accuracy", evaluation.accuracy},
                       {"accuracy_ci95", Json::list({evaluation.ci95.low, evaluation.ci95.high})},
                       {"macro_f1", evaluation.macro_f1},
                       {"loss", evaluation.loss},
                       {"per_class", std::move(per_class)},
                       {"confusion", std::move(confusion)}});
}

}  // namespace holdfast
