// Penalties that hold parameters where they were: elastic weight consolidation and plain L2. Tested
// by tests/train/penalty_test.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "nn/parameters.h"
#include "tensor/tensor.h"

namespace holdfast {

/// How raw importance F becomes Fh: as it is, divided by the mean over the parameters with F > 0
/// (so that lambda does not depend on vocabulary or loss scale), or by the largest.
enum class Normalization { none, mean, max };
std::string_view name_of(Normalization normalization);
/// Throws std::invalid_argument naming the known ones.
Normalization parse_normalization(std::string_view name);

struct ImportanceScale {
  double mean_positive = 0, maximum = 0;  // of raw F
  double positive_share = 0;              // parameters with F > 0 / all parameters
  double divisor = 1;                     // Fh = F / divisor
};

/// The scale of raw importance, divisor 1. Throws std::invalid_argument for a negative or
/// non-finite value.
ImportanceScale measure_importance(const Tensor& fisher, std::int64_t parameter_count);

/// Penalty of the recipe [Kirkpatrick et al. 2017, without their 1/2]:
///   lambda sum_i Fh_i (theta_i - theta_old,i)^2,  gradient 2 lambda Fh_i (theta_i - theta_old,i)
/// The gradient is added to the task gradient after that was clipped, inside the optimizer's pass
/// (optimizer.h).
class EwcPenalty {
 public:
  /// Keeps a copy of theta as anchor, and importance zero.
  /// Throws std::invalid_argument unless lambda is finite and >= 0.
  EwcPenalty(double lambda, const ParameterArena& theta_old);

  /// Adds the normalised importance of one old task; several tasks add up: Fh = sum over tasks of
  /// Fh_task. Throws std::invalid_argument for another size, a negative or non-finite value, or
  /// when F is zero everywhere.
  ImportanceScale add(const Tensor& fisher, Normalization normalization);

  double lambda() const { return lambda_; }
  const Tensor& importance() const { return importance_; }  // Fh (n), the arena's type
  const Tensor& anchor() const { return anchor_; }          // theta_old (n)

  /// lambda sum_i Fh_i d_i^2, summed in double in fixed chunks.
  double value(const Tensor& theta) const;
  /// gradient += 2 lambda Fh d (the optimizer does this inside its own pass).
  void add_gradient(const Tensor& theta, const Tensor& gradient) const;

 private:
  double lambda_;
  std::int64_t parameter_count_;
  Tensor importance_, anchor_;
};

/// Plain L2: weight * sum (theta_i - target_i)^2 with target theta_old or 0, gradient 2 weight
/// (theta - target). Toward the old weights it leaves the head of the new task alone, which has
/// none.
enum class L2Target { old, zero };
struct L2Penalty {
  double weight = 0;
  L2Target toward = L2Target::old;
};

}  // namespace holdfast
