// Importance of models with adapters and frozen parameters: per-sample sums over the parameters
// that are trained, zero for the others.
#include <gtest/gtest.h>

#include "audit/reference/adapter_models.h"
#include "audit/reference/per_sample_loop.h"
#include "tests/train/tiny_classifier.h"
#include "train/fisher.h"

namespace holdfast {
namespace {

class AdapterImportance : public ::testing::TestWithParam<AdapterKind> {
 protected:
  static Model model() {
    Model model = tiny_model(DType::f64);
    model.add_adapter(testing::adapter_of(GetParam()), 1);
    testing::scatter_adapter(model);
    return model;
  }
};

TEST_P(AdapterImportance, EqualsTheLoop) {
  const std::vector<Sample> samples = texts(5, 3);
  for (const bool base_frozen : {true, false}) {
    Model model = AdapterImportance::model();
    if (base_frozen) model.train_adapters_only();
    const Head& head = *model.head("news");
    for (const ImportanceKind kind : {ImportanceKind::true_fisher, ImportanceKind::mas}) {
      const Importance found =
          measure_importance(model, head, samples, {.kind = kind, .batch_size = 3, .dropout = {}});
      expect_near(found.values.to_vector(), importance_by_loop(model, head, samples, kind), 1e-12);
      for (const NamedSlice& slice : model.arena().slices()) {
        double sum = 0;
        for (const double f :
             found.values.slice(0, slice.offset, slice.offset + slice.size).to_vector())
          sum += f;
        if (!model.arena().trainable(slice)) {
          EXPECT_EQ(sum, 0.0) << slice.name;
        } else if (slice.adapter) {
          EXPECT_GT(sum, 0.0) << slice.name;
        }
      }
    }
  }
}

// The last layer has a row a text, which must not be taken for tokens: batches of one text, and of
// as many tokens as texts.
TEST_P(AdapterImportance, OfBatchesWithFewRowsEqualsTheLoop) {
  Model model = AdapterImportance::model();
  const Head& head = *model.head("news");
  for (const std::int64_t tokens : {0, 1}) {  // 0: from 1 to 12
    const std::vector<Sample> samples = texts(4, 3, tokens);
    const ImportanceKind kind = ImportanceKind::empirical;
    const std::vector<double> expected = importance_by_loop(model, head, samples, kind);
    for (const std::int64_t batch_size : {1, 3, 4}) {
      const ImportanceOptions options{.kind = kind, .batch_size = batch_size, .dropout = {}};
      expect_near(measure_importance(model, head, samples, options).values.to_vector(), expected,
                  1e-12);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, AdapterImportance,
                         ::testing::Values(AdapterKind::houlsby, AdapterKind::pfeiffer,
                                           AdapterKind::lora),
                         [](const auto& test) { return std::string(name_of(test.param)); });

// Biases alone (their weights frozen) keep their samples too.
TEST(FrozenImportance, OfBiasesEqualsThatOfTheWholeModel) {
  const std::vector<Sample> samples = texts(5, 3);
  Model model = tiny_model(DType::f64);
  const Head& head = *model.head("news");
  const std::vector<double> whole = measure_importance(model, head, samples).values.to_vector();
  const auto is_bias = [](const NamedSlice& slice) { return slice.name.ends_with("bias"); };
  model.arena().train_only(is_bias);
  const std::vector<double> biases = measure_importance(model, head, samples).values.to_vector();
  for (const NamedSlice& slice : model.arena().slices()) {
    for (auto i = static_cast<std::size_t>(slice.offset);
         i < static_cast<std::size_t>(slice.offset + slice.size); ++i)
      ASSERT_NEAR(biases[i], is_bias(slice) ? whole[i] : 0.0, 1e-13) << slice.name;
  }
}

}  // namespace
}  // namespace holdfast
