// Every elementary operation's gradient, on inputs that reach each way it is computed.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/var.h"

namespace holdfast {

struct GradientCase {
  std::string name;  // begins with the operation's
  std::vector<Tensor> inputs;
  std::function<Var(const std::vector<Var>&)> function;
};

/// The error that a right gradient stays below (autograd/grad_check.h).
inline constexpr double kGradientBound = 1e-9;

std::vector<GradientCase> gradient_cases();

/// "softmax" of "softmax(3,4)": the name of a case's operation, as declared in autograd/ops.h.
std::string operation_of(const std::string& case_name);

}  // namespace holdfast
