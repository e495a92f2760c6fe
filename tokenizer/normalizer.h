// BERT's text normalisation with alignment to the original bytes, and the split of normalised text
// into words. Equal to BertNormalizer and BertPreTokenizer of Hugging Face's tokenizers
// (normalizers/bert.rs, pre_tokenizers/bert.rs).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

struct TokenizerOptions {
  bool lowercase = true;
  std::optional<bool> strip_accents = std::nullopt;  // unset: as lowercase
  bool chinese_chars = true;                         // every CJK ideograph becomes a word
  bool clean_text = true;        // control characters vanish, white space becomes a space
  int max_chars_per_word = 100;  // a longer word becomes [UNK]

  bool operator==(const TokenizerOptions&) const = default;
};

/// Bytes [begin, end) of the original text.
struct TextSpan {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  bool operator==(const TextSpan&) const = default;
};

struct NormalizedText {
  std::string text;             // UTF-8
  std::vector<TextSpan> spans;  // for each byte of text, the original character that it comes from
};

class Normalizer {
 public:
  explicit Normalizer(const TokenizerOptions& options);

  /// In this order: clean, space around ideographs, canonical decomposition without nonspacing
  /// marks, lower case of each code point. `text` must be UTF-8; `offset` is where it begins in the
  /// text that the spans shall refer to.
  NormalizedText normalize(std::string_view text, std::uint32_t offset = 0) const;

 private:
  TokenizerOptions options_;
  bool strip_accents_;
  std::array<char, 128> ascii_{};  // what an ASCII character becomes, or kDropped
};

/// The word of normalised `text` at or after byte `at`, which is moved behind it: a run of anything
/// but white space and punctuation, or one punctuation character. Empty at the end of the text.
std::string_view next_word(std::string_view text, std::size_t& at);

}  // namespace holdfast
