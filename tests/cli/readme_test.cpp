// The README's session runs as printed.
#include <gtest/gtest.h>

#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

/// The shell code of the blocks that are marked with <!-- run -->.
std::string marked_blocks(const std::string& markdown) {
  const std::string begin = "<!-- run -->\n```sh\n";
  std::string out;
  for (std::size_t at = markdown.find(begin); at != std::string::npos;
       at = markdown.find(begin, at)) {
    at += begin.size();
    out += markdown.substr(at, markdown.find("```", at) - at);
  }
  return out;
}

TEST(Readme, MarkedCommandsRunAsPrinted) {
  const std::string session =
      marked_blocks(read(std::filesystem::path(HOLDFAST_SOURCE) / "README.md"));
  ASSERT_NE(session.find("build/holdfast train "), std::string::npos);
  const Folder folder;
  const std::filesystem::path program = HOLDFAST_BINARY;
  std::filesystem::create_directories(folder.path() / "build" / "examples");
  std::filesystem::create_symlink(program, folder.path() / "build" / "holdfast");
  std::filesystem::create_symlink(program.parent_path() / "examples" / "holdfast-demo-data",
                                  folder.path() / "build" / "examples" / "holdfast-demo-data");
  const Outcome outcome = run(folder.path(), {"-e", "-c", session}, "", "/bin/bash");
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  const auto files = listing(folder.path());
  for (const char* name : {"replay.csv", "importance.safetensors", "runs/medical/report.html"})
    EXPECT_TRUE(files.contains(name)) << name;
  EXPECT_NE(outcome.out.find("\"task\":\"medical\""), std::string::npos) << outcome.out;
}

}  // namespace
}  // namespace holdfast::test
