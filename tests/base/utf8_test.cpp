#include "base/utf8.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <vector>

namespace holdfast::utf8 {
namespace {

// The classes of Markus Kuhn's UTF-8 decoder stress test, with the replacement of maximal subparts.
struct Case {
  const char* name;
  std::string text;
  std::size_t first_invalid;
  std::string replaced;
};

constexpr std::size_t kValid = std::string_view::npos;
const std::string kMark = "\xEF\xBF\xBD";

std::string marks(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) {
    out += kMark;
  }
  return out;
}

std::vector<Case> cases() {
  using namespace std::string_literals;
  return {
      {"empty", "", kValid, ""},
      {"Greek", "κόσμε", kValid, "κόσμε"},
      {"NUL", "a\0b"s, kValid, "a\0b"s},
      {"first of 2 bytes", "\xC2\x80", kValid, "\xC2\x80"},
      {"first of 3 bytes", "\xE0\xA0\x80", kValid, "\xE0\xA0\x80"},
      {"first of 4 bytes", "\xF0\x90\x80\x80", kValid, "\xF0\x90\x80\x80"},
      {"last of 2 bytes", "\xDF\xBF", kValid, "\xDF\xBF"},
      {"last of 3 bytes, a noncharacter", "\xEF\xBF\xBF", kValid, "\xEF\xBF\xBF"},
      {"U+FFFE", "\xEF\xBF\xBE", kValid, "\xEF\xBF\xBE"},
      {"before the surrogates", "\xED\x9F\xBF", kValid, "\xED\x9F\xBF"},
      {"after the surrogates", "\xEE\x80\x80", kValid, "\xEE\x80\x80"},
      {"U+10FFFF", "\xF4\x8F\xBF\xBF", kValid, "\xF4\x8F\xBF\xBF"},
      {"U+110000", "\xF4\x90\x80\x80", 0, marks(4)},
      {"5 bytes", "\xF8\x88\x80\x80\x80", 0, marks(5)},
      {"6 bytes", "\xFC\x84\x80\x80\x80\x80", 0, marks(6)},
      {"lone continuation", "\x80", 0, marks(1)},
      {"two continuations", "\x80\xBF", 0, marks(2)},
      {"lone lead of 2", "a\xC3 b", 1, "a" + kMark + " b"},
      {"lone lead of 3", "\xE2 ", 0, kMark + " "},
      {"truncated 3 of 4", "\xF0\x9F\x98", 0, marks(1)},
      {"truncated 2 of 3, then text", "\xE2\x82z", 0, kMark + "z"},
      {"FE and FF", "\xFE\xFF", 0, marks(2)},
      {"overlong slash, 2 bytes", "\xC0\xAF", 0, marks(2)},
      {"overlong slash, 3 bytes", "\xE0\x80\xAF", 0, marks(3)},
      {"overlong slash, 4 bytes", "\xF0\x80\x80\xAF", 0, marks(4)},
      {"greatest overlong of 2", "\xC1\xBF", 0, marks(2)},
      {"greatest overlong of 3", "\xE0\x9F\xBF", 0, marks(3)},
      {"greatest overlong of 4", "\xF0\x8F\xBF\xBF", 0, marks(4)},
      {"overlong NUL", "\xC0\x80", 0, marks(2)},
      {"high surrogate", "\xED\xA0\x80", 0, marks(3)},
      {"surrogate pair", "\xED\xA0\x80\xED\xB0\x80", 0, marks(6)},
      {"the example of Unicode 3.9",
       "a\xF1\x80\x80\xE1\x80\xC2"
       "b\x80"
       "c\x80\xBF"
       "d",
       1, "a" + marks(3) + "b" + marks(1) + "c" + marks(2) + "d"},
  };
}

TEST(Utf8, KuhnsClasses) {
  for (const Case& c : cases()) {
    EXPECT_EQ(first_invalid(c.text), c.first_invalid) << c.name;
    EXPECT_EQ(replace_invalid(c.text), c.replaced) << c.name;
  }
}

TEST(Utf8, EveryScalarValueSurvivesEncodingAndDecoding) {
  std::string all;
  for (char32_t c = 0; c <= 0x10FFFF; c = c == 0xD7FF ? 0xE000 : c + 1) {
    append(all, c);
  }
  ASSERT_EQ(first_invalid(all), kValid);
  std::size_t at = 0;
  for (char32_t c = 0; c <= 0x10FFFF; c = c == 0xD7FF ? 0xE000 : c + 1) {
    ASSERT_EQ(decode(all, at), c);
  }
  EXPECT_EQ(at, all.size());
}

TEST(Utf8, EverySequenceOfThreeBytesIsJudgedAsItsCodePointSays) {
  for (unsigned bytes = 0; bytes < 0x1000000;
       bytes += 0x3) {  // a third of them, every byte value in each place
    const std::string text{static_cast<char>(bytes >> 16U), static_cast<char>(bytes >> 8U),
                           static_cast<char>(bytes)};
    if (first_invalid(text) != kValid) {
      continue;
    }
    std::string again;
    for (std::size_t at = 0; at < text.size();) {
      append(again,
             decode(text, at));  // throws for a surrogate; an overlong form would come back shorter
    }
    ASSERT_EQ(again, text);
  }
}

TEST(Utf8, AppendRefusesWhatIsNoScalarValue) {
  std::string out;
  for (const char32_t c : {0xD800U, 0xDFFFU, 0x110000U}) {
    EXPECT_THROW(append(out, c), std::invalid_argument);
  }
  EXPECT_TRUE(out.empty());
}

TEST(Utf8, PrintableShowsWhatATerminalWouldObey) {
  EXPECT_EQ(printable("\x1B[31mred\x07\n\t\x7F"), "\\e[31mred\\x07\\x0A\\x09\\x7F");
  EXPECT_EQ(printable("\xC2\x9B"
                      "31m"),
            "\\u{009B}31m");  // the C1 form of ESC [
  EXPECT_EQ(printable("a\xE2\x80\xAE"
                      "b"),
            "a\\u{202E}b");  // right-to-left override
  EXPECT_EQ(printable("\xC3\xA9\xFF\xE2\x82"), "é\\xFF\\xE2\\x82");
}

}  // namespace
}  // namespace holdfast::utf8
