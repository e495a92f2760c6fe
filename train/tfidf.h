// Texts as sparse vectors of their words. Words are kept once, as sorted numbers in a few flat
// arrays; weights are worked out where they are needed. Tested by tests/train/tfidf_test.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace holdfast {

/// Numbers words 0, 1, 2, ... in order of first appearance. Old and new texts share one table. A
/// word takes its letters and some 20 bytes: all letters stand in one string, found by hash.
class WordTable {
 public:
  /// The word's number, a new one when it has none.
  std::int32_t id(std::string_view word);
  /// The word's number, or -1.
  std::int32_t find(std::string_view word) const;
  std::int32_t size() const { return static_cast<std::int32_t>(ends_.size()); }

 private:
  struct Slot {
    std::uint32_t tag = 0;  // upper half of the word's hash
    std::int32_t id = -1;   // -1: free
  };
  std::string_view word(std::int32_t id) const;
  std::size_t slot_of(std::string_view word, std::uint64_t hash) const;  // its own or a free one
  void grow();

  std::vector<Slot> slots_;  // a power of two, half of them free; probed one after another
  std::string letters_;
  std::vector<std::size_t> ends_;  // of each word in `letters_`
};

/// The words of many texts by number: 4 bytes a word and 8 a text, in blocks that never move.
class WordRows {
 public:
  /// The words of the next text, in any order, each as often as it occurs.
  void add(std::span<const std::int32_t> words);
  std::int64_t size() const { return size_; }
  /// Ascending.
  std::span<const std::int32_t> operator[](std::int64_t text) const;

 private:
  struct Block {
    std::vector<std::int32_t> words;
    std::vector<std::size_t> ends;  // of each text in `words`
  };
  std::vector<Block> blocks_;
  std::int64_t size_ = 0;
};

/// Counts words while texts are read: splits them with the tokenizer's words() and looks these up
/// in parallel, some texts at a time, and keeps the numbers alone. The same rows for any number of
/// threads, as new words are numbered one after another.
class WordCounter {
 public:
  /// Both must outlive the counter.
  WordCounter(const Tokenizer& tokenizer, WordTable& table);
  /// A text and its pair, "" when there is none. Throws as Tokenizer::words does, then or later.
  void add(std::string_view text, std::string_view pair = {});
  /// The rows of all texts added.
  WordRows take();

 private:
  void flush();

  const Tokenizer& tokenizer_;
  WordTable& table_;
  std::vector<std::string> waiting_;
  std::size_t waiting_bytes_ = 0;
  WordRows rows_;
};

struct TermWeight {
  std::int32_t term = 0;
  double weight = 0;
};

/// Sparse rows one after another: the entries of row i are [begin[i], begin[i + 1]), terms
/// ascending.
struct SparseRows {
  std::vector<std::size_t> begin{0};
  std::vector<TermWeight> entries;

  std::int64_t size() const { return static_cast<std::int64_t>(begin.size()) - 1; }
  std::span<const TermWeight> operator[](std::int64_t row) const {
    const auto r = static_cast<std::size_t>(row);
    return std::span(entries).subspan(begin[r], begin[r + 1] - begin[r]);
  }
};

/// tf-idf over old and new texts together, n in all, df(t) of them with term t:
///   w(t, d) = (1 + ln tf(t, d)) (ln((1 + n) / (1 + df(t))) + 1),  rows divided by their L2 norm
/// (scikit-learn's TfidfVectorizer with sublinear_tf and smooth_idf). A text without words is a row
/// without entries.
class Tfidf {
 public:
  Tfidf(const WordRows& old_texts, const WordRows& new_texts);

  std::int64_t terms() const { return static_cast<std::int64_t>(idf_.size()); }
  /// Appends the row of a text.
  void append_row(std::span<const std::int32_t> words, SparseRows& rows) const;
  /// cos(row of each of `texts`, mean of the rows of `target`); all 0 when the mean is.
  std::vector<double> scores(const WordRows& texts, const WordRows& target) const;

 private:
  std::vector<double> idf_;
};

}  // namespace holdfast
