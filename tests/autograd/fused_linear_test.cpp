#include "audit/reference/composed.h"
#include "autograd/grad_check.h"
#include "tests/autograd/fused_twins.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

constexpr Activation kActivations[] = {Activation::none, Activation::gelu_erf,
                                       Activation::gelu_tanh, Activation::tanh, Activation::relu};

Operation fused(Activation activation) {
  return [activation](const std::vector<Var>& v) { return linear(v[0], v[1], v[2], activation); };
}

std::vector<Tensor> inputs_of(std::int64_t N, std::int64_t I, std::int64_t O) {
  return {random_tensor({N, I}, 1), random_tensor({O, I}, 2), random_tensor({O}, 3)};
}

TEST(FusedLinear, EqualsItsComposedTwin) {
  for (const Activation activation : kActivations) {
    for (const auto& [N, I, O] : {std::array<std::int64_t, 3>{1, 1, 1},
                                  {7, 5, 3},
                                  {33, 48, 17},
                                  {300, 64, 96},
                                  {40, 96, 700},
                                  {257, 1, 1},
                                  {300, 500, 70}}) {
      SCOPED_TRACE(testing::Message()
                   << static_cast<int>(activation) << ": " << N << ' ' << I << ' ' << O);
      expect_twins(
          fused(activation),
          [activation](const std::vector<Var>& v) { return composed_linear(v, activation); },
          inputs_of(N, I, O));
    }
  }
}

TEST(FusedLinear, PassesTheGradientCheck) {
  for (const Activation activation : kActivations) {
    const auto result = check_gradients(fused(activation), inputs_of(5, 4, 3));
    EXPECT_TRUE(result.passed()) << static_cast<int>(activation) << ": " << result.where;
  }
}

TEST(FusedLinear, TakesOneInputTwice) {
  const auto result = check_gradients(
      [](const std::vector<Var>& v) { return linear(v[0], v[0], v[1], Activation::gelu_erf); },
      {random_tensor({3, 3}, 1), random_tensor({3}, 2)});
  EXPECT_TRUE(result.passed()) << result.where;
}

TEST(FusedLinear, FloatIsCloseToDouble) {
  for (const Activation activation : kActivations) {
    if (activation == Activation::relu) continue;  // its derivative jumps: rounding may change it
    std::vector<Tensor> inputs = inputs_of(64, 384, 200);
    inputs[1] = random_tensor({200, 384}, 2, 0.05);  // of a trained layer's size
    expect_float_close(fused(activation), inputs, 2e-6);
  }
}

TEST(FusedLinear, AnEmptyBatchHasAnEmptyResultAndZeroGradients) {
  const std::vector<Tensor> results = run(fused(Activation::gelu_erf), inputs_of(0, 4, 3));
  EXPECT_EQ(results[0].shape(), Shape({0, 3}));
  EXPECT_EQ(results[2].to_vector(), std::vector<double>(12, 0.0));
  EXPECT_EQ(results[3].to_vector(), std::vector<double>(3, 0.0));
}

TEST(FusedLinear, ReadsStridedInputs) {
  const std::vector<Tensor> inputs{random_tensor({6, 9}, 1), random_tensor({6, 4}, 2),
                                   random_tensor({4}, 3)};
  const auto with = [](Activation activation, bool is_fused) {
    return [=](const std::vector<Var>& v) {
      const std::vector<Var> strided{transpose(v[0], 0, 1), transpose(v[1], 0, 1), v[2]};
      return is_fused ? fused(activation)(strided) : composed_linear(strided, activation);
    };
  };
  expect_twins(with(Activation::gelu_erf, true), with(Activation::gelu_erf, false), inputs);
}

TEST(FusedLinear, EvaluationKeepsNothing) {
  Parameter weight{
      .name = "w", .value = random_tensor({3, 4}, 1), .grad = Tensor::zeros({3, 4}, DType::f64)};
  const Var x(random_tensor({2, 4}, 2)), bias(random_tensor({3}, 3));
  const Var trained = linear(x, Var(weight), bias, Activation::gelu_erf);
  EXPECT_TRUE(trained.requires_grad());
  const NoGrad scope;
  const std::int64_t before = memory_use().live;
  const Var evaluated = linear(x, Var(weight), bias, Activation::gelu_erf);
  EXPECT_FALSE(evaluated.requires_grad());
  EXPECT_LE(memory_use().live - before, 64);  // the result itself
  EXPECT_EQ(evaluated.value().to_vector(), trained.value().to_vector());
}

TEST(FusedLinear, BackwardNeedsRoomForOneWideGradient) {
  constexpr std::int64_t kRows = 64, kNarrow = 8, kWide = 4096;
  const auto parameter = [](const Tensor& value) {
    return Parameter{
        .name = "p", .value = value, .grad = Tensor::zeros(value.shape(), value.dtype())};
  };
  const auto in = inputs_of(kRows, kNarrow, kWide), out = inputs_of(kRows, kWide, kNarrow);
  Parameter w1 = parameter(in[1]), b1 = parameter(in[2]), w2 = parameter(out[1]),
            b2 = parameter(out[2]);
  const Var inner = linear(Var(in[0]), Var(w1), Var(b1), Activation::gelu_erf);
  const Var loss = sum(linear(inner, Var(w2), Var(b2)));
  reset_memory_peak();
  const std::int64_t before = memory_use().live;
  backward(loss);
  const std::int64_t wide = kRows * kWide * size_of(in[0].dtype());
  EXPECT_LT(memory_use().peak - before, wide * 3 / 2);
}

TEST(FusedLinear, NamesWhatDoesNotFit) {
  const auto call = [](const Shape& x, const Shape& w, const Shape& b, DType dtype = DType::f64) {
    return [=] {
      linear(Var(random_tensor(x, 1)), Var(random_tensor(w, 2, 1.0, dtype)),
             Var(random_tensor(b, 3)));
    };
  };
  expect_error<std::invalid_argument>("rank", "[linear] x has shape (4)", call({4}, {3, 4}, {3}));
  expect_error<std::invalid_argument>("weight", "[linear] weight has shape (3,5), expected (O,4)",
                                      call({2, 4}, {3, 5}, {3}));
  expect_error<std::invalid_argument>("bias", "[linear] bias has shape (4), expected (3)",
                                      call({2, 4}, {3, 4}, {4}));
  expect_error<std::invalid_argument>("type", "[linear] inputs are f64 (2,4) and f32 (3,4)",
                                      call({2, 4}, {3, 4}, {3}, DType::f32));
  expect_error<std::invalid_argument>("undefined", "[linear]", [] { linear(Var(), Var(), Var()); });
}

}  // namespace
}  // namespace holdfast
