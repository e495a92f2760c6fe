// What every kind of importance must hold, and peers are known to get wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "audit/reference/per_sample_loop.h"
#include "base/parallel.h"
#include "tests/reference/expect_error.h"
#include "tests/train/tiny_classifier.h"
#include "train/fisher.h"

namespace holdfast {
namespace {

class ImportanceKinds : public testing::TestWithParam<ImportanceKind> {
 protected:
  std::vector<double> measure(Model& model, std::span<const Sample> samples,
                              std::int64_t batch_size) const {
    return measure_importance(
               model, *model.head("news"), samples,
               {.kind = GetParam(), .batch_size = batch_size, .dropout = {}, .seed = 3})
        .values.to_vector();
  }
  std::vector<double> by_loop(Model& model, std::span<const Sample> samples) const {
    return importance_by_loop(model, *model.head("news"), samples, GetParam(), 3);
  }
};

INSTANTIATE_TEST_SUITE_P(All, ImportanceKinds,
                         testing::Values(ImportanceKind::true_fisher, ImportanceKind::empirical,
                                         ImportanceKind::sampled, ImportanceKind::sketch,
                                         ImportanceKind::mas),
                         [](const auto& kind) { return std::string(name_of(kind.param)); });

// 11 texts in batches of 4, 4 and 3.
TEST_P(ImportanceKinds, BatchedEqualsTheLoopOverTexts) {
  for (const std::size_t classes : {std::size_t{2}, std::size_t{3}, std::size_t{5}}) {
    Model model = tiny_model(DType::f64, classes);
    const std::vector<Sample> samples = texts(11, static_cast<std::int32_t>(classes));
    expect_near(measure(model, samples, 4), by_loop(model, samples), 1e-12);
  }
}

TEST_P(ImportanceKinds, DoNotDependOnWhatElseIsInTheBatch) {
  Model model = tiny_model(DType::f64);
  const std::vector<Sample> samples = texts(9, 3);
  const std::vector<double> together = measure(model, samples, 9);
  for (const std::int64_t batch_size : {1, 2, 5, 100}) {
    expect_near(measure(model, samples, batch_size), together, 1e-13);
  }
}

// A word's rows are added before they are squared, or made absolute.
TEST_P(ImportanceKinds, RepeatedTokensOfATextAreOneUse) {
  Model model = tiny_model(DType::f64);
  std::vector<Sample> samples = texts(3, 3);
  samples[0].ids = {1, 5, 5, 5, 2};
  samples[1].ids = {5, 5};
  samples[2].ids = {5};
  for (Sample& sample : samples) sample.type_ids.clear();
  expect_near(measure(model, samples, 3), by_loop(model, samples), 1e-12);
}

// Pfeiffer's adapter goes through the layer's own norm twice: its two gradients of a text are added
// first.
TEST_P(ImportanceKinds, TwoUsesOfANormAreAddedFirst) {
  Model model = tiny_model(DType::f64);
  model.add_adapter({.kind = AdapterKind::pfeiffer, .size = 3}, 1);
  const RandomStream stream(4, "adapter");
  for (const NamedSlice& slice : model.arena().slices()) {
    if (!slice.adapter) continue;
    const Tensor value = model.arena().value(slice);  // zero at first: nothing would come through
    for (std::int64_t i = 0; i < value.numel(); ++i) {
      value.data<double>()[i] = 0.3 * stream.normal(static_cast<std::uint64_t>(slice.offset),
                                                    static_cast<std::uint64_t>(i));
    }
  }
  const std::vector<Sample> samples = texts(7, 3);
  expect_near(measure(model, samples, 4), by_loop(model, samples), 1e-12);
}

TEST_P(ImportanceKinds, FrozenParametersGetNone) {
  Model model = tiny_model(DType::f64);
  const std::vector<Sample> samples = texts(5, 3);
  const std::vector<double> all = measure(model, samples, 2);
  model.arena().train_only([](const NamedSlice& slice) { return slice.layer >= 2; });
  std::vector<double> expected = all;
  for (const NamedSlice& slice : model.arena().slices()) {
    if (slice.layer < 2) std::fill_n(expected.begin() + slice.offset, slice.size, 0.0);
  }
  expect_near(measure(model, samples, 2), expected, 1e-13);
}

TEST_P(ImportanceKinds, DropoutIsRefused) {
  Model model = tiny_model(DType::f64);
  expect_error<std::invalid_argument>("dropout", "dropout is on", [&] {
    measure_importance(
        model, *model.head("news"), texts(3, 3),
        {.kind = GetParam(), .batch_size = 4, .dropout = {.active = true, .seed = 1, .step = 0}});
  });
}

TEST_P(ImportanceKinds, SinglePrecisionIsCloseAndTheSameForAnyNumberOfThreads) {
  Model exact = tiny_model(DType::f64), model = tiny_model(DType::f32);
  model.arena().values().copy_from(exact.arena().values());
  const std::vector<Sample> samples = texts(9, 3);
  std::vector<std::vector<double>> results;
  for (const int threads : {1, 2, 4}) {
    set_thread_count(threads);
    results.push_back(measure(model, samples, 32));
  }
  set_thread_count(1);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
  expect_near(results[0], measure(exact, samples, 32), 1e-5);
}

TEST_P(ImportanceKinds, OnlyTheEmpiricalOneSeesLabels) {
  Model model = tiny_model(DType::f64);
  std::vector<Sample> samples = texts(5, 3);
  const std::vector<double> before = measure(model, samples, 5);
  for (Sample& sample : samples) sample.label = (sample.label + 1) % 3;
  EXPECT_EQ(measure(model, samples, 5) == before, GetParam() != ImportanceKind::empirical);
}

TEST_P(ImportanceKinds, TheSeedMattersToTheRandomOnesAlone) {
  Model model = tiny_model(DType::f64);
  const std::vector<Sample> samples = texts(9, 3);
  const auto at_seed = [&](std::uint64_t seed) {
    return measure_importance(model, *model.head("news"), samples,
                              {.kind = GetParam(), .dropout = {}, .seed = seed})
        .values.to_vector();
  };
  const bool random = GetParam() == ImportanceKind::sampled || GetParam() == ImportanceKind::sketch;
  EXPECT_EQ(at_seed(1), at_seed(1));
  EXPECT_EQ(at_seed(1) != at_seed(2), random);
}

}  // namespace
}  // namespace holdfast
