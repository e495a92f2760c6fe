// Which old samples are kept for replay. Tested by tests/train/selection_test.cpp.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace holdfast {

/// Numbers words 0, 1, 2, ... in order of first appearance. Old and new texts share one table.
class WordTable {
 public:
  std::int32_t id(std::string_view word);
  std::int32_t size() const { return static_cast<std::int32_t>(ids_.size()); }

 private:
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;
};

/// The words of one text, in order, by their number in a WordTable.
using Document = std::vector<std::int32_t>;

struct TermWeight {
  std::int32_t term = 0;
  double weight = 0;
};
/// A text as a sparse vector of length 1 (or 0 for a text without words), terms ascending.
using TfidfRow = std::vector<TermWeight>;

/// tf-idf rows of `old_documents`, then of `new_documents`; n texts in all, df(t) of them with term
/// t:
///   w(t, d) = (1 + ln tf(t, d)) (ln((1 + n) / (1 + df(t))) + 1),  rows divided by their L2 norm
/// (scikit-learn's TfidfVectorizer with sublinear_tf and smooth_idf).
std::vector<TfidfRow> tfidf_rows(std::span<const Document> old_documents,
                                 std::span<const Document> new_documents);

struct Selected {
  std::int64_t index = 0;  // into the old texts
  double score = 0;        // cosine to the target; 0 where the method has none
  std::string reason;      // for people
};

struct TfidfSelection {
  std::int64_t count = 0;      // texts to keep, at most the number of old ones
  bool quota_by_class = true;  // equal counts a class, as far as classes have them
  double diversity = 0.3;      // in [0, 1]: 0 keeps the most similar texts whatever they repeat
};

/// Keeps the old texts that are most like the new task, without repeating themselves. The target is
/// the mean row of the new texts, s(d) = cos(d, target). Within each class (or all, without a
/// quota) texts are chosen one by one by maximal marginal relevance [Carbonell & Goldstein 1998]
/// with r = 1 - diversity
///   argmax over d of  r s(d) - (1 - r) max over chosen c of cos(d, c)
/// among the 4*count most similar; ties go to the lower index. Returned in order of choice, class
/// by class. Throws std::invalid_argument when count is negative or above the number of old texts,
/// diversity is outside [0, 1], or labels and texts differ in number.
std::vector<Selected> select_tfidf(std::span<const Document> old_documents,
                                   std::span<const std::int32_t> old_labels,
                                   std::span<const Document> new_documents,
                                   const TfidfSelection& options);

/// `count` of `n` texts, each subset equally likely; ascending indices.
std::vector<Selected> select_random(std::int64_t n, std::int64_t count, std::uint64_t seed);

/// As many texts of every class as possible, drawn at random within the class; ascending indices.
std::vector<Selected> select_balanced(std::span<const std::int32_t> labels, std::int64_t count,
                                      std::uint64_t seed);

/// How many of `count` texts each class gives, when classes have `sizes` texts: equal numbers as
/// far as they last, what is left over one each to the first classes that still have some. Throws
/// std::invalid_argument when count exceeds the sum.
std::vector<std::int64_t> class_quota(std::span<const std::int64_t> sizes, std::int64_t count);

}  // namespace holdfast
