#include "audit/reference/composed.h"
#include "autograd/grad_check.h"
#include "tests/autograd/fused_twins.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

constexpr double kEps = 1e-5;

std::vector<Tensor> norm_inputs(const Shape& shape) {
  const std::int64_t C = shape[-1];
  return {random_tensor(shape, 1, 3.0), random_tensor({C}, 2), random_tensor({C}, 3)};
}

Var fused_norm(const std::vector<Var>& v) { return layer_norm(v[0], v[1], v[2], kEps); }

TEST(LayerNorm, EqualsItsComposedTwin) {
  for (const Shape& shape : {Shape{1, 1}, Shape{5, 7}, Shape{3, 64}, Shape{2, 3, 100}, Shape{384},
                             Shape{200, 33}, Shape{2, 3000}}) {
    SCOPED_TRACE(shape.text());
    expect_twins(
        fused_norm, [](const std::vector<Var>& v) { return composed_norm(v[0], v[1], v[2], kEps); },
        norm_inputs(shape));
  }
}

TEST(LayerNorm, PassesTheGradientCheck) {
  for (const Shape& shape : {Shape{4, 6}, Shape{1, 5}, Shape{3, 17}}) {
    const auto result = check_gradients(fused_norm, norm_inputs(shape));
    EXPECT_TRUE(result.passed()) << result.where;
  }
}

TEST(LayerNorm, FloatIsCloseToDouble) {
  expect_float_close(fused_norm, norm_inputs({50, 384}), 1e-6);
  // A mean a thousand times the deviation: two passes lose what the rounding of x has lost, no
  // more.
  std::vector<Tensor> inputs = norm_inputs({20, 768});
  for (double& x : inputs[0].span<double>()) x += 1000;
  expect_float_close(fused_norm, inputs, 1e-4);
}

TEST(LayerNorm, TakesNoRows) {
  const std::vector<Tensor> results = run(fused_norm, norm_inputs({0, 8}));
  EXPECT_EQ(results[0].shape(), Shape({0, 8}));
  EXPECT_EQ(results[2].to_vector(), std::vector<double>(8, 0.0));
}

TEST(LayerNorm, NamesWhatDoesNotFit) {
  const auto call = [](const Shape& x, const Shape& gamma, const Shape& beta) {
    return [=] {
      layer_norm(Var(random_tensor(x, 1)), Var(random_tensor(gamma, 2)),
                 Var(random_tensor(beta, 3)), kEps);
    };
  };
  expect_error<std::invalid_argument>("gamma", "[layer_norm] gamma has shape (5), expected (4)",
                                      call({2, 4}, {5}, {4}));
  expect_error<std::invalid_argument>("beta", "[layer_norm] beta has shape (1,4), expected (4)",
                                      call({2, 4}, {4}, {1, 4}));
  expect_error<std::invalid_argument>("scalar", "[layer_norm] x has shape ()", call({}, {1}, {1}));
  expect_error<std::invalid_argument>("no channels", "[layer_norm] x has shape (2,0)",
                                      call({2, 0}, {0}, {0}));
}

// dropout_residual_layer_norm

Operation fused_residual(const DropoutKey& key, const Packing& packing) {
  return [=](const std::vector<Var>& v) {
    return dropout_residual_layer_norm(v[0], v[1], v[2], v[3], kEps, key, packing);
  };
}

std::vector<Tensor> residual_inputs(std::int64_t N, std::int64_t C) {
  return {random_tensor({N, C}, 1), random_tensor({N, C}, 2), random_tensor({C}, 3),
          random_tensor({C}, 4)};
}

TEST(DropoutResidualLayerNorm, EqualsItsComposedTwin) {
  for (const double p : {0.0, 0.1}) {
    for (const std::int64_t C : {1, 5, 32, 384}) {
      SCOPED_TRACE(testing::Message() << p << ' ' << C);
      const Packing packing = packing_of({1, 40, 100}, {3, 0, 8});
      expect_twins(fused_residual(dropout_key(p), packing),
                   composed_residual(dropout_key(p), packing, kEps),
                   residual_inputs(packing.rows(), C));
    }
  }
}

TEST(DropoutResidualLayerNorm, PassesTheGradientCheck) {
  for (const double p : {0.0, 0.3}) {
    const Packing packing = packing_of({2, 1});
    const auto result =
        check_gradients(fused_residual(dropout_key(p), packing), residual_inputs(3, 9));
    EXPECT_TRUE(result.passed()) << result.where;
    const auto reused = check_gradients(
        [&](const std::vector<Var>& v) {
          return dropout_residual_layer_norm(v[0], v[0], v[1], v[1], kEps, dropout_key(p), packing);
        },
        {random_tensor({3, 9}, 1), random_tensor({9}, 2)});
    EXPECT_TRUE(reused.passed()) << reused.where;
  }
}

