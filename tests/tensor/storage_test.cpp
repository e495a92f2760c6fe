// The storage pool: live, peak and cached bytes, reuse, the budget, memory of others.
#include "tensor/storage.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

class StoragePool : public testing::Test {
 protected:
  void SetUp() override {
    release_cached_memory();
    reset_memory_peak();
    before_ = memory_use();
  }
  void TearDown() override { set_memory_budget(0); }
  std::int64_t live() const { return memory_use().live - before_.live; }
  std::int64_t peak() const { return memory_use().peak - before_.live; }

  MemoryUse before_;
};

TEST_F(StoragePool, CountsLivePeakAndCachedBytes) {
  {
    const Storage a(1024);
    EXPECT_EQ(live(), 1024);
    {
      const Storage b(4096);
      EXPECT_EQ(live(), 5120);
    }
    EXPECT_EQ(live(), 1024);
    EXPECT_EQ(peak(), 5120);
    EXPECT_EQ(memory_use().cached, 4096);
    reset_memory_peak();
    EXPECT_EQ(peak(), 1024);
  }
  EXPECT_EQ(live(), 0);
  EXPECT_EQ(memory_use().cached, 5120);
  release_cached_memory();
  EXPECT_EQ(memory_use().cached, 0);
}

// Pages of `storage` that are in memory.
std::int64_t resident_pages(const Storage& storage) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((static_cast<std::size_t>(storage.bytes()) + page - 1) / page);
  EXPECT_EQ(mincore(storage.data(), static_cast<std::size_t>(storage.bytes()), pages.data()), 0);
  return std::count_if(pages.begin(), pages.end(), [](unsigned char p) { return (p & 1) != 0; });
}

TEST_F(StoragePool, ZerosTakeMemoryWhenWritten) {
  {
    const std::shared_ptr<Storage> zeros = Storage::zeros(64 << 20);
    EXPECT_EQ(live(), 64 << 20);
    EXPECT_EQ(resident_pages(*zeros), 0);
    zeros->data()[5 << 20] = std::byte{1};
    EXPECT_GE(resident_pages(*zeros), 1);
    EXPECT_LE(resident_pages(*zeros), 1024);  // a huge page has 512
    EXPECT_EQ(zeros->data()[(5 << 20) + 1], std::byte{0});
    set_memory_budget(memory_use().live + 100);
    EXPECT_THROW(Storage::zeros(1 << 20), std::runtime_error);
  }
  EXPECT_EQ(live(), 0);
  EXPECT_EQ(memory_use().cached, 0);
  EXPECT_THROW(Storage::zeros(-1), std::invalid_argument);
  EXPECT_EQ(Storage::zeros(0)->bytes(), 0);
}

TEST_F(StoragePool, ReusesABlockForNearlyItsSize) {
  const std::byte* first = nullptr;
  {
    const Storage a(100'000);
    first = a.data();
  }
  const Storage b(99'000);
  EXPECT_EQ(b.data(), first);
  EXPECT_EQ(memory_use().cached, 0);
}

TEST_F(StoragePool, WastesAtMostAnEighth) {
  for (std::int64_t bytes = 1; bytes < 10'000'000; bytes = bytes * 9 / 8 + 1) {
    const Storage a(bytes);
    EXPECT_GE(live(), bytes);
    EXPECT_LE(live(), std::max<std::int64_t>(64 * ((bytes + 63) / 64), bytes + bytes / 8)) << bytes;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data()) % 64, 0u);
    EXPECT_EQ(a.bytes(), bytes);
    std::memset(a.data(), 1, static_cast<std::size_t>(bytes));
  }
}

TEST_F(StoragePool, OfNoBytesHasAnAddress) {
  const Storage nothing(0);
  EXPECT_EQ(nothing.bytes(), 0);
  EXPECT_NE(nothing.data(), nullptr);
}

TEST_F(StoragePool, KeepsToItsBudget) {
  set_memory_budget(before_.live + 8192);
  const Storage a(4096);
  {
    const Storage b(4096);
    expect_error<std::runtime_error>("over", "[memory]", [] { const Storage c(1); });
    expect_error<std::runtime_error>("advice", "raise memory_budget", [] { const Storage c(1); });
    EXPECT_EQ(live(), 8192);
  }
  EXPECT_NO_THROW(const Storage d(4096));
  set_memory_budget(0);
  EXPECT_NO_THROW(const Storage e(1 << 20));
}

TEST_F(StoragePool, RefusesANegativeSize) {
  expect_error<std::invalid_argument>("negative", "[storage] negative size",
                                      [] { const Storage a(-1); });
  EXPECT_EQ(live(), 0);
}

TEST_F(StoragePool, KeepsTheOwnerOfForeignMemoryAlive) {
  auto owner = std::make_shared<std::array<std::byte, 32>>();
  {
    const Storage foreign(owner->data(), 32, owner);
    EXPECT_EQ(foreign.data(), owner->data());
    EXPECT_EQ(owner.use_count(), 2);
    EXPECT_EQ(live(), 0);
  }
  EXPECT_EQ(owner.use_count(), 1);
}

}  // namespace
}  // namespace holdfast
