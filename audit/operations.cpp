// The elementary operations: values beside naive oracles, gradients beside finite differences. A
// row an operation; its cases are in value_cases.cpp and gradient_cases.cpp.
#include <algorithm>
#include <map>

#include "audit/case.h"
#include "audit/gradient_cases.h"
#include "audit/value_cases.h"
#include "autograd/grad_check.h"

namespace holdfast::audit {
namespace {

struct Operation {
  std::string equation, gradient;
  std::string source = "definition";
};

const std::map<std::string, Operation>& operations() {
  static const std::map<std::string, Operation> known{
      {"add", {"y = a + b", "da = dout, db = dout, summed where broadcast"}},
      {"sub", {"y = a - b", "da = dout, db = -dout"}},
      {"mul", {"y = a b", "da = dout b, db = dout a"}},
      {"div", {"y = a / b", "da = dout / b, db = -dout y / b"}},
      {"scale", {"y = c x", "dx = c dout"}},
      {"matmul", {"y = a b", "da = dout b^T, db = a^T dout"}},
      {"transpose", {"y[..i..j..] = x[..j..i..]", "dx = dout transposed"}},
      {"reshape", {"the same elements in another shape", "dx = dout in the first shape"}},
      {"slice", {"y = x[begin:end]", "dx = dout within, 0 outside"}},
      {"concat", {"y = (x_1, x_2, ...)", "dx_i = its part of dout"}},
      {"sum", {"y = sum_i x_i", "dx_i = dout"}},
      {"mean", {"y = 1/n sum_i x_i", "dx_i = dout / n"}},
      {"exp", {"y = exp x", "dx = dout y"}},
      {"log", {"y = log x", "dx = dout / x"}},
      {"tanh", {"y = tanh x", "dx = dout (1 - y^2)"}},
      {"erf", {"y = 2/sqrt(pi) int_0^x exp(-t^2) dt", "dx = dout 2/sqrt(pi) exp(-x^2)"}},
      {"gelu",
       {"y = x Phi(x); tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))",
        "dx = dout (Phi(x) + x phi(x)); tanh form: (1 + t)/2 + x/2 (1 - t^2) du/dx",
        "Hendrycks & Gimpel 2016"}},
      {"relu", {"y = max(x, 0)", "dx = dout where x > 0"}},
      {"softmax", {"y_i = exp(x_i - m) / sum_j exp(x_j - m)", "dx = y (dout - sum dout y)"}},
      {"log_softmax", {"y_i = x_i - m - log sum_j exp(x_j - m)", "dx = dout - exp(y) sum dout"}},
      {"embedding", {"y[n] = table[ids[n]]", "dtable[id] = sum of dout[n] with ids[n] = id"}},
      {"gather", {"y[n] = x[rows[n]]", "dx[r] = sum of dout[n] with rows[n] = r"}},
      {"cross_entropy", {"-1/N sum_n log softmax(z_n)[y_n]", "dz = (softmax(z) - onehot) / N"}}};
  return known;
}

template <class SomeCase>
std::vector<SomeCase> cases_of(const std::vector<SomeCase>& all, const std::string& operation) {
  std::vector<SomeCase> some;
  std::copy_if(all.begin(), all.end(), std::back_inserter(some),
               [&](const SomeCase& one) { return operation_of(one.name) == operation; });
  return some;
}

// A row has one bound: sums of more terms have their own.
void add_values(Family& family, const std::string& name, const std::vector<ValueCase>& cases,
                DType dtype) {
  std::map<double, std::vector<ValueCase>> by_bound;
  for (const ValueCase& one : cases) by_bound[one.bound(dtype)].push_back(one);
  const Operation& operation = operations().at(name);
  std::string title = name + ", " + std::string(name_of(dtype));
  for (const auto& [bound, some] : by_bound) {
    family.formula({.name = title,
                    .equation = operation.equation,
                    .source = operation.source,
                    .against = "naive oracle in double, " + std::to_string(some.size()) +
                               " shapes, every instruction set",
                    .covers = "autograd/ops.h: " + name,
                    .unit = "of max(1,|y|)",
                    .bound = bound},
                   [some = some, dtype] {
                     return on_every_isa([&] {
                       Worst worst;
                       for (const ValueCase& one : some) worst.add(value_error(one, dtype));
                       return worst.value();
                     });
                   });
    title += ", longer sums";
  }
}

}  // namespace

std::vector<Case> operation_cases() {
  Family family("operations");
  const std::vector<ValueCase> values = value_cases();
  const std::vector<GradientCase> gradients = gradient_cases();
  for (const auto& [name, operation] : operations()) {
    const std::vector<ValueCase> of_value = cases_of(values, name);
    for (const DType dtype : {DType::f64, DType::f32}) add_values(family, name, of_value, dtype);
    const std::vector<GradientCase> of_gradient = cases_of(gradients, name);
    family.gradient({.name = name + ", gradient",
                     .equation = operation.gradient,
                     .source = operation.source,
                     .against = "Richardson's differences, every element, " +
                                std::to_string(of_gradient.size()) + " shapes and compositions",
                     .covers = "autograd/ops.h: " + name,
                     .unit = "of max(1,|dx|)",
                     .bound = kGradientBound},
                    [of_gradient] {
                      if (of_gradient.empty()) return std::numeric_limits<double>::infinity();
                      Worst worst;
                      for (const GradientCase& one : of_gradient) {
                        worst.add(check_gradients(one.function, one.inputs).max_error);
                      }
                      return worst.value();
                    });
  }
  return family.take();
}

}  // namespace holdfast::audit
