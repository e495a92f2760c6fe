#include "train/mixing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

std::int64_t old_in(const std::vector<MixItem>& batch) {
  return std::count_if(batch.begin(), batch.end(), [](const MixItem& i) { return i.source > 0; });
}

TEST(Mixer, QuotaIsExactAndTheRemainderIsCarried) {
  Mixer mixer(1000, {100}, 32, 0.20, 7);  // 6.4 a batch
  std::int64_t total = 0;
  for (std::int64_t step = 0; step < 500; ++step) {
    const std::vector<MixItem> batch = mixer.batch(step);
    ASSERT_EQ(batch.size(), 32U);
    const std::int64_t old = old_in(batch);
    EXPECT_TRUE(old == 6 || old == 7);
    total += old;
    EXPECT_EQ(total, 64 * (step + 1) / 10);
    EXPECT_EQ(mixer.old_before(step + 1), total);
  }
}

TEST(Mixer, EveryNewSampleOnceAnEpochInAnotherOrder) {
  Mixer mixer(53, {11, 29}, 8, 0.25, 3);
  std::vector<std::vector<std::int64_t>> epochs(4);
  for (std::int64_t step = 0; mixer.new_before(step) < 3 * 53; ++step) {
    for (const MixItem& item : mixer.batch(step)) {
      if (item.source == 0) epochs[static_cast<std::size_t>(item.epoch)].push_back(item.index);
    }
  }
  EXPECT_NE(epochs[0], epochs[1]);
  EXPECT_NE(epochs[1], epochs[2]);
  std::vector<std::int64_t> all(53);
  std::iota(all.begin(), all.end(), 0);
  for (std::size_t e = 0; e < 3; ++e) {
    std::sort(epochs[e].begin(), epochs[e].end());
    EXPECT_EQ(epochs[e], all);
  }
}

TEST(Mixer, OldTasksInProportionToTheirBuffers) {
  Mixer mixer(500, {10, 0, 30}, 10, 0.4, 5);
  std::map<std::pair<std::int32_t, std::int64_t>, int> drawn;
  for (std::int64_t step = 0; step < 30; ++step) {  // 120 old: three times all 40
    for (const MixItem& item : mixer.batch(step)) {
      if (item.source > 0) ++drawn[{item.source, item.index}];
    }
  }
  EXPECT_EQ(drawn.size(), 40U);
  for (const auto& [place, times] : drawn) {
    EXPECT_EQ(times, 3);
    EXPECT_TRUE((place.first == 1 && place.second < 10) || (place.first == 3 && place.second < 30));
  }
}

TEST(Mixer, IsAPureFunctionOfSeedStepAndShares) {
  const auto flat = [](const std::vector<MixItem>& batch) {
    std::vector<std::pair<std::int32_t, std::int64_t>> items;
    for (const MixItem& item : batch) items.emplace_back(item.source, item.index);
    return items;
  };
  Mixer forward(40, {9}, 6, 0.3, 1), backward(40, {9}, 6, 0.3, 1), other(40, {9}, 6, 0.3, 2);
  std::vector<std::vector<std::pair<std::int32_t, std::int64_t>>> batches;
  for (std::int64_t step = 0; step < 60; ++step) batches.push_back(flat(forward.batch(step)));
  for (std::int64_t step = 59; step >= 0; --step) {
    EXPECT_EQ(flat(backward.batch(step)), batches[static_cast<std::size_t>(step)]);
  }
  EXPECT_NE(flat(other.batch(0)), batches[0]);
}

TEST(Mixer, ShareChangesLeaveThePastAloneAndTheCarryExact) {
  Mixer mixer(1000, {50}, 32, 0.20, 7);
  const std::int64_t before = mixer.old_before(33);  // 211.2
  EXPECT_EQ(before, 211);
  mixer.set_share(33, 0.24);
  EXPECT_EQ(mixer.old_before(33), before);
  EXPECT_EQ(mixer.old_before(133), 979);  // 211.2 + 768 = 979.2
  mixer.set_share(133, 0.288);
  EXPECT_EQ(mixer.old_before(1133), 10195);  // 979.2 + 9216
  Mixer restored(1000, {50}, 32, mixer.shares()[0].second, 7);
  for (const auto& [step, share] : mixer.shares()) restored.set_share(step, share);
  EXPECT_EQ(restored.old_before(1133), 10195);
  EXPECT_EQ(restored.shares(), mixer.shares());
}

TEST(Mixer, StepsForEpochs) {
  const Mixer plain(100, {}, 32, 0, 1), mixed(100, {20}, 32, 0.2, 1);
  EXPECT_EQ(plain.steps_for_epochs(1), 4);
  EXPECT_EQ(plain.steps_for_epochs(3), 10);
  EXPECT_EQ(mixed.steps_for_epochs(3), 12);  // 25.6 a step
  EXPECT_GE(mixed.new_before(12), 300);
  EXPECT_LT(mixed.new_before(11), 300);
}

TEST(Mixer, PermutationsAreUniform) {
  std::map<std::vector<std::int64_t>, int> seen;
  const RandomStream stream(11, "test");
  for (std::uint64_t epoch = 0; epoch < 6000; ++epoch) ++seen[permutation(3, stream, epoch)];
  ASSERT_EQ(seen.size(), 6U);
  double chi_square = 0;  // 5 degrees of freedom: above 20.5 once in 1000 seeds; this seed is fixed
  for (const auto& [order, count] : seen) chi_square += (count - 1000) * (count - 1000) / 1000.0;
  EXPECT_LT(chi_square, 20.5);
}

TEST(Mixer, RefusesNonsense) {
  expect_error<std::invalid_argument>("new", "no new samples", [] { Mixer(0, {1}, 4, 0.1, 1); });
  expect_error<std::invalid_argument>("batch", "batch_size", [] { Mixer(1, {1}, 0, 0.1, 1); });
  expect_error<std::invalid_argument>("share", "below 1", [] { Mixer(1, {1}, 4, 1.0, 1); });
  expect_error<std::invalid_argument>("nothing old", "no old samples were kept",
                                      [] { Mixer(1, {0}, 4, 0.1, 1); });
  Mixer mixer(10, {5}, 4, 0.1, 1);
  mixer.set_share(9, 0.2);
  expect_error<std::invalid_argument>("back", "for step 8, after it was set for step 9",
                                      [&] { mixer.set_share(8, 0.3); });
}

}  // namespace
}  // namespace holdfast
