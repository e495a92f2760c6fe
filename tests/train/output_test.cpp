#include "train/output.h"

#include <gtest/gtest.h>

#include "tests/reference/expect_error.h"
#include "tests/reference/temporary_folder.h"
#include "train/progress.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

TEST(OutputFolder, LeavesNoTraceOfARunThatLeftNothing) {
  const TemporaryFolder scratch;
  {
    const OutputFolder output(scratch / "runs/new/deep");
    EXPECT_TRUE(fs::exists(scratch / "runs/new/deep/.holdfast.lock"));
  }
  EXPECT_EQ(scratch.entries(), 0);
  fs::create_directory(scratch / "mine");
  { const OutputFolder output(scratch / "mine"); }
  EXPECT_TRUE(fs::is_empty(scratch / "mine"));  // the folder was there before
}

TEST(OutputFolder, KeepsWhatARunLeft) {
  const TemporaryFolder scratch;
  {
    const OutputFolder output(scratch / "out");
    write_file(scratch / "out/ledger.jsonl", "{}\n");
  }
  EXPECT_TRUE(fs::exists(scratch / "out/ledger.jsonl"));
  fs::remove(scratch / "out/ledger.jsonl");
  { const OutputFolder again(scratch / "out"); }
  EXPECT_TRUE(fs::exists(scratch / "out/.holdfast.lock"));  // an earlier run's mark
}

TEST(OutputFolder, BelongsToOneRun) {
  const TemporaryFolder scratch;
  const OutputFolder first(scratch / "out");
  expect_error<Refused>("second", "in use by another run",
                        [&] { OutputFolder second(scratch / "out"); });
  OutputFolder moved;
  {
    OutputFolder third(scratch / "third");
    moved = std::move(third);
  }
  EXPECT_TRUE(fs::exists(scratch / "third/.holdfast.lock"));
}

}  // namespace
}  // namespace holdfast
