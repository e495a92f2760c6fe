#include "nn/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "audit/reference/small_bert.h"
#include "base/parallel.h"
#include "tests/nn/scratch.h"

namespace holdfast {
namespace {

using testing::message_of;

BertConfig small_config() { return small_bert(50, 16, 2); }

TEST(Model, ArenaOrderIsThatOfTheLayers) {
  Model model = Model::create(small_config(), DType::f32, 1);
  model.add_head("news", {"a", "b", "c"}, 1);
  const auto& slices = model.arena().slices();
  ASSERT_EQ(slices.size(), 5U + 2 * 16 + 2 + 2);
  EXPECT_EQ(slices[0].name, "embeddings.word_embeddings.weight");
  EXPECT_EQ(slices[4].name, "embeddings.LayerNorm.bias");
  EXPECT_EQ(slices[5].name, "encoder.layer.0.attention.self.query.weight");
  EXPECT_EQ(slices[7].name, "encoder.layer.0.attention.self.value.weight");
  EXPECT_EQ(slices[8].name, "encoder.layer.0.attention.self.query.bias");
  EXPECT_EQ(slices[20].name, "encoder.layer.0.output.LayerNorm.bias");
  EXPECT_EQ(slices[37].name, "pooler.dense.weight");
  EXPECT_EQ(slices[39].name, "heads.news.weight");
  EXPECT_EQ(slices[39].shape, (Shape{3, 16}));
  EXPECT_EQ(slices[39].task, "news");
  for (const NamedSlice& slice : slices) {
    const bool vector = slice.shape.rank() == 1;
    EXPECT_EQ(slice.decay, !vector) << slice.name << ": biases and norms do not decay";
    const int layer = slice.name.starts_with("embeddings")        ? 0
                      : slice.name.starts_with("encoder.layer.0") ? 1
                      : slice.name.starts_with("encoder.layer.1") ? 2
                                                                  : 3;
    EXPECT_EQ(slice.layer, layer) << slice.name;
  }
  for (const std::size_t query : {5U, 21U}) {  // the last layer's lie as the others', query apart
    EXPECT_EQ(slices[query + 1].offset, slices[query].offset + 16 * 16)
        << "queries, keys and values are one GEMM";
    EXPECT_EQ(slices[query + 2].offset, slices[query].offset + 2 * 16 * 16);
    EXPECT_EQ(slices[query + 3].offset, slices[query].offset + 3 * 16 * 16);
    EXPECT_EQ(slices[query + 5].offset, slices[query + 3].offset + 2 * 16);
  }
}

TEST(Model, FreshWeightsAreThoseOfTheStreams) {
  BertConfig config = small_config();
  const Model model = Model::create(config, DType::f64, 7);
  const auto words =
      model.arena().value(*model.arena().find("embeddings.word_embeddings.weight")).to_vector();
  double square = 0;
  for (const double w : words) square += w * w;
  EXPECT_NEAR(std::sqrt(square / static_cast<double>(words.size())), 0.02, 0.002);
  EXPECT_EQ(model.arena()
                .value(*model.arena().find("encoder.layer.1.output.LayerNorm.weight"))
                .to_vector(),
            std::vector<double>(16, 1.0));
  EXPECT_EQ(model.arena().value(*model.arena().find("pooler.dense.bias")).to_vector(),
            std::vector<double>(16, 0.0));

  config.layers = 3;  // another layout, the same names
  const Model deeper = Model::create(config, DType::f64, 7);
  for (const NamedSlice& slice : model.arena().slices()) {
    EXPECT_EQ(model.arena().value(slice).to_vector(),
              deeper.arena().value(*deeper.arena().find(slice.name)).to_vector())
        << slice.name;
  }
  EXPECT_NE(
      words,
      Model::create(config, DType::f64, 8).arena().value(deeper.arena().slices()[0]).to_vector());
}

TEST(Model, AddingAndRenamingHeadsKeepsValues) {
  Model model = Model::create(small_config(), DType::f32, 1);
  model.add_head("news", {"a", "b", "c"}, 1);
  const auto before = model.arena().values().to_vector();
  model.add_head("medical", {"x", "y"}, 2);
  auto after = model.arena().values().to_vector();
  ASSERT_GT(after.size(), before.size());
  after.resize(before.size());
  EXPECT_EQ(after, before);
  const auto medical = model.arena().value(*model.arena().find("heads.medical.weight")).to_vector();
  EXPECT_NE(medical, std::vector<double>(32, 0.0));

  model.rename_head("medical", "clinic");
  EXPECT_EQ(model.head("medical"), nullptr);
  EXPECT_EQ(model.arena().find("heads.medical.weight"), nullptr);
  EXPECT_EQ(model.arena().value(*model.arena().find("heads.clinic.weight")).to_vector(), medical);
  EXPECT_EQ(model.arena()[model.head("clinic")->weight].name, "heads.clinic.weight");
  EXPECT_EQ(model.head("clinic")->labels, (std::vector<std::string>{"x", "y"}));

  EXPECT_THROW(model.add_head("news", {"a"}, 1), std::invalid_argument);
  EXPECT_THROW(model.add_head("", {"a"}, 1), std::invalid_argument);
  EXPECT_THROW(model.add_head("new", {}, 1), std::invalid_argument);
  EXPECT_THROW(model.add_head("new", {"a", "a"}, 1), std::invalid_argument);
  EXPECT_THROW(model.rename_head("absent", "new"), std::invalid_argument);
  EXPECT_THROW(model.rename_head("news", "clinic"), std::invalid_argument);
  EXPECT_EQ(model.heads().size(), 2U);
}

TEST(Model, CloneSharesNothing) {
  Model model = Model::create(small_config(), DType::f32, 1);
  model.add_head("news", {"a", "b"}, 1);
  Model copy = model.clone();
  EXPECT_EQ(copy.arena().values().to_vector(), model.arena().values().to_vector());
  EXPECT_EQ(copy.heads().front().labels, model.heads().front().labels);
  copy.arena().values().fill(3);
  EXPECT_NE(copy.arena().values().to_vector(), model.arena().values().to_vector());
}

TEST(Model, NamesInTheFile) {
  Model model = Model::create(small_config(), DType::f32, 1);
  model.add_head("news", {"a", "b"}, 1);
  model.add_head("medical", {"a", "b"}, 1);
  const auto name = [&](const char* slice) {
    return Model::file_name(*model.arena().find(slice), "news");
  };
  EXPECT_EQ(name("pooler.dense.bias"), "bert.pooler.dense.bias");
  EXPECT_EQ(name("heads.news.weight"), "classifier.weight");
  EXPECT_EQ(name("heads.news.bias"), "classifier.bias");
  EXPECT_EQ(name("heads.medical.bias"), "heads.medical.bias");
}

TEST(Dropout, EachSiteHasItsOwnStream) {
  const DropoutPlan off;
  EXPECT_FALSE(off.at("embeddings", 0.1).active());
  const DropoutPlan plan{.active = true, .seed = 3, .step = 9};
  EXPECT_EQ(plan.at("embeddings", 0.1).threshold, 6554U);
  EXPECT_EQ(plan.at("embeddings", 0.1).step, 9U);
  EXPECT_FALSE(plan.at("embeddings", 0.0).active());
  std::set<PhiloxKey> keys;
  for (const char* site : {"embeddings", "layer.0.output", "layer.0.attention.output",
                           "layer.1.output", "classifier"}) {
    keys.insert(plan.at(site, 0.1).key);
  }
  EXPECT_EQ(keys.size(), 5U);
  EXPECT_NE(plan.at("embeddings", 0.1).key,
            (DropoutPlan{.active = true, .seed = 4}.at("embeddings", 0.1).key));
}

// With dropout a text's logits depend on its slot and step, and not on the texts packed beside it.
TEST(Dropout, FollowsTheSlotNotThePlaceInTheBatch) {
  Model model = Model::create(small_bert(50, 16, 2, 0.3), DType::f64, 1);
  model.set_dropout(0.5);
  model.add_head("news", {"a", "b"}, 1);
  const std::vector<std::int32_t> first = {3, 4, 5, 6}, second = {7, 8};
  const auto logits = [&](const std::vector<TokenSpan>& texts, std::uint32_t step) {
    const NoGrad off;
    const DropoutPlan plan{.active = true, .seed = 11, .step = step};
    const Batch batch = pack(texts);
    return model.logits(model.pool(batch, plan), model.heads().front()).value();
  };
  const TokenSpan a{.ids = first, .type_ids = {}, .slot = 0},
      b{.ids = second, .type_ids = {}, .slot = 1};
  const std::vector<double> together = logits({a, b}, 0).slice(0, 1, 2).to_vector();
  const std::vector<double> alone = logits({b}, 0).to_vector();
  for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(together[i], alone[i], 1e-12);
  EXPECT_GT(std::fabs(logits({b}, 1).to_vector()[0] - alone[0]), 1e-6);
  const TokenSpan elsewhere{.ids = second, .type_ids = {}, .slot = 2};
  EXPECT_GT(std::fabs(logits({elsewhere}, 0).to_vector()[0] - alone[0]), 1e-6);
  EXPECT_THROW(model.set_dropout(1.0), std::invalid_argument);
}

// A forward and backward pass with dropout gives the same bits for any number of workers.
TEST(Model, BitsDoNotDependOnThreads) {
  BertConfig config = small_bert(300, 128, 2);
  config.intermediate_size = 512;
  Model model = Model::create(config, DType::f32, 1);
  model.add_head("news", {"a", "b"}, 1);
  std::vector<std::vector<std::int32_t>> ids;
  std::vector<TokenSpan> texts;
  for (const int length : {130, 7, 64, 1, 33, 90, 12, 5}) {
    auto& text = ids.emplace_back(static_cast<std::size_t>(length));
    for (std::size_t i = 0; i < text.size(); ++i)
      text[i] = static_cast<std::int32_t>((7 * i + ids.size()) % 300);
  }
  for (const auto& text : ids)
    texts.push_back({.ids = text, .type_ids = {}, .slot = static_cast<std::int32_t>(texts.size())});
  const Batch batch = pack(texts);
  const Tensor labels = Tensor::from<std::int32_t>({0, 1, 0, 1, 1, 0, 1, 0}, {8});
  const DropoutPlan plan{.active = true, .seed = 2, .step = 1};
  const int before = thread_count();
  std::vector<double> expected;
  for (const int threads : {1, 2, 4}) {
    set_thread_count(threads);
    model.arena().zero_grad();
    const Var pooled = model.pool(batch, plan);
    backward(softmax_cross_entropy(model.logits(pooled, model.heads().front()), labels,
                                   Tensor::full({8}, DType::f32, 0.125)));
    model.arena().clear_unreached();
    const std::vector<double> gradients = model.arena().grads().to_vector();
    if (expected.empty()) expected = gradients;
    EXPECT_EQ(gradients, expected) << threads << " threads";
  }
  set_thread_count(before);
  EXPECT_GT(*std::max_element(expected.begin(), expected.end()), 0.0);
}

TEST(Model, LogitsOfSomeRows) {
  Model model = Model::create(small_config(), DType::f64, 1);
  model.add_head("news", {"a", "b", "c"}, 1);
  const std::vector<std::int32_t> first = {3, 4}, second = {5}, third = {6, 7};
  const Batch batch = pack(std::vector<TokenSpan>{{.ids = first, .type_ids = {}},
                                                  {.ids = second, .type_ids = {}},
                                                  {.ids = third, .type_ids = {}}});
  const Var pooled = model.pool(batch);
  const Tensor all = model.logits(pooled, model.heads().front()).value();
  const Tensor some =
      model.logits(pooled, model.heads().front(), Tensor::from<std::int32_t>({2, 0}, {2})).value();
  EXPECT_EQ(some.slice(0, 0, 1).to_vector(), all.slice(0, 2, 3).to_vector());
  EXPECT_EQ(some.slice(0, 1, 2).to_vector(), all.slice(0, 0, 1).to_vector());
}

TEST(Model, IdsOutsideTheTablesAreNamed) {
  Model model = Model::create(small_config(), DType::f32, 1);
  const std::vector<std::int32_t> unknown = {50}, types = {2}, known = {1}, longest(33, 1);
  const auto message = [&](const TokenSpan& text) {
    return message_of([&] { model.encode(pack({&text, 1})); });
  };
  EXPECT_NE(message({.ids = unknown, .type_ids = {}}), "");
  EXPECT_NE(message({.ids = known, .type_ids = types}), "");
  EXPECT_NE(message({.ids = longest, .type_ids = {}}), "") << "longer than the position table";
}

}  // namespace
}  // namespace holdfast
