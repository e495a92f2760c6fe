#include "train/features.h"

#include <gtest/gtest.h>

#include "tests/train/run_fixture.h"
#include "train/dataset.h"

namespace holdfast {
namespace {

TEST(Features, ArePooledOutputsOfEachTextByItself) {
  const RunFixture files;
  Inputs inputs = load_inputs(files.full());
  const std::span<const Sample> samples = std::span(inputs.tasks[0].train).first(30);
  inputs.model.set_dropout(0.5);  // off all the same
  const std::vector<float> features = pooled_features(inputs.model, samples);
  const auto width = static_cast<std::size_t>(inputs.model.config().hidden_size);
  ASSERT_EQ(features.size(), samples.size() * width);
  const NoGrad no_grad;
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const TokenSpan text{samples[n].ids, samples[n].type_ids, 0};
    const Batch batch = pack(std::span(&text, 1));
    const std::vector<double> alone = inputs.model.pool(batch).value().to_vector();
    for (std::size_t c = 0; c < width; ++c) {
      EXPECT_NEAR(features[n * width + c], alone[c], 1e-6) << n << ' ' << c;
    }
  }
}

TEST(Features, BatchesAndProgress) {
  const RunFixture files;
  Inputs inputs = load_inputs(files.full());
  const std::span<const Sample> samples = std::span(inputs.tasks[0].train).first(20);
  std::vector<std::int64_t> done;
  const std::vector<float> small = pooled_features(
      inputs.model, samples, [&](std::int64_t texts) { done.push_back(texts); }, 1);
  EXPECT_EQ(done.size(), 20U);  // a text at a time, as none fits
  EXPECT_EQ(done.back(), 20);
  const std::vector<float> large = pooled_features(inputs.model, samples);
  ASSERT_EQ(small.size(), large.size());
  for (std::size_t i = 0; i < small.size(); ++i) EXPECT_NEAR(small[i], large[i], 1e-6) << i;
  EXPECT_TRUE(pooled_features(inputs.model, {}).empty());
}

}  // namespace
}  // namespace holdfast
