// Penalties that hold parameters where they were: elastic weight consolidation, L2 and L2-SP,
// RecAdam. Tested by tests/train/penalty_test.cpp and tests/train/optimizer_pull_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "nn/parameters.h"
#include "tensor/tensor.h"
#include "train/importance.h"
#include "train/spans.h"

namespace holdfast {

/// Penalty of the recipe [Kirkpatrick et al. 2017, without their 1/2]:
///   lambda sum_i Fh_i (theta_i - theta_old,i)^2,  gradient 2 lambda Fh_i (theta_i - theta_old,i)
/// The gradient is added to the task gradient after that was clipped, inside the optimizer's pass
/// (optimizer.h).
class EwcPenalty {
 public:
  /// Keeps a copy of theta as anchor, and importance zero.
  /// Throws std::invalid_argument unless lambda is finite and >= 0.
  EwcPenalty(double lambda, const ParameterArena& theta_old);

  /// Adds one old task: Fh += factor * its importance, normalised. Online EWC over a sequence of
  /// tasks with one anchor [Huszar 2018; Schwarz et al. 2018] is factor = decay^age for each.
  /// Every task is normalised before it is weighted, as Schwarz et al. do: raw F scales with how
  /// unsure the model is of a task, so that in a sum of raw F one task would silence the others.
  /// Throws std::invalid_argument for another size, a negative or non-finite value or factor, or
  /// when F is zero everywhere.
  ImportanceScale add(const Tensor& fisher, Normalization normalization, double factor = 1);

  double lambda() const { return lambda_; }
  const Tensor& importance() const { return importance_; }  // Fh (n), the arena's type
  const Tensor& anchor() const { return anchor_; }          // theta_old (n)
  /// Outside of these Fh is zero, as it is for words that no text of an old task has: there the
  /// penalty costs nothing. Everything where Fh is on a GPU.
  std::span<const ArenaSpan> held() const { return held_; }

  /// lambda sum_i Fh_i d_i^2, summed in double in fixed chunks.
  double value(const Tensor& theta) const;
  /// gradient += 2 lambda Fh d (the optimizer does this inside its own pass).
  void add_gradient(const Tensor& theta, const Tensor& gradient) const;

 private:
  double lambda_;
  std::vector<NamedSlice> slices_;
  Tensor importance_, anchor_;
  std::vector<ArenaSpan> held_;
};

/// How the penalty acts: its gradient goes through Adam with the task's, or the update is followed
/// by the penalty's proximal map (optimizer.h). Decoupled, Adam's division by the gradient's own
/// size leaves the penalty alone, and lambda acts per unit of learning rate.
enum class Coupling { coupled, decoupled };
std::string_view name_of(Coupling coupling);
/// Throws std::invalid_argument naming the known ones.
Coupling parse_coupling(std::string_view name);

/// Where L2 pulls to: the weights before this training, or zero.
enum class L2Target { old, zero };
std::string_view name_of(L2Target target);
/// Throws std::invalid_argument naming the known ones.
L2Target parse_l2_target(std::string_view name);

/// L2: weight * sum (theta_i - target_i)^2, gradient 2 weight (theta - target). Toward the old
/// weights it is L2-SP [Li et al. 2018]: what has none, the head of the new task, gets
/// head * sum theta_i^2 instead. They write alpha/2 and beta/2: alpha = 2 weight, beta = 2 head.
/// Toward zero `weight` is for everything, and `head` is not used.
struct L2Penalty {
  double weight = 0;
  L2Target toward = L2Target::old;
  double head = 0;
};

/// RecAdam [Chen et al. 2020]: the task's step grows with k(t) while a decoupled pull
/// toward the old weights fades (optimizer.h; the moments are those of the unscaled task gradient):
///   k(t) = w / (1 + exp(-slope (t - midpoint))),  theta -= lr (w - k(t)) gamma (theta - theta_old)
struct RecAdam {
  double weight = 1;      // w
  double slope = 0.5;     // a step
  double midpoint = 250;  // steps: t0
  double pull = 5000;     // gamma

  /// k(t) for step t = 1, 2, ...
  double task_share(std::int64_t step) const;
  /// What the pull leaves of theta - theta_old: 1 - lr (w - k(t)) gamma.
  double keep(double rate, std::int64_t step) const;
  /// Throws std::invalid_argument, naming the largest rate that does, unless rate gamma w < 2:
  /// beyond, the pull throws weights further off than they were. Also for weight <= 0, a slope or
  /// pull below 0, and numbers that are not finite.
  void check(double largest_rate) const;
};

}  // namespace holdfast
