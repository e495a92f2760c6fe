#include "train/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <queue>
#include <stdexcept>

#include "base/parallel.h"
#include "train/mixing.h"

namespace holdfast {
namespace {

constexpr std::int64_t kGrain = 256;  // texts a parallel chunk

// (term, tf) of a text, terms ascending.
TfidfRow count_terms(Document words) {
  std::sort(words.begin(), words.end());
  TfidfRow row;
  for (const std::int32_t word : words) {
    if (row.empty() || row.back().term != word) row.push_back({word, 0});
    row.back().weight += 1;
  }
  return row;
}

void normalize(TfidfRow& row) {
  double squares = 0;
  for (const TermWeight& t : row) squares += t.weight * t.weight;
  if (squares == 0) return;
  const double norm = std::sqrt(squares);
  for (TermWeight& t : row) t.weight /= norm;
}

std::size_t term_limit(const std::vector<TfidfRow>& rows) {
  std::int32_t limit = 0;
  for (const TfidfRow& row : rows) {
    if (!row.empty()) limit = std::max(limit, row.back().term + 1);
  }
  return static_cast<std::size_t>(limit);
}

double dot(const TfidfRow& row, const std::vector<double>& dense) {
  double sum = 0;
  for (const TermWeight& t : row) sum += t.weight * dense[static_cast<std::size_t>(t.term)];
  return sum;
}

}  // namespace

std::int32_t WordTable::id(std::string_view word) {
  const auto found = ids_.find(word);
  if (found != ids_.end()) return found->second;
  return ids_.emplace(std::string(word), size()).first->second;
}

std::vector<TfidfRow> tfidf_rows(std::span<const Document> old_documents,
                                 std::span<const Document> new_documents) {
  const std::size_t n = old_documents.size() + new_documents.size();
  std::vector<TfidfRow> rows(n);
  parallel_for(static_cast<std::int64_t>(n), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (auto d = static_cast<std::size_t>(begin); d < static_cast<std::size_t>(end); ++d) {
      rows[d] = count_terms(d < old_documents.size() ? old_documents[d]
                                                     : new_documents[d - old_documents.size()]);
    }
  });
  std::vector<double> idf(term_limit(rows), 0);  // document frequencies first
  for (const TfidfRow& row : rows) {
    for (const TermWeight& t : row) idf[static_cast<std::size_t>(t.term)] += 1;
  }
  for (double& x : idf) x = std::log((1 + static_cast<double>(n)) / (1 + x)) + 1;
  parallel_for(static_cast<std::int64_t>(n), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (auto d = static_cast<std::size_t>(begin); d < static_cast<std::size_t>(end); ++d) {
      for (TermWeight& t : rows[d]) {
        t.weight = (1 + std::log(t.weight)) * idf[static_cast<std::size_t>(t.term)];
      }
      normalize(rows[d]);
    }
  });
  return rows;
}

std::vector<std::int64_t> class_quota(std::span<const std::int64_t> sizes, std::int64_t count) {
  if (count < 0 || count > std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0})) {
    throw std::invalid_argument(
        fmt::format("[selection] {} texts are to be kept of {}", count,
                    std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0})));
  }
  // The level that all classes can be filled to, then one more each for the first that have one.
  std::vector<std::int64_t> quota(sizes.size(), 0);
  const auto total_at = [&](std::int64_t level) {
    std::int64_t total = 0;
    for (const std::int64_t size : sizes) total += std::min(size, level);
    return total;
  };
  std::int64_t low = 0, high = count;
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    if (total_at(middle) <= count) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  std::int64_t left = count - total_at(low);
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    quota[c] = std::min(sizes[c], low);
    if (left > 0 && sizes[c] > low) {
      ++quota[c];
      --left;
    }
  }
  return quota;
}

namespace {

// Classes in ascending order of label, each with its texts' indices.
std::vector<std::pair<std::int32_t, std::vector<std::int64_t>>> by_class(
    std::span<const std::int32_t> labels) {
  std::map<std::int32_t, std::vector<std::int64_t>> classes;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    classes[labels[i]].push_back(static_cast<std::int64_t>(i));
  }
  return {classes.begin(), classes.end()};
}

std::vector<std::int64_t> sizes_of(
    const std::vector<std::pair<std::int32_t, std::vector<std::int64_t>>>& classes) {
  std::vector<std::int64_t> sizes;
  for (const auto& [label, texts] : classes) {
    sizes.push_back(static_cast<std::int64_t>(texts.size()));
  }
  return sizes;
}

// Maximal marginal relevance by lazy evaluation: a candidate's value can only fall as more is
// chosen, so one whose stale value is below the best current one need not be looked at.
class MarginalRelevance {
 public:
  MarginalRelevance(const std::vector<TfidfRow>& rows, const std::vector<double>& scores,
                    double diversity, std::size_t terms)
      : rows_(&rows), scores_(&scores), diversity_(diversity), scratch_(terms, 0) {}

  // `candidates` by falling score, at least `count` of them.
  std::vector<Selected> choose(std::span<const std::int64_t> candidates, std::int64_t count) {
    std::vector<Selected> chosen;
    std::priority_queue<Entry> queue;
    for (const std::int64_t c : candidates) queue.push({value(c, 0), c, 0, 0});
    while (static_cast<std::int64_t>(chosen.size()) < count) {
      Entry best = queue.top();
      queue.pop();
      if (best.seen == chosen.size()) {
        chosen.push_back(
            {best.index, score(best.index),
             fmt::format("similarity {:.4f} to the new task, {:.4f} to what was kept before",
                         score(best.index), best.repeats)});
        continue;
      }
      best.repeats = std::max(best.repeats, nearest(best, chosen));
      best.seen = chosen.size();
      best.value = value(best.index, best.repeats);
      queue.push(best);
    }
    return chosen;
  }

