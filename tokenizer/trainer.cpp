// The WordPiece trainer: byte-pair merges of the words' characters, as models/bpe/trainer.rs of the
// peer does them.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <queue>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/utf8.h"
#include "tokenizer/tokenizer.h"

namespace holdfast {
namespace {

using Pair = std::pair<std::int32_t, std::int32_t>;

struct Word {
  std::vector<std::int32_t> pieces;
  std::int64_t count;
};

class Trainer {
 public:
  Trainer(const std::map<std::string, std::int64_t>& word_counts, const TrainerOptions& options)
      : min_frequency_(std::max<std::int64_t>(options.min_frequency, 1)) {
    for (const char* special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
      id_of(special);
    }
    add_alphabet(word_counts);
    for (const auto& [text, count] : word_counts) {
      words_.push_back({characters(text), count});
    }
    for (std::size_t i = 0; i < words_.size(); ++i) {
      const Word& word = words_[i];
      for (std::size_t k = 0; k + 1 < word.pieces.size(); ++k) {
        change({word.pieces[k], word.pieces[k + 1]}, word.count, i);
      }
    }
    queue_changed();
  }

  std::vector<std::string> train(std::int64_t size) {
    while (static_cast<std::int64_t>(tokens_.size()) < size && !queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      PairInfo& info = pairs_.at(top.pair);
      if (info.count != top.count) {
        if (info.count >= min_frequency_) {
          queue_.push({info.count, top.pair});
        }
        continue;
      }
      merge(top.pair);
      queue_changed();
    }
    return std::move(tokens_);
  }

 private:
  struct PairInfo {
    std::int64_t count = 0;
    std::vector<std::size_t>
        words;  // indices of words that had the pair when it was counted; some twice
  };
  struct Candidate {
    std::int64_t count;
    Pair pair;
    // The most frequent first, then the smaller ids.
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : other.pair < pair;
    }
  };
  struct PairHash {
    std::size_t operator()(const Pair& pair) const {
      return std::hash<std::uint64_t>()(static_cast<std::uint64_t>(pair.first) << 32U |
                                        static_cast<std::uint32_t>(pair.second));
    }
  };

  std::int32_t id_of(const std::string& token) {
    const auto [found, is_new] = ids_.emplace(token, static_cast<std::int32_t>(tokens_.size()));
    if (is_new) {
      tokens_.push_back(token);
    }
    return found->second;
  }

  // Every character, then the "##" form of those that occur inside a word; the byte order of UTF-8
  // is code point order.
  void add_alphabet(const std::map<std::string, std::int64_t>& word_counts) {
    std::map<std::string, bool> continues;
    for (const auto& [text, count] : word_counts) {
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t begin = at;
        utf8::decode(text, at);
        continues[text.substr(begin, at - begin)] |= begin > 0;
      }
    }
    for (const auto& [character, inside] : continues) {
      id_of(character);
    }
    for (const auto& [character, inside] : continues) {
      if (inside) {
        id_of(std::string(WordPiece::kPrefix) + character);
      }
    }
  }

  std::vector<std::int32_t> characters(const std::string& text) {
    std::vector<std::int32_t> out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      utf8::decode(text, at);
      const std::string character = text.substr(begin, at - begin);
      out.push_back(id_of(begin > 0 ? std::string(WordPiece::kPrefix) + character : character));
    }
    return out;
  }

  void change(Pair pair, std::int64_t count, std::size_t word) {
    PairInfo& info = pairs_[pair];
    info.count += count;
    if (count > 0) {
      if (info.words.empty() || info.words.back() != word) {
        info.words.push_back(word);
      }
      grown_.push_back(pair);
    }
  }

  // Pairs that lost are found out when they come to the top of the queue.
  void queue_changed() {
    std::sort(grown_.begin(), grown_.end());
    grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
    for (const Pair& pair : grown_) {
      const std::int64_t count = pairs_.at(pair).count;
      if (count >= min_frequency_) {
        queue_.push({count, pair});
      }
    }
    grown_.clear();
  }

  void merge(Pair pair) {
    const std::string& second = tokens_[static_cast<std::size_t>(pair.second)];
    const std::int32_t merged = id_of(tokens_[static_cast<std::size_t>(pair.first)] +
                                      second.substr(WordPiece::kPrefix.size()));
    const std::vector<std::size_t> where = std::move(pairs_.at(pair).words);
    for (const std::size_t i : where) {
      merge_in_word(i, pair, merged);
    }
    pairs_.at(pair) = {};
  }

  void merge_in_word(std::size_t index, Pair pair, std::int32_t merged) {
    const std::int64_t count = words_[index].count;
    std::vector<std::int32_t>& pieces = words_[index].pieces;
    for (std::size_t k = 0; k + 1 < pieces.size(); ++k) {
      if (Pair{pieces[k], pieces[k + 1]} != pair) {
        continue;
      }
      if (k > 0) {
        change({pieces[k - 1], pair.first}, -count, index);
        change({pieces[k - 1], merged}, count, index);
      }
      pieces[k] = merged;
      pieces.erase(pieces.begin() + static_cast<std::ptrdiff_t>(k) + 1);
      if (k + 1 < pieces.size()) {
        change({pair.second, pieces[k + 1]}, -count, index);
        change({merged, pieces[k + 1]}, count, index);
      }
    }
  }

  std::int64_t min_frequency_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::vector<Word> words_;
  std::unordered_map<Pair, PairInfo, PairHash> pairs_;
  std::vector<Pair> grown_;  // since the queue was last brought up to date
  std::priority_queue<Candidate> queue_;
};

}  // namespace

std::vector<std::string> train_vocabulary(const std::function<bool(std::string& text)>& next,
                                          std::int64_t size, const TrainerOptions& options) {
  if (size < 5) {
    throw std::invalid_argument(
        fmt::format("[tokenizer] a vocabulary of {} tokens; the special ones alone are 5", size));
  }
  const Normalizer normalizer(options.tokenizer);
  const auto longest = static_cast<std::size_t>(options.tokenizer.max_chars_per_word);
  std::map<std::string, std::int64_t> word_counts;
  for (std::string text; next(text);) {
    const std::size_t bad = utf8::first_invalid(text);
    if (bad != std::string::npos) {
      throw std::invalid_argument(fmt::format("[tokenizer] a text is not UTF-8 at byte {}", bad));
    }
    const NormalizedText normalized = normalizer.normalize(text);
    std::size_t at = 0;
    for (std::string_view word; !(word = next_word(normalized.text, at)).empty();) {
      if (!WordPiece::is_too_long(word, longest)) {  // else [UNK] whatever is learnt from it
        ++word_counts[std::string(word)];
      }
    }
  }
  if (word_counts.empty()) {
    throw std::invalid_argument("[tokenizer] there is no word to train a vocabulary on");
  }
  return Trainer(word_counts, options).train(size);
}

}  // namespace holdfast
