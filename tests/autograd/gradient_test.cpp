// Every elementary operation's gradient against finite differences: one row a case.
#include <gtest/gtest.h>

#include "audit/gradient_cases.h"
#include "audit/reference/random_tensor.h"
#include "autograd/grad_check.h"
#include "autograd/ops.h"

namespace holdfast {

inline std::ostream& operator<<(std::ostream& out, const GradientCase& c) { return out << c.name; }

namespace {

using reference::random_tensor;
using Vars = std::vector<Var>;

class Gradient : public testing::TestWithParam<GradientCase> {};

TEST_P(Gradient, EqualsFiniteDifferences) {
  const GradCheckResult result = check_gradients(GetParam().function, GetParam().inputs);
  EXPECT_LE(result.max_error, kGradientBound) << result.where;
}

// With one trainable input at a time the gradient is the same bits: what is not wanted is not
// needed either.
TEST_P(Gradient, OfOneInputAloneIsTheSame) {
  const auto& [name, inputs, function] = GetParam();
  const auto gradient_of = [&](std::size_t input, bool alone) {
    std::vector<Parameter> parameters;
    for (const Tensor& x : inputs)
      parameters.push_back({"", x.clone(), Tensor::zeros(x.shape(), x.dtype())});
    Vars vars;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (alone && i != input)
        vars.emplace_back(inputs[i]);
      else
        vars.emplace_back(parameters[i]);
    }
    const Var y = function(vars);
    EXPECT_TRUE(y.requires_grad());
    backward(y, random_tensor(y.shape(), 9));
    EXPECT_TRUE(parameters[input].has_grad);
    return parameters[input].grad.to_vector();
  };
  for (std::size_t i = 0; i < inputs.size(); ++i)
    EXPECT_EQ(gradient_of(i, true), gradient_of(i, false));
}

// The same computation in f32 gives the f64 gradient to single precision.
TEST_P(Gradient, OfFloatAgrees) {
  const auto& [name, inputs, function] = GetParam();
  const auto gradients = [&](DType dtype) {
    std::vector<Parameter> parameters;
    for (const Tensor& x : inputs) {
      parameters.push_back({"", x.to(DType::f32).to(dtype), Tensor::zeros(x.shape(), dtype)});
    }
    const Var y = function(Vars(parameters.begin(), parameters.end()));
    backward(y, random_tensor(y.shape(), 10, -1.0, 1.0, DType::f32).to(dtype));
    std::vector<double> all;
    for (const Parameter& p : parameters) {
      const auto values = p.grad.to_vector();
      all.insert(all.end(), values.begin(), values.end());
    }
    return all;
  };
  const auto single = gradients(DType::f32), precise = gradients(DType::f64);
  for (std::size_t i = 0; i < precise.size(); ++i) {
    EXPECT_NEAR(single[i], precise[i], 4e-6 * std::max(1.0, std::abs(precise[i]))) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Operations, Gradient, testing::ValuesIn(gradient_cases()));

}  // namespace
}  // namespace holdfast
