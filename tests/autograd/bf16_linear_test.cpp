// linear() with products in bf16 against the same in double from the rounded operands.
#include "audit/reference/bf16.h"
#include "audit/reference/instruction_sets.h"
#include "autograd/ops/product.h"
#include "tests/autograd/fused_twins.h"
#include "tests/autograd/rounded_linear.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

class Bf16Linear : public testing::Test {
 protected:
  void SetUp() override {
    if (!missing_for_bf16().empty()) GTEST_SKIP() << missing_for_bf16();
  }
};

Operation in_bf16(Activation activation) { return linear_within<Bf16Products>(activation); }
Operation in_f32(Activation activation) { return linear_within<Bf16Products>(activation, false); }

std::vector<Tensor> expected_of(const std::vector<Tensor>& inputs) {
  return linear_of_rounded(inputs, reference::nearest_bf16);
}

TEST_F(Bf16Linear, EqualsDoubleFromTheRoundedOperands) {
  for (const auto& [N, I, O] : {std::array<std::int64_t, 3>{1, 1, 1},
                                {7, 5, 3},
                                {33, 48, 17},
                                {300, 384, 200},
                                {40, 96, 700},
                                {517, 130, 67}}) {
    SCOPED_TRACE(testing::Message() << N << ' ' << I << ' ' << O);
    const std::vector<Tensor> inputs = linear_inputs(N, I, O);
    expect_close(run(in_bf16(Activation::none), inputs), expected_of(inputs), 2e-6);
  }
}

TEST_F(Bf16Linear, IsCloseToFloat) {
  for (const Activation activation :
       {Activation::gelu_erf, Activation::gelu_tanh, Activation::tanh}) {
    const std::vector<Tensor> inputs = linear_inputs(300, 384, 200);
    const std::vector<Tensor> rounded = run(in_bf16(activation), inputs);
    const std::vector<Tensor> exact = run(in_f32(activation), inputs);
    expect_close(rounded, exact, 1e-2);
    EXPECT_GT(difference(rounded[0], exact[0]), 1e-5);  // they do differ
  }
}

TEST_F(Bf16Linear, TakesOperandsThatAreNoParameters) {
  const std::vector<Tensor> inputs = linear_inputs(33, 48, 17);
  const std::vector<Tensor> found = run(
      [](const std::vector<Var>& v) {
        const Bf16Products scope(true);
        return linear(scale(v[0], 1), scale(v[1], 1), scale(v[2], 1));
      },
      inputs);
  expect_close(found, expected_of(inputs), 2e-6);
}

TEST_F(Bf16Linear, AddsToAGradientThatIsThere) {
  const std::vector<Tensor> inputs = linear_inputs(33, 48, 17);
  std::vector<Tensor> twice = run(
      [](const std::vector<Var>& v) {
        const Bf16Products scope(true);
        return add(linear(v[0], v[1], v[2]), linear(v[0], v[1], v[2]));
      },
      inputs);
  std::vector<Tensor> expected;
  for (const Tensor& x : expected_of(inputs)) expected.push_back(scale(Var(x), 2).value());
  expect_close(twice, expected, 2e-6);
}

TEST_F(Bf16Linear, KeepsItsPrecisionWhereverItsGradientIsAskedFor) {
  const std::vector<Tensor> inputs = linear_inputs(33, 48, 17);
  Parameter weight{.name = "w", .value = inputs[1], .grad = Tensor::zeros({17, 48}, DType::f32)};
  Var y;
  {
    const Bf16Products scope(true);
    y = linear(Var(inputs[0]), Var(weight), Var(inputs[2]));
  }
  backward(y, random_tensor(y.shape(), 99).to(DType::f32));
  expect_close({weight.grad}, {expected_of(inputs)[2]}, 2e-6);
}

TEST_F(Bf16Linear, IsOfItsScopeAlone) {
  const std::vector<Tensor> inputs = linear_inputs(33, 48, 17);
  const auto value = [&] {
    return linear(Var(inputs[0]), Var(inputs[1]), Var(inputs[2])).value().to_vector();
  };
  const std::vector<double> exact = value();
  {
    const Bf16Products on(true);
    EXPECT_NE(value(), exact);
    {
      const Bf16Products off(false);
      EXPECT_EQ(value(), exact);
    }
    EXPECT_NE(value(), exact);
  }
  EXPECT_EQ(value(), exact);
}

TEST_F(Bf16Linear, LeavesDoubleAlone) {
  const std::vector<Tensor> inputs = converted(linear_inputs(33, 48, 17), DType::f64);
  const std::vector<Tensor> rounded = run(in_bf16(Activation::tanh), inputs);
  const std::vector<Tensor> exact = run(in_f32(Activation::tanh), inputs);
  for (std::size_t i = 0; i < exact.size(); ++i)
    EXPECT_EQ(rounded[i].to_vector(), exact[i].to_vector());
}

TEST_F(Bf16Linear, HasTheSameBitsForAnyNumberOfThreads) {
  const reference::KeepMachine keep;
  const std::vector<Tensor> inputs = linear_inputs(517, 130, 300);
  set_thread_count(1);
  const std::vector<Tensor> one = run(in_bf16(Activation::gelu_erf), inputs);
  for (const int threads : {2, 3, 4}) {
    set_thread_count(threads);
    const std::vector<Tensor> found = run(in_bf16(Activation::gelu_erf), inputs);
    for (std::size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(found[i].to_vector(), one[i].to_vector()) << threads << " threads, tensor " << i;
    }
  }
}

// Whatever the number of rows: it is rounded up to whole sixteens within.
TEST_F(Bf16Linear, TellsNothingOfTheRowsBesideARow) {
  const std::vector<Tensor> inputs = linear_inputs(40, 48, 17);
  const Bf16Products scope(true);
  const auto first = [&](std::int64_t rows) {
    return linear(Var(inputs[0].slice(0, 0, rows)), Var(inputs[1]), Var(inputs[2]))
        .value()
        .slice(0, 0, 5)
        .to_vector();
  };
  const std::vector<double> all = first(40);
  for (const std::int64_t rows : {5, 16, 17, 39}) EXPECT_EQ(first(rows), all) << rows;
}

TEST_F(Bf16Linear, AnEmptyBatchHasAnEmptyResultAndZeroGradients) {
  const std::vector<Tensor> results = run(in_bf16(Activation::gelu_erf), linear_inputs(0, 4, 3));
  EXPECT_EQ(results[0].shape(), Shape({0, 3}));
  EXPECT_EQ(results[2].to_vector(), std::vector<double>(12, 0.0));
  EXPECT_EQ(results[3].to_vector(), std::vector<double>(3, 0.0));
}

TEST(Bf16Products, NeedTheInstructions) {
  const reference::KeepMachine keep;
  set_isa(Isa::baseline);
  expect_error<std::runtime_error>("scope", "[linear] products in bf16 need ",
                                   [] { const Bf16Products scope(true); });
  const Bf16Products off(false);  // nothing is asked for
}

}  // namespace
}  // namespace holdfast