 private:
  struct Entry {
    double value;
    std::int64_t index;
    double repeats;  // largest cosine to the first `seen` chosen texts
    std::size_t seen;
    bool operator<(const Entry& other) const {
      return value != other.value ? value < other.value : index > other.index;
    }
  };

  double score(std::int64_t index) const { return (*scores_)[static_cast<std::size_t>(index)]; }
  const TfidfRow& row(std::int64_t index) const {
    return (*rows_)[static_cast<std::size_t>(index)];
  }
  double value(std::int64_t index, double repeats) const {
    return (1 - diversity_) * score(index) - diversity_ * repeats;
  }

  double nearest(const Entry& entry, const std::vector<Selected>& chosen) {
    for (const TermWeight& t : row(entry.index)) {
      scratch_[static_cast<std::size_t>(t.term)] = t.weight;
    }
    double largest = 0;
    for (std::size_t i = entry.seen; i < chosen.size(); ++i) {
      largest = std::max(largest, dot(row(chosen[i].index), scratch_));
    }
    for (const TermWeight& t : row(entry.index)) scratch_[static_cast<std::size_t>(t.term)] = 0;
    return largest;
  }

  const std::vector<TfidfRow>* rows_;
  const std::vector<double>* scores_;
  double diversity_;
  std::vector<double> scratch_;  // one row, dense; zero between calls
};

// cos(old text, mean of the new rows); rows are of length 1 or 0.
std::vector<double> target_scores(const std::vector<TfidfRow>& rows, std::size_t old_count,
                                  std::size_t terms) {
  std::vector<double> target(terms, 0);
  for (std::size_t d = old_count; d < rows.size(); ++d) {
    for (const TermWeight& t : rows[d]) target[static_cast<std::size_t>(t.term)] += t.weight;
  }
  double squares = 0;
  for (const double x : target) squares += x * x;
  std::vector<double> scores(old_count, 0);
  if (squares == 0) return scores;
  const double norm = std::sqrt(squares);
  for (std::size_t d = 0; d < old_count; ++d) scores[d] = dot(rows[d], target) / norm;
  return scores;
}

std::vector<Selected> in_order(std::vector<Selected> selected) {
  std::sort(selected.begin(), selected.end(),
            [](const Selected& a, const Selected& b) { return a.index < b.index; });
  return selected;
}

}  // namespace

std::vector<Selected> select_tfidf(std::span<const Document> old_documents,
                                   std::span<const std::int32_t> old_labels,
                                   std::span<const Document> new_documents,
                                   const TfidfSelection& options) {
  if (old_labels.size() != old_documents.size()) {
    throw std::invalid_argument(fmt::format("[selection] {} texts have {} labels",
                                            old_documents.size(), old_labels.size()));
  }
  if (!(options.diversity >= 0 && options.diversity <= 1)) {
    throw std::invalid_argument(
        fmt::format("[selection] diversity is {}, it must be between 0 and 1", options.diversity));
  }
  const std::vector<std::int32_t> one_class(old_documents.size(), 0);
  auto classes = by_class(options.quota_by_class ? old_labels : std::span(one_class));
  const std::vector<std::int64_t> quota = class_quota(sizes_of(classes), options.count);
  const std::vector<TfidfRow> rows = tfidf_rows(old_documents, new_documents);
  const std::size_t terms = term_limit(rows);
  const std::vector<double> scores = target_scores(rows, old_documents.size(), terms);
  MarginalRelevance relevance(rows, scores, options.diversity, terms);
  std::vector<Selected> selected;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    std::vector<std::int64_t>& texts = classes[c].second;
    std::stable_sort(texts.begin(), texts.end(), [&](std::int64_t a, std::int64_t b) {
      return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
    });
    texts.resize(std::min(texts.size(), static_cast<std::size_t>(4 * quota[c])));
    for (Selected& s : relevance.choose(texts, quota[c])) selected.push_back(std::move(s));
  }
  return selected;
}

std::vector<Selected> select_random(std::int64_t n, std::int64_t count, std::uint64_t seed) {
  class_quota(std::span(&n, 1), count);  // checks count
  const std::vector<std::int64_t> order = permutation(n, RandomStream(seed, "selection"), 0);
  std::vector<Selected> selected;
  for (std::int64_t i = 0; i < count; ++i) {
    selected.push_back({order[static_cast<std::size_t>(i)], 0, "drawn at random"});
  }
  return in_order(std::move(selected));
}

std::vector<Selected> select_balanced(std::span<const std::int32_t> labels, std::int64_t count,
                                      std::uint64_t seed) {
  const auto classes = by_class(labels);
  const std::vector<std::int64_t> quota = class_quota(sizes_of(classes), count);
  const RandomStream stream(seed, "selection");
  std::vector<Selected> selected;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const auto& [label, texts] = classes[c];
    const auto order = permutation(static_cast<std::int64_t>(texts.size()), stream, c);
    for (std::int64_t i = 0; i < quota[c]; ++i) {
      const auto place = static_cast<std::size_t>(order[static_cast<std::size_t>(i)]);
      selected.push_back({texts[place], 0, fmt::format("drawn at random from class {}", label)});
    }
  }
  return in_order(std::move(selected));
}

}  // namespace holdfast
