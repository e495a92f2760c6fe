// The engine (autograd/backward.cpp): order, adding up, depth, memory, and what it refuses.
#include <gtest/gtest.h>

#include "audit/reference/random_tensor.h"
#include "autograd/ops.h"
#include "autograd/ops/op.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

using reference::random_tensor;

Parameter parameter(const Shape& shape, std::uint64_t seed = 1) {
  return {"p", random_tensor(shape, seed), Tensor::full(shape, DType::f64, 1e9), false};
}

TEST(Backward, AssignsFirstAndAddsAfterwards) {
  Parameter p = parameter({3});
  const Var loss = sum(scale(Var(p), 2.0));
  backward(loss);
  EXPECT_TRUE(p.has_grad);
  EXPECT_EQ(p.grad.to_vector(), std::vector<double>(3, 2.0));
  backward(loss);
  EXPECT_EQ(p.grad.to_vector(), std::vector<double>(3, 4.0));
  p.zero_grad();
  backward(loss);
  EXPECT_EQ(p.grad.to_vector(), std::vector<double>(3, 2.0));
}

TEST(Backward, OfAParameterItselfIsDout) {
  Parameter p = parameter({2});
  backward(Var(p), Tensor::from(std::vector<double>{3.0, 4.0}, {2}));
  EXPECT_EQ(p.grad.to_vector(), (std::vector<double>{3.0, 4.0}));
}

// y = (x + x^2) * x^2 with x^2 shared: the gradient of a node is complete before it goes on.
TEST(Backward, OfADiamondVisitsEachNodeOnce) {
  Parameter p = parameter({4});
  const Var x(p), square = mul(x, x);
  backward(sum(mul(add(x, square), square)));
  const auto values = p.value.to_vector(), gradient = p.grad.to_vector();
  for (std::size_t i = 0; i < 4; ++i) {
    const double v = values[i];
    EXPECT_NEAR(gradient[i], 3 * v * v + 4 * v * v * v, 1e-15);
  }
}

// 2^40 paths but 40 nodes.
TEST(Backward, OfManyDiamondsIsLinear) {
  Parameter p = parameter({1});
  Var x(p);
  for (int i = 0; i < 40; ++i) x = add(x, x);
  backward(sum(x));
  EXPECT_EQ(p.grad.item(), 0x1p40);
}

TEST(Backward, TwiceOverOneGraphGivesTheSame) {
  Parameter p = parameter({3, 3});
  const Var x(p), y = softmax(matmul(tanh(x), gelu(transpose(x, 0, 1))));
  const Tensor dout = random_tensor({3, 3}, 5);
  backward(y, dout);
  const auto first = p.grad.to_vector();
  p.zero_grad();
  backward(y, dout);
  EXPECT_EQ(p.grad.to_vector(), first);
}

TEST(Backward, DoesNotChangeDout) {
  Parameter p = parameter({3});
  const Tensor dout = random_tensor({3}, 6);
  const auto before = dout.to_vector();
  const Var x(p), y = add(x, x);
  backward(add(y, y), dout);
  EXPECT_EQ(dout.to_vector(), before);
}

TEST(Backward, AndDestructionOfADeepChainUseNoStack) {
  Parameter p = parameter({1});
  Var x(p);
  for (int i = 0; i < 100'000; ++i) x = scale(x, 1.0);
  backward(x, Tensor::full({1}, DType::f64, 1.0));
  EXPECT_EQ(p.grad.item(), 1.0);
  x = Var();
}

TEST(Backward, DestructionLeavesWhatOthersHold) {
  Parameter p = parameter({2});
  Var middle = scale(Var(p), 3.0);
  { const Var top = scale(scale(middle, 1.0), 1.0); }
  backward(sum(middle));
  EXPECT_EQ(p.grad.to_vector(), std::vector<double>(2, 3.0));
}

TEST(Backward, ReachesOnlyWhatLedToTheLoss) {
  Parameter used = parameter({2}), unused = parameter({2});
  const Var ignored = mul(Var(unused), Var(used));
  backward(sum(Var(used)));
  EXPECT_TRUE(used.has_grad);
  EXPECT_FALSE(unused.has_grad);
  EXPECT_EQ(used.grad.to_vector(), std::vector<double>(2, 1.0));
}

// tanh saves y alone: its input's memory is free once nothing else holds it.
TEST(Graph, KeepsOnlyWhatItsNodesSave) {
  Parameter p = parameter({1000});
  const std::int64_t before = memory_use().live;
  const Var y = tanh(scale(Var(p), 2.0));
  EXPECT_EQ(memory_use().live - before, 8192);
  EXPECT_EQ(y.value().storage().use_count(), 2);
}

TEST(NoGradScope, RecordsNothingAndNests) {
  Parameter p = parameter({2});
  {
    const NoGrad outer;
    {
      const NoGrad inner;
      EXPECT_FALSE(recording());
    }
    EXPECT_FALSE(recording());
    EXPECT_FALSE(mul(Var(p), Var(p)).requires_grad());
  }
  EXPECT_TRUE(recording());
  EXPECT_TRUE(mul(Var(p), Var(p)).requires_grad());
  EXPECT_FALSE(exp(Var(p.value)).requires_grad());
}

TEST(RequireNoGrad, StopsWhereAGradientWouldBeLost) {
  Parameter p = parameter({2});
  const Var trained(p), constant(p.value);
  expect_error<std::logic_error>("trained", "[top_k] has no backward", [&] {
    require_no_grad("top_k", {&constant, &trained});
  });
  EXPECT_NO_THROW(require_no_grad("top_k", {&constant}));
  const NoGrad no_grad;
  EXPECT_NO_THROW(require_no_grad("top_k", {&trained}));
}

TEST(Backward, RefusesBadCalls) {
  Parameter p = parameter({2});
  const Var x(p), y = exp(x);
  expect_error<std::invalid_argument>(
      "not scalar", "[backward] a loss has one element, this has shape (2)", [&] { backward(y); });
  expect_error<std::invalid_argument>("constant", "nothing trainable",
                                      [&] { backward(sum(Var(p.value))); });
  expect_error<std::invalid_argument>("shape",
                                      "[backward] the gradient has shape (3), the value (2)",
                                      [&] { backward(y, Tensor::zeros({3}, DType::f64)); });
  expect_error<std::invalid_argument>("type", "[backward]",
                                      [&] { backward(y, Tensor::zeros({2}, DType::f32)); });
}

TEST(Backward, NamesAnOperationWhoseGradientHasTheWrongShape) {
  Parameter p = parameter({2});
  const Var y =
      ops::record("broken", p.value, {exp(Var(p))}, [](const Tensor&, Gradients& gradients) {
        gradients.add(0, Tensor::zeros({3}, DType::f64));
      });
  expect_error<std::logic_error>("broken",
                                 "[broken] gradient of input 0 has shape (3), the input has (2)",
                                 [&] { backward(sum(y)); });
}

}  // namespace
}  // namespace holdfast
