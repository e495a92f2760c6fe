// Augmentation: training texts with a few words changed, anew in every epoch. Tested by
// tests/train/augment_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace holdfast {

/// Probabilities a word [Wei & Zou 2019, EDA, with a coin for every word instead of a number of
/// changes for every text]; 0 is off.
struct AugmentOptions {
  double replace = 0;  // by one of its synonyms, where it has some
  double remove = 0;   // a text keeps one word at least
  double swap = 0;     // with the next word
  double insert = 0;   // behind it a word of the same text, or a synonym of that one
};

/// Words, or phrases of several, and what may stand for them; upper and lower case are the same.
class Synonyms {
 public:
  Synonyms() = default;
  /// Reads `word,synonym[,synonym...]` lines, CSV or TSV by extension (also .gz, .zst), without a
  /// header. White space around a field does not count. Throws std::runtime_error, one line with
  /// file and line: a line of one field, an empty field, a first field without a word in it or one
  /// that was there before.
  static Synonyms read(const std::filesystem::path& path);

  /// Empty when there are none.
  std::span<const std::string> of(std::string_view phrase) const;
  /// Words of the longest phrase that has synonyms.
  std::size_t longest() const { return longest_; }

 private:
  std::unordered_map<std::string, std::vector<std::string>> by_phrase_;  // in lower case
  std::size_t longest_ = 0;
};

/// Changes texts. A word is what the tokenizer's pre-tokeniser splits off (an ideograph is one, so
/// that Chinese works), punctuation excepted: that stays where it is. In this order: replace (the
/// longest phrase that has synonyms), remove, swap from left to right, insert. What is not changed
/// stays byte for byte; words that come together without a space get one, unless they are
/// ideographs.
class Augmenter {
 public:
  /// Throws std::invalid_argument for a probability outside [0, 1].
  Augmenter(const AugmentOptions& options, Synonyms synonyms, std::uint64_t seed);

  bool active() const;
  /// A pure function of the seed, the text and its place: number of the task (below 2^16), the
  /// sample's id in it (below 2^48), and the epoch. `text` is UTF-8, and so is what comes back.
  std::string operator()(std::string_view text, std::int32_t task, std::int64_t id,
                         std::int64_t epoch) const;

 private:
  AugmentOptions options_;
  Synonyms synonyms_;
  std::uint64_t seed_;
};

}  // namespace holdfast
