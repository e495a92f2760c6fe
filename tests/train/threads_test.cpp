#include "train/threads.h"

#include <gtest/gtest.h>

#include "base/parallel.h"

namespace holdfast {
namespace {

TEST(Threads, TakesTheFewestThatReachNearlyTheBestRate) {
  EXPECT_EQ(choose_threads({{1, 60}, {2, 110}, {4, 112}}).threads, 2);
  EXPECT_EQ(choose_threads({{1, 60}, {2, 58}}).threads, 1);  // hyper-threads of one core
  EXPECT_EQ(choose_threads({{1, 60}, {2, 62}}).threads, 1);
  EXPECT_EQ(choose_threads({{1, 60}, {2, 110}}).reason,
            "using 2 of 2 CPUs: matrix products reach 60 on 1, 110 on 2 (GFLOP/s)");
  EXPECT_THROW(choose_threads({}), std::invalid_argument);
}

TEST(Threads, SetsWhatIsAskedFor) {
  EXPECT_EQ(use_threads(3).threads, 3);
  EXPECT_EQ(thread_count(), 3);
  EXPECT_THROW(use_threads(-1), std::invalid_argument);
  const ThreadChoice choice = use_threads(0);
  EXPECT_EQ(thread_count(), choice.threads);
  EXPECT_GE(choice.threads, 1);
  EXPECT_LE(choice.threads, available_cpus());
  set_thread_count(1);
}

}  // namespace
}  // namespace holdfast
