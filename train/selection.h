// Which old samples are kept for replay. Tested by tests/train/selection_test.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "train/tfidf.h"

namespace holdfast {

struct Selected {
  std::int64_t index = 0;  // into the old texts
  double score = 0;        // tfidf: cosine to the target; herding: distance; 0 of random methods
  std::string reason;      // for people: what decided
};

/// How much is kept: a number of texts, or bytes of text. The order of choice decides: text after
/// text is taken, and one that does not fit any more is passed over.
struct Budget {
  Budget(std::int64_t texts) : amount(texts) {}  // a number is a budget of so many texts
  Budget(std::int64_t bytes, std::vector<std::int64_t> sizes)
      : amount(bytes), text_bytes(std::move(sizes)) {}

  std::int64_t amount = 0;
  std::vector<std::int64_t> text_bytes;  // of each old text with its pair; empty: each counts 1

  std::int64_t cost(std::int64_t text) const {
    return text_bytes.empty() ? 1 : text_bytes[static_cast<std::size_t>(text)];
  }
};

/// How much of `amount` each class gives, when classes have `sizes`: equal parts as far as they
/// last, what is left over one each to the first classes that still have some. Small classes are
/// thus kept whole, as the exemplars of iCaRL are spread [Rebuffi 2017]; in proportion to their
/// sizes they would be nearly gone. Throws std::invalid_argument when amount is negative or exceeds
/// the sum.
std::vector<std::int64_t> class_quota(std::span<const std::int64_t> sizes, std::int64_t amount);

struct TfidfSelection {
  bool quota_by_class = true;  // class_quota() of the texts, or of the bytes
  double diversity = 0.3;      // in [0, 1]: 0 keeps the most similar texts whatever they repeat
};

/// Keeps the old texts that are most like the new task, without repeating themselves. The target is
/// the mean row of the new texts, s(d) = cos(d, target). Within each class (or all, without a
/// quota) texts are chosen one by one by maximal marginal relevance with r = 1 - diversity
///   argmax over d of  r s(d) - (1 - r) max over chosen c of cos(d, c)
/// among the most similar ones, as many as four times the class's quota holds; ties go to the lower
/// index. With a quota every class is a choice of its own: "chosen" are the texts of the same
/// class. Returned in order of choice, class by class. A pure function of the texts, for any number
/// of threads. Throws std::invalid_argument when the budget is negative or, as a number, above the
/// number of old texts, diversity is outside [0, 1], or labels and texts differ in number.
std::vector<Selected> select_tfidf(const WordRows& old_texts,
                                   std::span<const std::int32_t> old_labels,
                                   const WordRows& new_texts, const Budget& budget,
                                   const TfidfSelection& options);

/// Texts of `n` in random order; a number of texts is each subset with equal probability. Ascending
/// indices.
std::vector<Selected> select_random(std::int64_t n, const Budget& budget, std::uint64_t seed);

/// As much of every class as of every other, as class_quota() has it, drawn at random within the
/// class; ascending indices.
std::vector<Selected> select_balanced(std::span<const std::int32_t> labels, const Budget& budget,
                                      std::uint64_t seed);

/// A reservoir of M slots over the stream of n texts [Vitter 1985, algorithm R]: text i, from 1,
/// fills slot i - 1 while i <= M; then it replaces the one in slot j ~ U{0..i-1} if j < M. Every
/// text is kept with probability M / n, and at every point of the stream what the buffer holds is
/// such a sample of what has passed. A budget of bytes has as many slots as it holds texts of the
/// mean size, and slots are taken in order as far as they fit. Ascending indices.
std::vector<Selected> select_reservoir(std::int64_t n, const Budget& budget, std::uint64_t seed);

enum class SelectionMethod { tfidf, random, balanced, herding, reservoir };
/// Throws std::invalid_argument that lists the known names.
SelectionMethod parse_selection_method(std::string_view name);

struct SelectionOptions {
  SelectionMethod method = SelectionMethod::tfidf;
  bool quota_by_class = true;  // tfidf, herding; balanced always has a quota, the others never
  double diversity = 0.3;      // tfidf
  std::uint64_t seed = 0;      // random, balanced, reservoir
};

/// What a method may look at beside the labels, asked for when it does.
struct SelectionSources {
  std::function<std::pair<WordRows, WordRows>()> words;  // tfidf: of the old and the new texts
  std::function<std::vector<float>()> features;          // herding: (n, C) row-major, old texts
};

/// Any of the methods over the old texts with `labels`. Throws as they do, and
/// std::invalid_argument when a source that is needed is not there.
std::vector<Selected> select_texts(std::span<const std::int32_t> labels, const Budget& budget,
                                   const SelectionOptions& options,
                                   const SelectionSources& sources);

/// The texts of one class, ascending, and how much of the budget it has.
struct ClassShare {
  std::vector<std::int64_t> texts;
  std::int64_t amount = 0;
};

/// The classes in ascending order of label, or all texts as one when not `by_class`. A budget of
/// more bytes than there are holds them all. Throws std::invalid_argument as class_quota() does,
/// and when budget and labels are of different texts.
std::vector<ClassShare> class_shares(std::span<const std::int32_t> labels, bool by_class,
                                     const Budget& budget);

}  // namespace holdfast
