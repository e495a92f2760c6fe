#include "audit/reference/composed.h"
#include "autograd/grad_check.h"
#include "tests/autograd/fused_twins.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

const Tensor kLabels = Tensor::from(std::vector<std::int32_t>{2, 0, 3, 3}, {4});
const Tensor kWeights = Tensor::from(std::vector<double>{0.25, 0.5, 0.0, 1.25}, {4});

Operation fused(double smoothing) {
  return [=](const std::vector<Var>& v) {
    return softmax_cross_entropy(v[0], kLabels, kWeights.to(v[0].dtype()), smoothing);
  };
}

TEST(SoftmaxCrossEntropy, EqualsItsComposedTwin) {
  for (const double smoothing : {0.0, 0.1, 1.0}) {
    expect_twins(fused(smoothing), composed_cross_entropy(kLabels, kWeights, smoothing),
                 {random_tensor({4, 5}, 1, 4.0)});
  }
}

TEST(SoftmaxCrossEntropy, PassesTheGradientCheck) {
  for (const double smoothing : {0.0, 0.2}) {
    const auto result = check_gradients(fused(smoothing), {random_tensor({4, 5}, 2, 3.0)});
    EXPECT_TRUE(result.passed()) << result.where;
  }
}

TEST(SoftmaxCrossEntropy, FloatIsCloseToDouble) {
  expect_float_close(fused(0.1), {random_tensor({4, 5}, 3, 4.0)}, 2e-7);
}

// log 2 for equal logits; a confident right answer costs nothing, a wrong one its distance, however
// large.
TEST(SoftmaxCrossEntropy, HasTheKnownValues) {
  const Tensor one = Tensor::full({1}, DType::f64, 1.0);
  const auto value = [&](std::vector<double> logits, std::int32_t label) {
    return softmax_cross_entropy(Var(Tensor::from(logits, {1, 2})),
                                 Tensor::from(std::vector<std::int32_t>{label}, {1}), one)
        .value()
        .item();
  };
  EXPECT_DOUBLE_EQ(value({3, 3}, 0), std::log(2.0));
  EXPECT_DOUBLE_EQ(value({1e4, -1e4}, 0), 0.0);
  EXPECT_DOUBLE_EQ(value({1e4, -1e4}, 1), 2e4);
}

TEST(SoftmaxCrossEntropy, NamesWhatDoesNotFit) {
  const auto call = [](const Shape& logits, const Tensor& labels, const Tensor& weights,
                       double smoothing) {
    return
        [=] { softmax_cross_entropy(Var(random_tensor(logits, 1)), labels, weights, smoothing); };
  };
  expect_error<std::invalid_argument>("label", "labels[2] = 3 is outside [0,3)",
                                      call({4, 3}, kLabels, kWeights, 0));
  expect_error<std::invalid_argument>("rows", "labels has shape (4), expected (3)",
                                      call({3, 5}, kLabels, kWeights, 0));
  expect_error<std::invalid_argument>("weights", "weights has shape (3), expected (4)",
                                      call({4, 5}, kLabels, random_tensor({3}, 1), 0));
  expect_error<std::invalid_argument>("empty", "logits has shape (0,5)",
                                      call({0, 5}, kLabels, kWeights, 0));
  expect_error<std::invalid_argument>("smoothing", "smoothing must be in [0,1]",
                                      call({4, 5}, kLabels, kWeights, std::nan("")));
  expect_error<std::invalid_argument>("type", "inputs are f64",
                                      call({4, 5}, kLabels, kWeights.to(DType::f32), 0));
}

}  // namespace
}  // namespace holdfast