TEST(DropoutResidualLayerNorm, FloatIsCloseToDouble) {
  const Packing packing = packing_of({54, 10});
  expect_float_close(fused_residual(dropout_key(0.1), packing), residual_inputs(64, 384), 1e-6);
}

TEST(DropoutResidualLayerNorm, NamesWhatDoesNotFit) {
  const auto call = [](const Shape& residual, const Shape& gamma, const Packing& packing) {
    return [=] {
      dropout_residual_layer_norm(Var(random_tensor({3, 4}, 1)), Var(random_tensor(residual, 2)),
                                  Var(random_tensor(gamma, 3)), Var(random_tensor({4}, 4)), kEps,
                                  DropoutKey{}, packing);
    };
  };
  expect_error<std::invalid_argument>("residual", "residual has shape (4,4), expected (3,4)",
                                      call({4, 4}, {4}, packing_of({3})));
  expect_error<std::invalid_argument>("gamma", "gamma has shape (3), expected (4)",
                                      call({3, 4}, {3}, packing_of({3})));
  expect_error<std::invalid_argument>("slots", "slots has shape (2), expected (3)",
                                      call({3, 4}, {4}, packing_of({2})));
}

// embedding_layer_norm

Operation fused_embedding(const DropoutKey& key, const Packing& packing, const Ids& ids) {
  return [=](const std::vector<Var>& v) {
    return embedding_layer_norm(v[0], v[1], v[2], ids.words, ids.positions, ids.types, v[3], v[4],
                                kEps, key, packing);
  };
}

std::vector<Tensor> embedding_inputs(std::int64_t V, std::int64_t P, std::int64_t C) {
  return {random_tensor({V, C}, 1), random_tensor({P, C}, 2), random_tensor({2, C}, 3),
          random_tensor({C}, 4), random_tensor({C}, 5)};
}

TEST(EmbeddingLayerNorm, EqualsItsComposedTwin) {
  for (const double p : {0.0, 0.1}) {
    for (const std::int64_t C : {3, 64, 130}) {
      SCOPED_TRACE(testing::Message() << p << ' ' << C);
      const Packing packing = packing_of({1, 50, 12}, {3, 0, 8});
      const Ids ids = ids_of(packing, 20);
      expect_twins(fused_embedding(dropout_key(p), packing, ids),
                   composed_embedding(dropout_key(p), packing, ids, kEps),
                   embedding_inputs(20, 50, C));
    }
  }
}

TEST(EmbeddingLayerNorm, PassesTheGradientCheck) {
  const Packing packing = packing_of({2, 3});
  const auto result = check_gradients(
      fused_embedding(dropout_key(0.2), packing, ids_of(packing, 4)), embedding_inputs(4, 3, 6));
  EXPECT_TRUE(result.passed()) << result.where;
}

TEST(EmbeddingLayerNorm, FloatIsCloseToDouble) {
  const Packing packing = packing_of({50, 14});
  expect_float_close(fused_embedding(dropout_key(0.1), packing, ids_of(packing, 30)),
                     embedding_inputs(30, 64, 384), 1e-6);
}

TEST(EmbeddingLayerNorm, NamesTheTableAnIdIsOutsideOf) {
  const Packing packing = packing_of({3});
  const auto call = [&](std::vector<std::int32_t> ids, std::vector<std::int32_t> pos,
                        std::vector<std::int32_t> types) {
    return [=] {
      const std::vector<Tensor> t = embedding_inputs(5, 4, 6);
      embedding_layer_norm(Var(t[0]), Var(t[1]), Var(t[2]), Tensor::from(ids, {3}),
                           Tensor::from(pos, {3}), Tensor::from(types, {3}), Var(t[3]), Var(t[4]),
                           kEps, DropoutKey{}, packing);
    };
  };
  expect_error<std::invalid_argument>("word", "(words)[1] = 5 is outside [0,5)",
                                      call({0, 5, 1}, {0, 1, 2}, {0, 0, 0}));
  expect_error<std::invalid_argument>("negative", "(words)[0] = -1 is outside",
                                      call({-1, 0, 1}, {0, 1, 2}, {0, 0, 0}));
  expect_error<std::invalid_argument>("position", "(positions)[2] = 4 is outside [0,4)",
                                      call({0, 1, 1}, {0, 1, 4}, {0, 0, 0}));
  expect_error<std::invalid_argument>("type", "(types)[2] = 2 is outside [0,2)",
                                      call({0, 1, 1}, {0, 1, 2}, {0, 0, 2}));
  expect_error<std::invalid_argument>(
      "table", "positions has shape (4,7), expected rows of 6", [&] {
        const std::vector<Tensor> t = embedding_inputs(5, 4, 6);
        const Tensor ids = Tensor::zeros({3}, DType::i32);
        embedding_layer_norm(Var(t[0]), Var(random_tensor({4, 7}, 1)), Var(t[2]), ids, ids, ids,
                             Var(t[3]), Var(t[4]), kEps, DropoutKey{}, packing);
      });
}

}  // namespace
}  // namespace holdfast
