// Frozen parameters of a model: what a backward pass then costs, and what the arena says of them.
#include <gtest/gtest.h>

#include <map>

#include "audit/reference/adapter_models.h"
#include "tensor/blas.h"
#include "tests/nn/scratch.h"

namespace holdfast {
namespace {

using testing::base_model;
using testing::logits_of;
using testing::loss_of;
using testing::message_of;
using testing::Texts;

void train_from(Model& model, int layer) {
  model.arena().train_only([&](const NamedSlice& slice) { return slice.layer >= layer; });
}

// The graph begins where something is trainable: frozen lower layers are walked by nobody.
TEST(Frozen, LowerLayersCostNoBackward) {
  const Texts texts;
  const std::int64_t N = texts.batch.tokens(), B = texts.batch.texts();
  const auto rows = [&](int layer) {
    Model model = base_model(DType::f32);
    train_from(model, layer);
    const Var loss = loss_of(model, texts);
    const std::int64_t before = gemm_rows();
    backward(loss);
    return gemm_rows() - before;
  };
  EXPECT_EQ(rows(0), 6 * B + N + 4 * N) << "each linear layer's input wants a gradient";
  EXPECT_EQ(rows(1), 6 * B + N + 3 * N) << "but not the first layer's";
  EXPECT_EQ(rows(2), 5 * B);
  EXPECT_EQ(rows(3), B) << "pooler and heads: the logits' gradient goes to the pooled vector";
}

TEST(Frozen, EncoderKeepsNoGraph) {
  Model model = base_model(DType::f32);
  train_from(model, 3);
  const Texts texts;
  EXPECT_FALSE(model.encode(texts.batch).requires_grad());
  train_from(model, 2);
  EXPECT_TRUE(model.encode(texts.batch).requires_grad());
}

TEST(Frozen, GradientsOfTheRestAreTheSameBits) {
  const Texts texts;
  const auto gradients = [&](int layer) {
    Model model = base_model(DType::f32);
    train_from(model, layer);
    backward(loss_of(model, texts));
    model.arena().clear_unreached();
    return model.arena().grads().to_vector();
  };
  const auto whole = gradients(0);
  const Model model = base_model(DType::f32);
  for (const int layer : {1, 2, 3}) {
    const auto some = gradients(layer);
    for (const NamedSlice& slice : model.arena().slices()) {
      for (auto i = static_cast<std::size_t>(slice.offset);
           i < static_cast<std::size_t>(slice.offset + slice.size); ++i)
        ASSERT_EQ(some[i], slice.layer >= layer ? whole[i] : 0.0) << slice.name;
    }
  }
}

// Biases alone, norms alone and words alone: what is fused with a frozen neighbour.
TEST(Frozen, PartsOfFusedOperationsHaveTheSameGradients) {
  const Texts texts;
  const auto gradients = [&](const auto& wanted) {
    Model model = base_model(DType::f64);
    model.arena().train_only(wanted);
    backward(loss_of(model, texts));
    model.arena().clear_unreached();
    return model.arena().grads().to_vector();
  };
  const auto whole = gradients([](const NamedSlice&) { return true; });
  const std::map<std::string, bool (*)(const NamedSlice&)> parts = {
      {"biases", [](const NamedSlice& slice) { return slice.name.ends_with("bias"); }},
      {"norm weights", [](const NamedSlice& s) { return s.name.ends_with("LayerNorm.weight"); }},
      {"weights", [](const NamedSlice& s) { return !s.name.ends_with("bias"); }},
      {"words", [](const NamedSlice& s) { return s.name == "embeddings.word_embeddings.weight"; }},
      {"all but tables", [](const NamedSlice& s) { return !s.name.ends_with("gs.weight"); }},
  };
  const Model model = base_model(DType::f64);
  for (const auto& [name, wanted] : parts) {
    const auto some = gradients(wanted);
    for (const NamedSlice& slice : model.arena().slices()) {
      for (auto i = static_cast<std::size_t>(slice.offset);
           i < static_cast<std::size_t>(slice.offset + slice.size); ++i)
        ASSERT_NEAR(some[i], wanted(slice) ? whole[i] : 0.0, 1e-14) << name << ": " << slice.name;
    }
  }
}

TEST(Frozen, ThawedParametersLearnAgain) {
  Model model = base_model(DType::f64);
  const Texts texts;
  backward(loss_of(model, texts));
  model.arena().clear_unreached();
  const auto before = model.arena().grads().to_vector();
  train_from(model, 2);
  const NamedSlice& words = model.arena().slices().front();
  EXPECT_EQ(model.arena().grad(words).to_vector(), std::vector<double>(50 * 16, 0.0))
      << "the gradient that was there is gone";
  EXPECT_LT(model.arena().trainable_count(), model.arena().parameter_count());
  model.arena().train_all();
  EXPECT_EQ(model.arena().trainable_count(), model.arena().parameter_count());
  backward(loss_of(model, texts));
  model.arena().clear_unreached();
  EXPECT_EQ(model.arena().grads().to_vector(), before);
}

TEST(Frozen, QueriesKeysAndValuesAreOneParameter) {
  Model model = base_model(DType::f32);
  train_from(model, 2);
  const std::string message = message_of([&] {
    model.arena().train_only(
        [](const NamedSlice& slice) { return !slice.name.ends_with("key.weight"); });
  });
  EXPECT_NE(message.find("encoder.layer.0.attention.self.key.weight"), std::string::npos)
      << message;
  EXPECT_TRUE(model.arena().trainable(model.arena().slices().back())) << "nothing has changed";
  EXPECT_FALSE(model.arena().trainable(model.arena().slices().front()));
}

TEST(Frozen, NothingTrainableIsAnError) {
  Model model = base_model(DType::f32);
  model.arena().train_only([](const NamedSlice&) { return false; });
  const Texts texts;
  EXPECT_THROW(backward(loss_of(model, texts)), std::invalid_argument);
}

}  // namespace
}  // namespace holdfast
