// Links between documents lead to files that are there.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> documents() {
  const fs::path root = HOLDFAST_SOURCE;
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(root))
    if (entry.path().extension() == ".md") out.push_back(entry.path());
  for (const char* folder : {"docs", "examples", "bench", "tests"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.path().extension() == ".md") out.push_back(entry.path());
  return out;
}

TEST(Links, LeadToFilesThatAreThere) {
  const std::regex link(R"(\[[^\]\n]*\]\(([^)#\s]+)(#[^)\s]*)?\))");
  int relative = 0;
  for (const fs::path& document : documents()) {
    std::ifstream in(document, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    for (std::sregex_iterator at(text.begin(), text.end(), link), end; at != end; ++at) {
      const std::string target = (*at)[1];
      if (target.find("://") != std::string::npos) continue;
      ++relative;
      EXPECT_TRUE(fs::exists(document.parent_path() / target))
          << fs::relative(document, HOLDFAST_SOURCE) << " links to " << target
          << ", which is not there";
    }
  }
  EXPECT_GT(relative, 50);
}

}  // namespace
