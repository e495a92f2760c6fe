#include "base/text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace holdfast {
namespace {

TEST(Text, EditDistance) {
  struct Case {
    const char *a, *b;
    std::size_t distance;
  };
  for (const Case& c :
       {Case{"", "", 0}, Case{"abc", "abc", 0}, Case{"abc", "", 3}, Case{"kitten", "sitting", 3},
        Case{"lamdba", "lambda", 1}, Case{"ca", "abc", 3}, Case{"ab", "ba", 1},
        Case{"bacth_size", "batch_size", 1}, Case{"flaw", "lawn", 2}}) {
    EXPECT_EQ(edit_distance(c.a, c.b), c.distance) << c.a << ' ' << c.b;
    EXPECT_EQ(edit_distance(c.b, c.a), c.distance) << c.b << ' ' << c.a;
  }
}

// The definition, as a recursion.
std::size_t naive_distance(std::string_view a, std::string_view b) {
  if (a.empty() || b.empty()) {
    return a.size() + b.size();
  }
  const auto cut = [](std::string_view text, std::size_t count) {
    return text.substr(0, text.size() - count);
  };
  std::size_t best =
      std::min({naive_distance(cut(a, 1), b) + 1, naive_distance(a, cut(b, 1)) + 1,
                naive_distance(cut(a, 1), cut(b, 1)) + (a.back() == b.back() ? 0 : 1)});
  if (a.size() > 1 && b.size() > 1 && a.back() == b[b.size() - 2] && b.back() == a[a.size() - 2]) {
    best = std::min(best, naive_distance(cut(a, 2), cut(b, 2)) + 1);
  }
  return best;
}

TEST(Text, EditDistanceEqualsItsDefinition) {
  std::vector<std::string> words = {""};
  for (std::size_t i = 0; words.size() < 121; ++i) {
    for (const char c : {'a', 'b', 'c'}) {
      words.push_back(words[i] + c);
    }
  }
  for (const std::string& a : words) {
    for (const std::string& b : words) {
      ASSERT_EQ(edit_distance(a, b), naive_distance(a, b)) << a << ' ' << b;
    }
  }
}

TEST(Text, NearestSuggestsOnlyWhatIsNear) {
  const std::vector<std::string> keys = {"lambda", "epochs", "batch_size", "steps"};
  EXPECT_EQ(nearest("lamda", keys), "lambda");
  EXPECT_EQ(nearest("epoch", keys), "epochs");
  EXPECT_EQ(nearest("batchsize", keys), "batch_size");
  EXPECT_EQ(nearest("momentum", keys), "");
  EXPECT_EQ(nearest("x", keys), "");
  EXPECT_EQ(nearest("", keys), "");
  EXPECT_EQ(nearest("step", std::vector<std::string>{}), "");
  EXPECT_EQ(nearest("ab", std::vector<std::string>{"aa", "bb"}), "aa");  // the first of equals
  EXPECT_EQ(nearest(std::string(200, 'x'), std::vector<std::string>{std::string(200, 'x')}), "");
}

TEST(Text, HumanBytes) {
  struct Case {
    std::int64_t bytes;
    const char* text;
  };
  for (const Case& c :
       {Case{0, "0 B"}, Case{1023, "1023 B"}, Case{1024, "1.0 KiB"}, Case{1288490189, "1.2 GiB"},
        Case{1048575, "1.0 MiB"}, Case{-2048, "-2.0 KiB"},
        Case{std::numeric_limits<std::int64_t>::max(), "8.0 EiB"}}) {
    EXPECT_EQ(human_bytes(c.bytes), c.text);
  }
}

TEST(Text, BytesAreReadAndWrittenAlike) {
  struct Case {
    std::int64_t bytes;
    const char* text;
  };
  constexpr std::int64_t kGiB = std::int64_t{1} << 30;
  for (const Case& c : {Case{0, "0"}, Case{1, "1"}, Case{1023, "1023"}, Case{1024, "1KiB"},
                        Case{1536, "1536"}, Case{3 << 20, "3MiB"}, Case{2 * kGiB, "2GiB"},
                        Case{kGiB + 1024, "1048577KiB"}, Case{8589934591 * kGiB, "8589934591GiB"},
                        Case{std::numeric_limits<std::int64_t>::max(), "9223372036854775807"}}) {
    EXPECT_EQ(parse_bytes(c.text), c.bytes) << c.text;
    EXPECT_EQ(exact_bytes(c.bytes), c.text);
  }
  for (const char* text : {"", "x", "GiB", "-1", "1GB", "1.5GiB", "1 GiB", "1gib", "8589934592GiB",
                           "9223372036854775808"}) {
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
  }
}

TEST(Text, HumanDuration) {
  struct Case {
    double seconds;
    const char* text;
  };
  for (const Case& c :
       {Case{0, "0 ms"}, Case{0.0124, "12 ms"}, Case{0.0996, "0.1 s"}, Case{3.44, "3.4 s"},
        Case{9.96, "10 s"}, Case{45, "45 s"}, Case{59.6, "1 min"}, Case{125, "2 min 5 s"},
        Case{3599.7, "1 h"}, Case{11520, "3 h 12 min"}, Case{183600, "2 d 3 h"}, Case{86399, "1 d"},
        Case{-1, "?"}, Case{std::nan(""), "?"}, Case{1e300, "?"}}) {
    EXPECT_EQ(human_duration(c.seconds), c.text) << c.seconds;
  }
}

}  // namespace
}  // namespace holdfast
