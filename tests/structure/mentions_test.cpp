// Comments and documents name tests; every file that they name is there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

TEST(Mentions, EveryNamedTestFileExists) {
  const fs::path root = HOLDFAST_SOURCE;
  const std::set<std::string> folders = {"autograd", "base",      "bench", "cli",
                                         "docs",     "examples",  "nn",    "tests",
                                         "tensor",   "tokenizer", "train", "scripts"};
  const std::set<std::string> kinds = {".h", ".cpp", ".md", ".py", ".txt", ".sh"};
  const std::regex name("tests/[A-Za-z0-9_./-]*\\.(cpp|h|py|json|txt|safetensors)");
  int mentions = 0;
  const auto check = [&](const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    for (std::sregex_iterator at(text.begin(), text.end(), name), end; at != end; ++at, ++mentions)
      EXPECT_TRUE(fs::exists(root / at->str()))
          << fs::relative(file, root) << " names " << at->str() << ", which is not there";
  };
  for (const auto& entry : fs::directory_iterator(root))
    if (entry.is_regular_file() && kinds.contains(entry.path().extension())) check(entry.path());
  for (const std::string& folder : folders) {
    ASSERT_TRUE(fs::is_directory(root / folder)) << folder;
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.is_regular_file() && kinds.contains(entry.path().extension())) check(entry.path());
  }
  EXPECT_GT(mentions, 100);
}

}  // namespace
