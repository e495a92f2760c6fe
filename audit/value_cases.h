// Values of every elementary operation beside a naive oracle in double.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "audit/reference/array.h"
#include "autograd/var.h"

namespace holdfast {

struct ValueCase {
  std::string name;  // begins with the operation's
  std::vector<Tensor> inputs;
  std::function<Var(const std::vector<Var>&)> function;
  std::function<reference::Array(const std::vector<reference::Array>&)> oracle;
  // |y - expected| <= bound * max(1, |expected|)
  double single = 2e-6, precise = 4e-15;  // bound of f32 and of f64
  double bound(DType dtype) const { return dtype == DType::f64 ? precise : single; }
};

std::vector<ValueCase> value_cases();

/// The largest |y - expected| / max(1, |expected|) of a case in this type, with the instruction set
/// in use; infinite for another shape and where a value is not a number.
double value_error(const ValueCase& one, DType dtype);

}  // namespace holdfast
