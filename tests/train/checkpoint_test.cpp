#include "train/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "tests/reference/expect_error.h"
#include "tests/reference/temporary_folder.h"
#include "tests/train/run_fixture.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

Checkpoint small(std::int64_t step) {
  Checkpoint checkpoint;
  checkpoint.weights = Tensor::from(std::vector<float>{1, 2, 3}, {3});
  checkpoint.first_moment = Tensor::from(std::vector<float>{4, 5, 6}, {3});
  checkpoint.second_moment = Tensor::from(std::vector<float>{7, 8, 9e-30F}, {3});
  checkpoint.range_steps = {step, 0};
  checkpoint.path = Tensor::from(std::vector<double>{0.1, 1e-300, -3}, {3});
  checkpoint.best = {2, 1, true, 0.75, 0.5, checkpoint.second_moment};
  checkpoint.result.recipe.model = "m";
  checkpoint.result.recipe.output = "o";
  checkpoint.result.recipe.fresh.name = "new";
  checkpoint.result.recipe.fresh.train = "t.csv";
  checkpoint.result.steps = step;
  checkpoint.result.penalty_share = 0.1;
  checkpoint.ledger = {77, "chain"};
  return checkpoint;
}

TEST(Checkpoint, ReadsBackBitForBit) {
  const TemporaryFolder folder;
  const Checkpoint saved = small(3);
  save_checkpoint(folder.path(), saved, 2);
  Checkpoint read = load_checkpoint(folder.path(), 3);
  load_tensors(folder.path(), read);
  const auto same = [](const Tensor& a, const Tensor& b) {
    ASSERT_EQ(a.dtype(), b.dtype());
    dispatch(a.dtype(), "test",
             [&]<class T>() { EXPECT_TRUE(std::ranges::equal(a.span<T>(), b.span<T>())); });
  };
  same(read.weights, saved.weights);
  same(read.first_moment, saved.first_moment);
  same(read.second_moment, saved.second_moment);
  same(read.path, saved.path);
  same(read.best->weights, saved.best->weights);
  EXPECT_EQ(read.range_steps, saved.range_steps);
  EXPECT_EQ(read.step(), 3);
  EXPECT_EQ(read.best->step, 2);
  EXPECT_EQ(read.best->stale, 1);
  EXPECT_TRUE(read.best->kept);
  EXPECT_EQ(read.best->gained, 0.75);
  EXPECT_EQ(read.best->worst, 0.5);
  EXPECT_EQ(read.ledger.bytes, 77);
  EXPECT_EQ(read.ledger.chain, "chain");
  EXPECT_EQ(read.result.penalty_share, 0.1);
}

TEST(Checkpoint, AnyChangedByteIsFound) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), small(3), 2);
  int changes = 0;
  for (const char* name : {"state.safetensors", "state.json", "manifest.json"}) {
    const fs::path file = checkpoint_folder(folder.path(), 3) / name;
    const std::string text = file_text(file);
    for (std::size_t at = 0; at < text.size(); at += 1 + text.size() / 150, ++changes) {
      std::string changed = text;
      changed[at] = static_cast<char>(changed[at] ^ 1);
      std::ofstream(file, std::ios::binary) << changed;
      if (std::string(name) == "manifest.json" && std::isspace(text[at])) continue;  // layout
      EXPECT_THROW(check_checkpoint(folder.path(), 3), std::runtime_error) << name << ' ' << at;
    }
    std::ofstream(file, std::ios::binary) << text.substr(0, text.size() / 2);
    EXPECT_THROW(load_checkpoint(folder.path(), 3), std::runtime_error) << name;
    fs::remove(file);
    EXPECT_THROW(load_checkpoint(folder.path(), 3), std::runtime_error) << name;
    std::ofstream(file, std::ios::binary) << text;
    EXPECT_NO_THROW(load_checkpoint(folder.path(), 3));
  }
  EXPECT_GT(changes, 200);
}

TEST(Checkpoint, AFullDiskLeavesTheEarlierOne) {
  const TemporaryFolder folder;
  save_checkpoint(folder.path(), small(3), 1);
  struct rlimit before = {};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t bytes : {rlim_t{0}, rlim_t{100}, rlim_t{600}}) {
    const struct rlimit low = {bytes, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &low);
    EXPECT_THROW(save_checkpoint(folder.path(), small(6), 1), std::runtime_error) << bytes;
    setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(checkpoint_steps(folder.path()), (std::vector<std::int64_t>{3}));
    EXPECT_NO_THROW(load_checkpoint(folder.path(), 3));
  }
  std::signal(SIGXFSZ, handler);
  save_checkpoint(folder.path(), small(6), 1);
  EXPECT_EQ(checkpoint_steps(folder.path()), (std::vector<std::int64_t>{6}));
}

TEST(Checkpoint, KnowsItsOwnFoldersAlone) {
  const TemporaryFolder folder;
  EXPECT_TRUE(checkpoint_steps(folder.path()).empty());
  save_checkpoint(folder.path(), small(123456789), 9);
  save_checkpoint(folder.path(), small(20), 9);
  for (const char* name :
       {"step-5", "step-x0000000", "step-0000000a", ".holdfast-1-1.tmp", "other"}) {
    fs::create_directories(folder.path() / "checkpoints" / name);
  }
  EXPECT_EQ(checkpoint_steps(folder.path()), (std::vector<std::int64_t>{20, 123456789}));
  save_checkpoint(folder.path(), small(30), 9);
  EXPECT_FALSE(fs::exists(folder.path() / "checkpoints" / ".holdfast-1-1.tmp"));
  EXPECT_TRUE(fs::exists(folder.path() / "checkpoints" / "other"));
  EXPECT_EQ(checkpoint_folder("out", 500), fs::path("out/checkpoints/step-00000500"));
}

}  // namespace
}  // namespace holdfast
