// Every Unicode scalar value, against the peer's answers.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <fstream>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "base/utf8.h"
#include "tokenizer/tokenizer.h"

namespace holdfast {
namespace {

std::uint32_t crc32(const std::string& bytes) {
  std::uint32_t sum = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    sum ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      sum = (sum >> 1U) ^ ((sum & 1U) != 0 ? 0xEDB88320U : 0U);
    }
  }
  return ~sum;
}

// The modes of tests/golden/tokenizer.py. Only special tokens are in the vocabulary, so that every
// word is one [UNK], whose offsets are the word's.
std::vector<Tokenizer> peers() {
  const std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  std::vector<Tokenizer> out;
  for (const TokenizerOptions& options : std::array<TokenizerOptions, 4>{{
           {true, std::nullopt, true, true, 100},
           {false, std::nullopt, true, true, 100},
           {false, true, false, false, 100},
           {true, false, true, false, 100},
       }}) {
    out.push_back(Tokenizer::from_vocab(vocabulary, options));
  }
  return out;
}

// The words of "a", the code point and "b", then the bytes of each, as in "aéb 0-4\n".
std::string record(const Tokenizer& tokenizer, char32_t code_point) {
  std::string text = "a";
  utf8::append(text, code_point);
  text += "b";
  const Encoding encoding = tokenizer.encode(text);
  const std::span offsets(encoding.offsets.begin() + 1, encoding.offsets.end() - 1);
  std::string out = fmt::format("{}", fmt::join(tokenizer.words(text), " "));
  for (const auto& [begin, end] : offsets) {
    out += fmt::format(" {}-{}", begin, end);
  }
  out += '\n';
  return out;
}

TEST(CodePoints, AllAnswersAreThePeers) {
  const std::vector<Tokenizer> tokenizers = peers();
  std::ifstream golden(HOLDFAST_GOLDEN "/tokenizer_code_points.txt");
  ASSERT_TRUE(golden) << "tokenizer_code_points.txt cannot be read";
  int blocks = 0;
  for (std::string line; std::getline(golden, line);) {
    if (line.starts_with('#')) {
      continue;
    }
    std::istringstream fields(line);
    std::uint32_t start = 0;
    fields >> std::hex >> start;
    for (std::uint32_t wanted = 0; fields >> std::hex >> wanted; start += 0x100, ++blocks) {
      std::string records;
      for (const Tokenizer& tokenizer : tokenizers) {
        for (std::uint32_t c = start; c < start + 0x100; ++c) {
          if (c < 0xD800 || c >= 0xE000) {
            records += record(tokenizer, static_cast<char32_t>(c));
          }
        }
      }
      ASSERT_EQ(crc32(records), wanted) << "a code point of the block that begins at U+" << std::hex
                                        << static_cast<std::uint32_t>(start);
    }
  }
  EXPECT_EQ(blocks, 0x1100);
}

}  // namespace
}  // namespace holdfast
