// What examples/learn and docs/math say that a program prints is what it prints.
#include <gtest/gtest.h>

#include <map>

#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

namespace fs = std::filesystem;

struct Quote {
  std::string file, program, text;  // program: below the build folder
};

/// The blocks of a document that follow a line "<!-- prints: build/PROGRAM -->".
std::vector<Quote> quotes_of(const fs::path& file) {
  const std::string text = read(file), begin = "<!-- prints: build/", middle = " -->\n```text\n";
  std::vector<Quote> out;
  for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
    at += begin.size();
    const std::size_t code = text.find(middle, at), end = text.find("```", code + middle.size());
    if (end == std::string::npos) break;
    const std::size_t quoted = code + middle.size();
    out.push_back(
        {file.filename().string(), text.substr(at, code - at), text.substr(quoted, end - quoted)});
  }
  return out;
}

std::vector<Quote> all_quotes() {
  const fs::path root = HOLDFAST_SOURCE;
  std::vector<Quote> out = quotes_of(root / "examples" / "learn" / "README.md");
  for (const auto& entry : fs::directory_iterator(root / "docs" / "math"))
    for (const Quote& quote : quotes_of(entry.path())) out.push_back(quote);
  return out;
}

TEST(Examples, PrintWhatTheDocumentsSay) {
  const fs::path build = fs::path(HOLDFAST_BINARY).parent_path();
  const Folder folder;
  std::map<std::string, std::string> printed;
  for (const Quote& quote : all_quotes()) {
    if (!printed.contains(quote.program)) {
      const Outcome outcome = run(folder.path(), {}, "", (build / quote.program).string());
      EXPECT_EQ(outcome.status, 0) << quote.program << outcome.err;
      printed[quote.program] = outcome.out;
    }
    EXPECT_NE(quote.text, "");
    EXPECT_NE(printed[quote.program].find(quote.text), std::string::npos)
        << quote.file << " says that " << quote.program << " prints\n"
        << quote.text << "but it prints\n"
        << printed[quote.program];
  }
  for (const auto& entry :
       fs::directory_iterator(fs::path(HOLDFAST_SOURCE) / "examples" / "learn")) {
    if (entry.path().extension() == ".cpp") {
      EXPECT_TRUE(printed.contains("examples/learn/" + entry.path().stem().string()))
          << entry.path() << " is not in README.md";
    }
  }
}

TEST(Examples, EwcDrawsBothLossesWithThreePathsEach) {
  const Folder folder;
  const fs::path program = fs::path(HOLDFAST_BINARY).parent_path() / "examples" / "learn" / "4_ewc";
  ASSERT_EQ(run(folder.path(), {"ewc.svg"}, "", program.string()).status, 0);
  const std::string svg = read(folder.path() / "ewc.svg");
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  int paths = 0;
  for (std::size_t at = svg.find("<polyline"); at != std::string::npos;
       at = svg.find("<polyline", at + 1))
    ++paths;
  EXPECT_EQ(paths, 6);
  EXPECT_EQ(svg.find("nan"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::test
