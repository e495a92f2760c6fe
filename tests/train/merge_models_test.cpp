#include "train/merge_models.h"

#include <gtest/gtest.h>

#include "audit/reference/small_bert.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

BertConfig small_config() { return small_bert(20, 8, 1); }

/// A model of its own random weights and these heads, of two labels each.
Model model_of(std::uint64_t seed, const std::vector<std::string>& tasks) {
  Model model = Model::create(small_config(), DType::f64, seed);
  for (const std::string& task : tasks) model.add_head(task, {"yes", "no"}, seed);
  return model;
}

std::vector<double> values(const Model& model, const std::string& slice) {
  return model.arena().value(*model.arena().find(slice)).to_vector();
}

void expect_mean(const Model& merged, const std::vector<const Model*>& models,
                 const std::string& slice) {
  const std::vector<double> actual = values(merged, slice);
  for (std::size_t i = 0; i < actual.size(); ++i) {
    double sum = 0;
    for (const Model* model : models) sum += values(*model, slice)[i];
    EXPECT_NEAR(actual[i], sum / static_cast<double>(models.size()), 1e-15) << slice << ' ' << i;
  }
}

TEST(MergeModels, MergesTheEncoderAndTheHeadsThatAllHave) {
  const Model a = model_of(1, {"news"}), b = model_of(2, {"medical", "news"});
  const std::vector<MergeModel> models = {{"a", &a}, {"b", &b}};
  const MergedModel merged = merge_models(nullptr, models, {.method = MergeMethod::linear});
  for (const NamedSlice& slice : a.arena().slices())
    expect_mean(merged.model, {&a, &b}, slice.name);
  for (const char* kind : {"weight", "bias"}) {
    const std::string name = "heads.medical." + std::string(kind);
    EXPECT_EQ(values(merged.model, name), values(b, name));
  }
  ASSERT_EQ(merged.heads.size(), 2u);
  EXPECT_EQ(merged.heads[0].task, "news");
  EXPECT_EQ(merged.heads[0].from, "");
  EXPECT_EQ(merged.heads[1].task, "medical");
  EXPECT_EQ(merged.heads[1].from, "b");
  EXPECT_EQ(merged.report.parameters, a.arena().parameter_count());
}

TEST(MergeModels, KeepsOtherHeadsFromTheLastModelThatHasThem) {
  const Model a = model_of(1, {"news"}), b = model_of(2, {"news", "law"}),
              c = model_of(3, {"medical"});
  const std::vector<MergeModel> models = {{"a", &a}, {"b", &b}, {"c", &c}};
  const MergedModel merged = merge_models(nullptr, models, {.method = MergeMethod::linear});
  EXPECT_EQ(merged.heads[0].task, "news");
  EXPECT_EQ(merged.heads[0].from, "b");
  EXPECT_EQ(values(merged.model, "heads.news.weight"), values(b, "heads.news.weight"));
  EXPECT_EQ(values(merged.model, "heads.law.weight"), values(b, "heads.law.weight"));
  EXPECT_EQ(values(merged.model, "heads.medical.weight"), values(c, "heads.medical.weight"));
  expect_mean(merged.model, {&a, &b, &c}, "pooler.dense.weight");
}

TEST(MergeModels, TaskVectorsStartFromTheBaseWhoseHeadsCountToo) {
  const Model base = model_of(1, {"news"}), a = model_of(2, {"news", "law"}),
              b = model_of(3, {"news"});
  const std::vector<MergeModel> models = {{"a", &a}, {"b", &b}};
  const MergeModel start{"base", &base};
  const MergedModel merged =
      merge_models(&start, models, {.method = MergeMethod::task_arithmetic, .scale = 0.5});
  expect_mean(merged.model, {&a, &b}, "pooler.dense.weight");  // base + (a-base)/2 + (b-base)/2
  expect_mean(merged.model, {&a, &b}, "heads.news.weight");
  EXPECT_EQ(values(merged.model, "heads.law.weight"), values(a, "heads.law.weight"));
}

TEST(MergeModels, ImportanceFollowsItsTensorsIntoTheCommonLayout) {
  const Model a = model_of(1, {"law"}), b = model_of(2, {"news"});
  const auto importance = [](const Model& model, double of_pooler) {
    const Tensor f = Tensor::full({model.arena().numel()}, DType::f64, 1);
    const NamedSlice& pooler = *model.arena().find("pooler.dense.weight");
    f.slice(0, pooler.offset, pooler.offset + pooler.size).fill(of_pooler);
    return f;
  };
  const std::vector<MergeModel> models = {{"a", &a, 1, importance(a, 0)},
                                          {"b", &b, 1, importance(b, 1)}};
  const MergedModel merged =
      merge_models(nullptr, models, {.method = MergeMethod::fisher, .floor = 1e-15});
  const std::vector<double> pooler = values(merged.model, "pooler.dense.weight"),
                            of_b = values(b, "pooler.dense.weight");
  for (std::size_t i = 0; i < pooler.size(); ++i) EXPECT_NEAR(pooler[i], of_b[i], 1e-14);
  expect_mean(merged.model, {&a, &b}, "pooler.dense.bias");
}

TEST(MergeModels, NamesTheFirstDifference) {
  const Model a = model_of(1, {"news"});
  const auto refused = [&](std::string_view part, const Model& other) {
    const std::vector<MergeModel> models = {{"a", &a}, {"b", &other}};
    expect_error<std::invalid_argument>(part, part, [&] { check_mergeable(models); });
  };
  BertConfig wider = small_config();
  wider.intermediate_size = 16;
  refused("a and b cannot be merged: intermediate_size is 12 and 16",
          Model::create(wider, DType::f64, 1));
  BertConfig more_heads = small_config();
  more_heads.heads = 4;
  refused("num_attention_heads is 2 and 4", Model::create(more_heads, DType::f64, 1));
  BertConfig tanh = small_config();
  tanh.activation = Activation::gelu_tanh;
  refused("hidden_act differs", Model::create(tanh, DType::f64, 1));
  Model adapted = model_of(1, {});
  adapted.add_adapter({.kind = AdapterKind::pfeiffer}, 1);
  refused("the adapter is none and pfeiffer", adapted);
  refused("the type is f64 and f32", Model::create(small_config(), DType::f32, 1));
  Model relabelled = Model::create(small_config(), DType::f64, 1);
  relabelled.add_head("news", {"no", "yes"}, 1);
  refused("the label list of head \"news\" is \"yes\", \"no\" and \"no\", \"yes\"", relabelled);
}

}  // namespace
}  // namespace holdfast
