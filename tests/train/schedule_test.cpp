#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/reference/expect_error.h"
#include "tests/reference/golden_json.h"

namespace holdfast {
namespace {

TEST(Schedule, EqualsTransformersTables) {
  const Json golden = golden_json("recipe_schedules.json");
  for (const Json& table : golden.at("tables").array()) {
    const std::int64_t total = table.at("total").as_int64();
    const double warmup =
        static_cast<double>(table.at("warmup_steps").as_int64()) / static_cast<double>(total);
    const Schedule schedule(parse_schedule_kind(table.at("kind").as_string()), total, warmup,
                            table.at("minimum_ratio").as_double());
    EXPECT_EQ(schedule.warmup_steps(), table.at("warmup_steps").as_int64());
    const std::vector<double> factors = numbers(table.at("factors"));
    for (std::int64_t step = 0; step < total; ++step) {
      EXPECT_NEAR(schedule.factor(step), factors[static_cast<std::size_t>(step)], 1e-12)
          << table.at("kind").as_string() << " " << total << ", step " << step;
    }
  }
}

TEST(Schedule, CosineAtStartHalfAndEnd) {
  const Schedule schedule(ScheduleKind::cosine, 100, 0.0, 0.1);
  EXPECT_DOUBLE_EQ(schedule.factor(0), 1);
  EXPECT_NEAR(schedule.factor(50), 0.55, 1e-15);
  EXPECT_NEAR(schedule.factor(100), 0.1, 1e-15);
  EXPECT_NEAR(schedule.factor(1000), 0.1, 1e-15);
}

TEST(Schedule, WarmUpIsRoundedUpButNotByTheFractionsOwnRounding) {
  EXPECT_EQ(Schedule(ScheduleKind::cosine, 137, 0.06, 0).warmup_steps(), 9);  // 8.22
  EXPECT_EQ(Schedule(ScheduleKind::cosine, 100, 0.07, 0).warmup_steps(), 7);  // 7.000000000000001
  EXPECT_DOUBLE_EQ(Schedule(ScheduleKind::constant, 10, 0.5, 0).factor(4), 0.8);
  EXPECT_DOUBLE_EQ(Schedule(ScheduleKind::constant, 10, 0.5, 0).factor(5), 1);
}

TEST(Schedule, TheLastStepAlwaysLearns) {
  for (const std::int64_t total : {1, 2, 5}) {
    const Schedule schedule(ScheduleKind::cosine, total, 1.0, 0);
    EXPECT_GT(schedule.factor(total - 1), 0);
  }
  EXPECT_DOUBLE_EQ(Schedule(ScheduleKind::linear, 1, 0.06, 0).factor(0), 1);
}

// methods.md: decay per layer from 1e-5 to 5e-4 for 12, 6, 4 and 2 layers.
TEST(LayerRates, GeometricDecayPerLayer) {
  for (const auto& [layers, decay] :
       {std::pair{12, 0.740}, std::pair{6, 0.572}, std::pair{4, 0.457}, std::pair{2, 0.271}}) {
    const std::vector<double> rates = layer_rates(1e-5, 5e-4, layers);
    ASSERT_EQ(rates.size(), static_cast<std::size_t>(layers + 2));
    EXPECT_DOUBLE_EQ(rates.front(), 1e-5);
    EXPECT_EQ(rates.back(), 5e-4);
    for (std::size_t l = 1; l < rates.size(); ++l) {
      EXPECT_NEAR(rates[l - 1] / rates[l], decay, 5e-4) << layers;
    }
  }
}

TEST(LayerRates, LinearSpacing) {
  const std::vector<double> rates = layer_rates(1, 4, 2, Spacing::linear);
  EXPECT_EQ(rates, (std::vector<double>{1, 2, 3, 4}));
  EXPECT_EQ(layer_rates(3, 3, 1), (std::vector<double>{3, 3, 3}));
}

TEST(Schedule, RefusesNonsense) {
  expect_error<std::invalid_argument>("bottom", "above 0", [] { layer_rates(0, 1, 2); });
  expect_error<std::invalid_argument>(
      "nan", "above 0", [] { layer_rates(1, std::numeric_limits<double>::quiet_NaN(), 2); });
  expect_error<std::invalid_argument>("steps", "at least one step",
                                      [] { Schedule(ScheduleKind::cosine, 0, 0, 0); });
  expect_error<std::invalid_argument>("warmup", "between 0 and 1",
                                      [] { Schedule(ScheduleKind::cosine, 9, 1.5, 0); });
  expect_error<std::invalid_argument>("kind", "known: \"cosine\", \"linear\", \"constant\"",
                                      [] { parse_schedule_kind("cos"); });
  expect_error<std::invalid_argument>("spacing", "unknown spacing \"log\"",
                                      [] { parse_spacing("log"); });
}

}  // namespace
}  // namespace holdfast
