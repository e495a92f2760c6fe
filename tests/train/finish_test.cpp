#include "train/finish.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

class BestModelTest : public testing::Test {
 protected:
  BestModelTest() : tasks_(2) {
    tasks_[0].old = true;
    arena_.declare("w", {4}, {{.name = "w", .shape = {4}, .task = {}}});
    arena_.allocate(DType::f64);
  }
  static std::vector<Evaluation> scores(double old, double fresh) {
    std::vector<Evaluation> evaluations(2);
    evaluations[0].accuracy = old;
    evaluations[1].accuracy = fresh;
    return evaluations;
  }
  bool consider(BestModel& best, std::int64_t step, double old, double fresh) {
    arena_.values().fill(static_cast<double>(step));
    return best.consider(step, arena_, scores(old, fresh));
  }

  std::vector<TaskData> tasks_;
  ParameterArena arena_;
};

TEST_F(BestModelTest, PrefersNewAccuracyAmongThoseThatKeepEnough) {
  BestModel best(0.95, tasks_, scores(0.8, 0.1));
  EXPECT_TRUE(consider(best, 1, 0.60, 0.9));   // keeps too little, but there is no other
  EXPECT_TRUE(consider(best, 2, 0.70, 0.5));   // keeps more
  EXPECT_TRUE(consider(best, 3, 0.76, 0.4));   // exactly 95%: enough
  EXPECT_FALSE(consider(best, 4, 0.70, 0.9));  // too little again
  EXPECT_TRUE(consider(best, 5, 0.77, 0.6));
  EXPECT_FALSE(consider(best, 6, 0.80, 0.6));  // of equals the earlier one
  EXPECT_EQ(best.step(), 5);
  EXPECT_EQ(best.stale(), 1);
  best.restore(arena_);
  EXPECT_EQ(arena_.values().to_vector()[0], 5);
}

}  // namespace
}  // namespace holdfast
