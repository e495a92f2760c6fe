// Synaptic intelligence: the importance of parameters from the path of the training that taught a
// task. Tested by tests/train/path_importance_test.cpp.
#pragma once

#include <cstdint>
#include <string_view>

#include "nn/parameters.h"
#include "train/importance.h"

namespace holdfast {

/// Along the training of one task [Zenke, Poole & Ganguli 2017]
///   w_i = - sum over steps of g_i (theta_i after - theta_i before),
///   O_i = max(0, w_i) / ((theta_i at the end - theta_i at the start)^2 + xi)
/// with g the gradient of the task's loss alone: before clipping, penalties and projections. w_i is
/// the share of parameter i in the fall of that loss; small steps add up to the fall.
/// Holds two copies of theta and w in f64: the terms of a long training differ in sign and are far
/// below f32's resolution of their sum. The same bits for any number of threads.
class PathImportance {
 public:
  /// At the start of training. `theta` (arena's numel) is copied.
  explicit PathImportance(const ParameterArena& theta);

  /// After every step: the gradient the step went by (arena's numel), and where it led.
  /// Throws std::invalid_argument for another size or type.
  void record(const Tensor& gradient, const Tensor& theta_after);

  /// The importance to `task`, of kind "si"; heads of other tasks get 0. `samples` are the steps.
  /// xi > 0 keeps parameters that have not moved finite; it is of the size of the squared ways that
  /// shall count as none (0.1 in the paper, where weights move by about 1).
  /// Throws std::invalid_argument unless xi is finite and positive, or when the arena has another
  /// size; std::runtime_error when O is zero everywhere or not finite.
  /// arena: the model at the end.
  Importance finish(const ParameterArena& arena, std::string_view task, double xi = 0.1) const;

  /// w (arena's numel) f64.
  const Tensor& contributions() const { return contributions_; }
  /// Continues from a checkpoint, after so many steps that have led to `theta`. Throws
  /// std::invalid_argument for another size or type.
  void restore(const Tensor& contributions, std::int64_t steps, const Tensor& theta);

 private:
  Tensor start_, before_;  // theta
  Tensor contributions_;
  std::int64_t steps_ = 0;
};

}  // namespace holdfast
