#include "train/distill.h"

#include <algorithm>
#include <cmath>

#include "autograd/ops.h"

namespace holdfast {

Teacher::Teacher(Model& model, const Head& head, std::span<const Sample> samples,
                 const EvaluationProgress& progress)
    : classes_(static_cast<std::int64_t>(head.labels.size())),
      logits_(logits_of(model, head, samples, progress)) {}

Tensor Teacher::of(std::span<const std::int64_t> texts, DType dtype) const {
  std::vector<double> rows;
  for (const std::int64_t text : texts) {
    const auto row = logits_.begin() + text * classes_;
    rows.insert(rows.end(), row, row + classes_);
  }
  return Tensor::from(rows, {static_cast<std::int64_t>(texts.size()), classes_}).to(dtype);
}

Var distillation_loss(const Var& logits, const Tensor& teacher, double temperature) {
  const Var target = softmax(scale(Var(teacher), 1 / temperature));
  const Var log_target = log_softmax(scale(Var(teacher), 1 / temperature));
  const Var log_answer = log_softmax(scale(logits, 1 / temperature));
  const double factor = temperature * temperature / static_cast<double>(logits.size(0));
  return scale(sum(mul(target, sub(log_target, log_answer))), factor);
}

Var logit_matching_loss(const Var& logits, const Tensor& teacher) {
  const Var difference = sub(logits, Var(teacher));
  return mean(mul(difference, difference));
}

}  // namespace holdfast
