// Distillation: what the old model answered stays in training. Tested by
// tests/train/distill_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "autograd/var.h"
#include "nn/model.h"
#include "train/evaluate.h"
#include "train/sample.h"

namespace holdfast {

/// The logits that a model gave to texts before training, in evaluation mode.
class Teacher {
 public:
  Teacher() = default;
  /// Throws std::runtime_error when a logit is not finite.
  Teacher(Model& model, const Head& head, std::span<const Sample> samples,
          const EvaluationProgress& progress = {});
  std::int64_t classes() const { return classes_; }
  /// Logits (n, K) of these texts.
  Tensor of(std::span<const std::int64_t> texts, DType dtype) const;

 private:
  std::int64_t classes_ = 0;
  std::vector<double> logits_;  // (N, K)
};

/// Learning without forgetting [Li & Hoiem 2016; Hinton et al. 2015]: the mean over n texts of
///   T^2 KL(softmax(z'_n / T) || softmax(z_n / T)),   z' the teacher's logits
/// (their T^2 keeps the gradient's size whatever T). logits, teacher (n, K) -> scalar.
Var distillation_loss(const Var& logits, const Tensor& teacher, double temperature);

/// The first term of DER++ [Buzzega et al. 2020, eq. 6]: the mean over n texts and K logits of
/// (z_nk - z'_nk)^2. logits, teacher (n, K) -> scalar.
Var logit_matching_loss(const Var& logits, const Tensor& teacher);

}  // namespace holdfast
