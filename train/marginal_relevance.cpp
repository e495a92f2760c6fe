#include "train/marginal_relevance.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>

namespace holdfast {
namespace {

constexpr double kSlack = 1e-9;  // far above the rounding of sums that are at most 1

// Both rows ascending by term.
double dot(std::span<const TermWeight> a, std::span<const TermWeight> b) {
  double sum = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    if (a[i].term == b[j].term) {
      sum += a[i++].weight * b[j++].weight;
    } else if (a[i].term < b[j].term) {
      ++i;
    } else {
      ++j;
    }
  }
  return sum;
}

// The chosen rows by term, those chosen last first.
class ChosenRows {
 public:
  ChosenRows(const SparseRows& rows, std::int64_t terms)
      : rows_(rows), newest_(static_cast<std::size_t>(terms), kNone) {}

  std::size_t size() const { return chosen_.size(); }

  void add(std::int64_t row) {
    const auto number = static_cast<std::uint32_t>(chosen_.size());
    for (const TermWeight& t : rows_[row]) {
      std::uint32_t& newest = newest_[static_cast<std::size_t>(t.term)];
      postings_.push_back({t.weight, number, newest});
      newest = static_cast<std::uint32_t>(postings_.size() - 1);
    }
    chosen_.push_back(row);
    products_.push_back(0);
  }

  // The larger of `least` and the largest cosine of `row` to the rows chosen from number `from` on.
  double nearest(std::int64_t row, std::size_t from, double least) {
    const double rest = add_products(rows_[row], from, least);
    // The most promising first: its cosine rules out most of the others.
    const auto promising = std::max_element(
        touched_.begin(), touched_.end(),
        [&](std::uint32_t a, std::uint32_t b) { return products_[a] < products_[b]; });
    if (promising != touched_.end()) std::iter_swap(touched_.begin(), promising);
    for (const std::uint32_t c : touched_) {
      if (products_[c] + rest + kSlack > least) {
        least = std::max(least, dot(rows_[row], rows_[chosen_[c]]));
      }
      products_[c] = 0;
    }
    touched_.clear();
    return least;
  }

 private:
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  struct Posting {
    double weight;
    std::uint32_t chosen;  // number of the row
    std::uint32_t older;   // posting of the same term, or kNone
  };

  // Adds up products term by term until no row that was not met can be nearer than the best;
  // returns what the terms left out can add to any product.
  double add_products(std::span<const TermWeight> row, std::size_t from, double best) {
    heaviest_.assign(row.begin(), row.end());
    std::sort(heaviest_.begin(), heaviest_.end(),
              [](const TermWeight& a, const TermWeight& b) { return a.weight > b.weight; });
    double squares = 0;
    for (const TermWeight& t : row) squares += t.weight * t.weight;
    for (const TermWeight& t : heaviest_) {
      const double rest = std::sqrt(std::max(squares, 0.0));
      if (rest + kSlack < best) return rest;
      for (std::uint32_t p = newest_[static_cast<std::size_t>(t.term)]; p != kNone;) {
        const Posting& posting = postings_[p];
        if (posting.chosen < from) break;
        double& product = products_[posting.chosen];
        if (product == 0) touched_.push_back(posting.chosen);
        product += t.weight * posting.weight;
        best = std::max(best, product - kSlack);
        p = posting.older;
      }
      squares -= t.weight * t.weight;
    }
    return 0;
  }

  const SparseRows& rows_;
  std::vector<std::int64_t> chosen_;   // rows in order of choice
  std::vector<std::uint32_t> newest_;  // posting of each term
  std::vector<Posting> postings_;
  std::vector<double> products_;  // with each chosen row so far; 0 between calls
  std::vector<std::uint32_t> touched_;
  std::vector<TermWeight> heaviest_;
};

struct Entry {
  double value;  // no less than the candidate's value now
  std::int64_t candidate;
  double nearest;  // largest cosine to the first `seen` chosen rows
  std::size_t seen;
  bool operator<(const Entry& other) const {
    return value != other.value ? value < other.value : candidate > other.candidate;
  }
};

}  // namespace

std::vector<MarginalChoice> marginal_relevance(const SparseRows& rows, std::int64_t terms,
                                               std::span<const double> scores,
                                               std::span<const std::int64_t> costs,
                                               double diversity, std::int64_t budget) {
  const auto value = [&](std::int64_t candidate, double nearest) {
    return (1 - diversity) * scores[static_cast<std::size_t>(candidate)] - diversity * nearest;
  };
  std::vector<Entry> entries;
  for (std::int64_t c = 0; c < rows.size(); ++c) entries.push_back({value(c, 0), c, 0, 0});
  std::priority_queue<Entry> queue({}, std::move(entries));
  ChosenRows chosen(rows, terms);
  std::vector<MarginalChoice> choices;
  while (!queue.empty() && budget > 0) {
    Entry best = queue.top();
    queue.pop();
    const std::int64_t cost = costs[static_cast<std::size_t>(best.candidate)];
    if (cost > budget) continue;  // it never will fit again
    if (best.seen < chosen.size()) {
      best.nearest = chosen.nearest(best.candidate, best.seen, best.nearest);
      best.value = value(best.candidate, best.nearest);
      best.seen = chosen.size();
      queue.push(best);
      continue;
    }
    choices.push_back({best.candidate, best.nearest});
    chosen.add(best.candidate);
    budget -= cost;
  }
  return choices;
}

}  // namespace holdfast
