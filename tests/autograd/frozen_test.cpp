// Frozen parameters: constants of the graph, alone and beside trainable ones in fused operations.
#include <gtest/gtest.h>

#include <array>

#include "audit/reference/random_tensor.h"
#include "autograd/fused.h"

namespace holdfast {
namespace {

using reference::random_tensor;

Parameter parameter(const Shape& shape, std::uint64_t seed, bool trainable = true) {
  return {.name = "p" + std::to_string(seed),
          .value = random_tensor(shape, seed),
          .grad = Tensor::full(shape, DType::f64, 7.0),
          .trainable = trainable};
}

TEST(Frozen, ParametersAreConstants) {
  Parameter a = parameter({3}, 1, false), b = parameter({3}, 2);
  EXPECT_FALSE(Var(a).requires_grad());
  const Var y = mul(Var(a), Var(b));
  backward(y, Tensor::full({3}, DType::f64, 1.0));
  EXPECT_FALSE(a.has_grad);
  EXPECT_EQ(a.grad.to_vector(), std::vector<double>(3, 7.0)) << "untouched";
  EXPECT_EQ(b.grad.to_vector(), a.value.to_vector());
  a.trainable = true;
  EXPECT_TRUE(Var(a).requires_grad());
}

// Which of a layer's parameters and its input are trainable: every gradient that is wanted is that
// of the layer where all are.
using Function = std::function<Var(std::vector<Parameter>&)>;

void expect_parts_of_whole(const std::vector<Shape>& shapes, const Function& function) {
  const auto run = [&](unsigned trainable) {
    std::vector<Parameter> parameters;
    for (std::size_t i = 0; i < shapes.size(); ++i)
      parameters.push_back(parameter(shapes[i], i + 1, (trainable >> i) % 2 == 1));
    const Var y = function(parameters);
    backward(y, random_tensor(y.shape(), 99));
    return parameters;
  };
  const unsigned all = (1U << shapes.size()) - 1;
  const std::vector<Parameter> whole = run(all);
  for (unsigned some = 1; some < all; ++some) {
    const std::vector<Parameter> parts = run(some);
    for (std::size_t i = 0; i < shapes.size(); ++i) {
      const bool wanted = (some >> i) % 2 == 1;
      EXPECT_EQ(parts[i].has_grad, wanted) << "input " << i << " of " << some;
      const std::vector<double> found = parts[i].grad.to_vector(),
                                expected = whole[i].grad.to_vector();
      for (std::size_t j = 0; j < found.size(); ++j)
        EXPECT_NEAR(found[j], wanted ? expected[j] : 7.0, 1e-13) << "input " << i << " of " << some;
    }
  }
}

TEST(Frozen, PartsOfLinear) {
  for (const Activation activation : {Activation::none, Activation::gelu_erf, Activation::relu}) {
    expect_parts_of_whole({{5, 4}, {3, 4}, {3}}, [&](std::vector<Parameter>& p) {
      return linear(tanh(Var(p[0])), Var(p[1]), Var(p[2]), activation);
    });
  }
}

TEST(Frozen, PartsOfANormWithItsResidual) {
  const Tensor places = Tensor::from<std::int32_t>({0, 1, 2, 3, 4}, {5});
  const Packing packing{Tensor::from<std::int32_t>({0, 5}, {2}), places, places};
  expect_parts_of_whole({{5, 4}, {5, 4}, {4}, {4}}, [&](std::vector<Parameter>& p) {
    return dropout_residual_layer_norm(tanh(Var(p[0])), tanh(Var(p[1])), Var(p[2]), Var(p[3]),
                                       1e-12, {.key = {3, 4}, .threshold = 20000}, packing);
  });
}

TEST(Frozen, PartsOfEmbeddings) {
  const auto ints = [](std::vector<std::int32_t> values) { return Tensor::from(values, {5}); };
  const Tensor places = ints({0, 1, 2, 3, 4});
  const Packing packing{Tensor::from<std::int32_t>({0, 5}, {2}), places, places};
  expect_parts_of_whole({{6, 4}, {5, 4}, {2, 4}, {4}, {4}}, [&](std::vector<Parameter>& p) {
    return embedding_layer_norm(Var(p[0]), Var(p[1]), Var(p[2]), ints({1, 5, 1, 0, 2}), places,
                                ints({0, 0, 1, 1, 0}), Var(p[3]), Var(p[4]), 1e-12,
                                {.key = {3, 4}, .threshold = 20000}, packing);
  });
}

// A strategy that knows nothing of biases gets them as tables of one row.
TEST(Frozen, ABiasAloneIsATableOfOneRow) {
  class Tables : public SummedGradients {
   public:
    void bias(Parameter& bias, const Tensor& dout) override {
      ParameterGradients::bias(bias, dout);
    }
    void embedding(Parameter& table, const Tensor& ids, const Tensor& dout) override {
      EXPECT_EQ(ids.to_vector(), std::vector<double>(5, 0.0));
      SummedGradients::embedding(table, ids, dout);
    }
  };
  std::array<std::vector<double>, 2> gradients;
  for (const bool as_table : {false, true}) {
    Parameter x = parameter({5, 4}, 1), weight = parameter({3, 4}, 2, false), b = parameter({3}, 3);
    const Var y = linear(Var(x), Var(weight), Var(b));
    Tables tables;
    SummedGradients sums;
    backward(y, random_tensor(y.shape(), 9),
             as_table ? static_cast<ParameterGradients&>(tables) : sums);
    gradients[as_table ? 1 : 0] = b.grad.to_vector();
  }
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(gradients[0][i], gradients[1][i], 1e-15);
}

// A frozen weight has no gradient, so the layer's input need not be kept for one.
TEST(Frozen, WeightsKeepNoInput) {
  Parameter weight = parameter({3, 4}, 2), bias = parameter({3}, 3);
  for (const bool trainable : {false, true}) {
    weight.trainable = trainable;
    const Tensor x = random_tensor({5, 4}, 1);
    const long before = x.storage().use_count();
    const Var y = linear(Var(x), Var(weight), Var(bias));
    EXPECT_EQ(x.storage().use_count() - before, trainable ? 1 : 0);
  }
}

}  // namespace
}  // namespace holdfast
