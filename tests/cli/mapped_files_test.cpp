// What happens to a program that has mapped a file when others change it.
#include "cli/mapped_files.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "cli/command.h"
#include "tests/nn/scratch.h"

namespace holdfast::cli {
namespace {

namespace fs = std::filesystem;
using testing::message_of;
using testing::Scratch;

TEST(MappedFiles, NoticesAChange) {
  const Scratch scratch;
  const fs::path path = scratch / "model.safetensors";
  write_file(path, "weights");
  write_file(scratch / "config.json", "{}");
  const MappedFiles files(scratch.path());
  write_file(scratch / "config.json", "{ }");  // not mapped
  files.check_unchanged();
  fs::last_write_time(path, fs::last_write_time(path) + std::chrono::seconds(1));
  EXPECT_EQ(
      message_of([&] { files.check_unchanged(); }),
      scratch.path().string() + ": the weights were changed while they were read; run it again");
  const MappedFiles again(scratch.path());
  fs::remove(path);
  EXPECT_THROW(again.check_unchanged(), std::runtime_error);
}

TEST(MappedFilesDeathTest, AFileCutShortEndsTheProgramWithAMessage) {
  const Scratch scratch;
  const fs::path path = scratch / "model.safetensors";
  write_file(path, std::string(100'000, 'w'));
  EXPECT_EXIT(
      {
        const MappedFiles files(scratch.path());
        const std::shared_ptr<std::byte> bytes = File(path).map();
        fs::resize_file(path, 10);
        std::exit(static_cast<int>(bytes.get()[90'000]));
      },
      ::testing::ExitedWithCode(kRefused),
      "a file of the model was cut short while it was read; run it again");
}

}  // namespace
}  // namespace holdfast::cli
