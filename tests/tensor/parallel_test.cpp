// Parallel loops: fixed chunks, exceptions, nesting, loops from several threads.
#include "base/parallel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "audit/reference/instruction_sets.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

using Chunk = std::pair<std::int64_t, std::int64_t>;

std::vector<Chunk> chunks_of(std::int64_t n, std::int64_t grain) {
  std::mutex mutex;
  std::vector<Chunk> chunks;
  parallel_for(n, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::lock_guard lock(mutex);
    chunks.emplace_back(begin, end);
  });
  std::ranges::sort(chunks);
  return chunks;
}

class Threads : public testing::TestWithParam<int> {
 protected:
  void SetUp() override { set_thread_count(GetParam()); }

 private:
  reference::KeepMachine keep_;
};

TEST_P(Threads, TakeTheSameChunks) {
  EXPECT_EQ(thread_count(), GetParam());
  EXPECT_EQ(chunks_of(10, 4), (std::vector<Chunk>{{0, 4}, {4, 8}, {8, 10}}));
  EXPECT_EQ(chunks_of(8, 4), (std::vector<Chunk>{{0, 4}, {4, 8}}));
  EXPECT_EQ(chunks_of(3, 100), (std::vector<Chunk>{{0, 3}}));
  EXPECT_EQ(chunks_of(2, 0), (std::vector<Chunk>{{0, 1}, {1, 2}}));
  EXPECT_TRUE(chunks_of(0, 4).empty());
  EXPECT_TRUE(chunks_of(-1, 4).empty());
}

TEST_P(Threads, VisitEveryIndexOnceOverManyLoops) {
  std::vector<int> visits(997);
  for (int loop = 0; loop < 500; ++loop) {
    parallel_for(997, 10, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
    });
  }
  EXPECT_EQ(visits, std::vector<int>(997, 500));
}

TEST_P(Threads, RethrowTheExceptionAndGoOn) {
  const auto fail_at = [](std::int64_t place) {
    parallel_for(100, 1, [&](std::int64_t begin, std::int64_t) {
      if (begin == place) throw std::runtime_error("chunk " + std::to_string(place));
    });
  };
  for (const std::int64_t place : {0, 57, 99}) {
    expect_error<std::runtime_error>("loop", "chunk " + std::to_string(place),
                                     [&] { fail_at(place); });
    EXPECT_EQ(chunks_of(100, 30).size(), 4u);
  }
  expect_error<std::runtime_error>("every chunk", "all", [] {
    parallel_for(100, 1, [](std::int64_t, std::int64_t) { throw std::runtime_error("all"); });
  });
}

TEST_P(Threads, RunNestedLoopsInTheWorkerItself) {
  std::atomic<std::int64_t> total{0};
  std::atomic<int> strangers{0};
  parallel_for(20, 1, [&](std::int64_t outer, std::int64_t) {
    const auto worker = std::this_thread::get_id();
    parallel_for(50, 7, [&](std::int64_t begin, std::int64_t end) {
      if (std::this_thread::get_id() != worker) ++strangers;
      total += (end - begin) * outer;
    });
  });
  EXPECT_EQ(total, 50 * 190);
  EXPECT_EQ(strangers, 0);
}

TEST_P(Threads, ServeLoopsOfSeveralCallers) {
  std::vector<std::int64_t> sums(3);
  std::vector<std::thread> callers;
  for (std::size_t c = 0; c < sums.size(); ++c) {
    callers.emplace_back([&sums, c] {
      for (int loop = 0; loop < 50; ++loop) {
        std::atomic<std::int64_t> sum{0};
        parallel_for(1000, 16, [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t i = begin; i < end; ++i) sum += i;
        });
        sums[c] += sum;
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(sums, std::vector<std::int64_t>(3, 50 * 499500));
}

INSTANTIATE_TEST_SUITE_P(Counts, Threads, testing::Values(1, 2, 4));

TEST(ThreadCount, RefusesLessThanOne) {
  expect_error<std::invalid_argument>("0", "[threads] the number of threads must be at least 1",
                                      [] { set_thread_count(0); });
  expect_error<std::invalid_argument>("-1", "[threads]", [] { set_thread_count(-1); });
  EXPECT_GE(available_cpus(), 1);
}

}  // namespace
}  // namespace holdfast
