// Checks the gradients of any differentiable function against finite differences, in double
// precision.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "autograd/var.h"

namespace holdfast {

struct GradCheckOptions {
  double step = 1e-3;       // h of the differences; inputs must stay 2h away from kinks and poles
  double tolerance = 1e-7;  // of the error, for passed()
  std::int64_t max_elements =
      256;  // inputs with more are checked along random unit directions instead of by element
  int projections = 8;     // how many directions
  std::uint64_t seed = 1;  // of the directions and of the projection of the output
};

struct GradCheckResult {
  double max_error = 0.0;  // largest |a - n| / max(1, |a|, |n|) of analytic a and numeric n;
                           // infinite if one is not finite
  std::string where;       // the input, element and both numbers of that error
  double tolerance = 0.0;
  bool passed() const { return max_error <= tolerance; }
};

/// Compares backward() with central differences and one step of Richardson's extrapolation
/// [Richardson 1911; Abramowitz & Stegun 1964, 25.3.6] for every element x of every input, or along
/// random directions of length 1 where an input has many:
///   D(h) = (s(x+h) - s(x-h)) / 2h,   d/dx s = (4 D(h) - D(2h)) / 3 + O(h^4),
///   s = sum of w * function(inputs), w random in [-1, 1).
/// The analytic gradient is taken twice: with the inputs as parameters and as results of other
/// operations, which are different paths through operations such as linear and embedding.
/// `function` must give the same result every time; inputs are f64 (integer tensors and constants
/// belong in its capture). Throws std::invalid_argument when an input or the result is not f64, or
/// the step is not positive. Accuracy: the differences are good to about 1e-11 for functions that
/// vary on a scale of 1; a gradient that is right shows errors below 1e-9.
///
///   const auto result = check_gradients([](const std::vector<Var>& x) { return mul(x[0],
///   tanh(x[1])); }, {a, b}); EXPECT_TRUE(result.passed()) << result.where;
GradCheckResult check_gradients(const std::function<Var(const std::vector<Var>&)>& function,
                                const std::vector<Tensor>& inputs,
                                const GradCheckOptions& options = {});

}  // namespace holdfast
