// The checker itself: it must find wrong gradients, by element and along directions, and say where.
#include "autograd/grad_check.h"

#include <gtest/gtest.h>

#include <cmath>

#include "audit/reference/random_tensor.h"
#include "autograd/ops.h"
#include "autograd/ops/op.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

using reference::random_tensor;

// y = x^2, with the gradient 2x wrong by `error` in element `place`.
Var square(const Var& x, std::size_t place, double error) {
  const Tensor y = mul(Var(x.value()), Var(x.value())).value();
  return ops::record("square", y, {x},
                     [x = x.value(), place, error](const Tensor& dout, Gradients& gradients) {
                       const Tensor dx = mul(Var(scale(Var(x), 2.0).value()), Var(dout)).value();
                       dx.span<double>()[place] += error;
                       gradients.add(0, dx);
                     });
}

TEST(CheckGradients, PassesARightGradient) {
  const auto result = check_gradients(
      [](const std::vector<Var>& x) { return square(x[0], 0, 0.0); }, {random_tensor({3, 4}, 1)});
  EXPECT_LT(result.max_error, 1e-11);
  EXPECT_TRUE(result.passed());
}

TEST(CheckGradients, FindsTheWrongElement) {
  const auto result =
      check_gradients([](const std::vector<Var>& x) { return add(square(x[1], 7, 1e-6), x[0]); },
                      {random_tensor({3, 4}, 1), random_tensor({3, 4}, 2)});
  EXPECT_NEAR(result.max_error, 1e-6, 2e-7);
  EXPECT_FALSE(result.passed());
  EXPECT_NE(result.where.find("input 1 (3,4) element 7"), std::string::npos) << result.where;
}

TEST(CheckGradients, FindsItAlongDirectionsToo) {
  const auto result =
      check_gradients([](const std::vector<Var>& x) { return square(x[0], 900, 1e-3); },
                      {random_tensor({1000}, 1)});
  EXPECT_GT(result.max_error, 1e-5);
  EXPECT_LT(result.max_error, 2e-4);  // a thousand elements share a direction of length 1
  EXPECT_NE(result.where.find("direction"), std::string::npos) << result.where;
}

TEST(CheckGradients, StepsAlongDirectionsOfLengthOne) {
  const Tensor start = random_tensor({1000}, 1);
  const GradCheckOptions options{.projections = 3};
  std::vector<double> lengths;
  check_gradients(
      [&](const std::vector<Var>& x) {
        double squares = 0;
        for (std::size_t i = 0; i < 1000; ++i) {
          const double way = x[0].value().span<double>()[i] - start.span<double>()[i];
          squares += way * way;
        }
        if (squares > 0) lengths.push_back(std::sqrt(squares));
        return square(x[0], 0, 0.0);
      },
      {start}, options);
  ASSERT_EQ(lengths.size(), 12U);  // h and 2h forth and back, in three directions
  for (const double length : lengths) {
    EXPECT_NEAR(length / options.step, length > 1.5 * options.step ? 2.0 : 1.0, 1e-9);
  }
}

TEST(CheckGradients, PassesALargeInput) {
  const auto result = check_gradients(
      [](const std::vector<Var>& x) { return square(x[0], 0, 0.0); }, {random_tensor({1000}, 1)});
  EXPECT_LT(result.max_error, 1e-10);
}

TEST(CheckGradients, FindsAGradientThatStopped) {
  const auto result = check_gradients(
      [](const std::vector<Var>& x) { return Var(x[0].value().clone()); }, {random_tensor({2}, 1)});
  EXPECT_GT(result.max_error, 1e-3);
}

TEST(CheckGradients, FindsNan) {
  const auto result =
      check_gradients([](const std::vector<Var>& x) { return square(x[0], 1, std::nan("")); },
                      {random_tensor({2}, 1)});
  EXPECT_TRUE(std::isinf(result.max_error));
  EXPECT_FALSE(result.passed());
}

TEST(CheckGradients, IsOfFourthOrder) {
  const auto error = [](double step) {
    GradCheckOptions options;
    options.step = step;
    return check_gradients([](const std::vector<Var>& x) { return exp(scale(x[0], 3.0)); },
                           {Tensor::full({1}, DType::f64, 0.5)}, options)
        .max_error;
  };
  EXPECT_NEAR(error(0.04) / error(0.02), 16.0, 0.5);
}

TEST(CheckGradients, RefusesOtherTypesAndSteps) {
  const auto same = [](const std::vector<Var>& x) { return exp(x[0]); };
  expect_error<std::invalid_argument>("f32 input", "[check_gradients] input 0 is not f64", [&] {
    check_gradients(same, {random_tensor({2}, 1, 0, 1, DType::f32)});
  });
  expect_error<std::invalid_argument>(
      "f32 result", "[check_gradients] the function's result is f32", [&] {
        check_gradients([](const std::vector<Var>& x) { return Var(x[0].value().to(DType::f32)); },
                        {random_tensor({2}, 1)});
      });
  expect_error<std::invalid_argument>("step", "[check_gradients] the step must be positive", [&] {
    GradCheckOptions options;
    options.step = 0.0;
    check_gradients(same, {random_tensor({2}, 1)}, options);
  });
}

}  // namespace
}  // namespace holdfast
