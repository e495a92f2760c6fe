#include "train/marginal_relevance.h"

#include <algorithm>
#include <limits>

#include "base/parallel.h"

namespace holdfast {
namespace {

constexpr std::int64_t kChunk = 16384;  // candidates of a chunk, whose products stay in the cache
constexpr std::int64_t kTaken = std::numeric_limits<std::int64_t>::max();  // as a cost: never fits

struct Best {
  double value = -std::numeric_limits<double>::infinity();
  MarginalChoice choice{-1, 0};
};

// Candidates [begin, end): which of them have a term, and how near each is to what was chosen.
class Chunk {
 public:
  Chunk(const SparseRows& rows, std::int64_t begin, std::int64_t end, std::int64_t terms,
        std::span<const double> scores, std::span<const std::int64_t> costs, double diversity)
      : begin_(begin),
        diversity_(diversity),
        first_(static_cast<std::size_t>(terms) + 1, 0),
        costs_(costs.begin() + begin, costs.begin() + end),
        nearest_(costs_.size(), 0),
        products_(costs_.size(), 0) {
    for (std::int64_t d = begin; d < end; ++d) {
      relevance_.push_back((1 - diversity) * scores[static_cast<std::size_t>(d)]);
      for (const TermWeight& t : rows[d]) ++first_[static_cast<std::size_t>(t.term) + 1];
    }
    for (std::size_t t = 1; t < first_.size(); ++t) first_[t] += first_[t - 1];
    candidates_.resize(first_.back());
    weights_.resize(first_.back());
    std::vector<std::uint32_t> next(first_.begin(), first_.end() - 1);
    for (std::int64_t d = begin; d < end; ++d) {
      for (const TermWeight& t : rows[d]) {
        const std::uint32_t place = next[static_cast<std::size_t>(t.term)]++;
        candidates_[place] = static_cast<std::uint32_t>(d - begin);
        weights_[place] = t.weight;
      }
    }
  }

  // Takes account of a row that was chosen, and finds the best of those that fit.
  Best next(std::span<const TermWeight> chosen, std::int64_t budget) {
    for (const TermWeight& t : chosen) {
      const auto term = static_cast<std::size_t>(t.term);
      for (std::uint32_t p = first_[term]; p < first_[term + 1]; ++p) {
        products_[candidates_[p]] += t.weight * weights_[p];
      }
    }
    Best best;
    for (std::size_t i = 0; i < costs_.size(); ++i) {
      nearest_[i] = std::max(nearest_[i], products_[i]);
      products_[i] = 0;
      const double value = relevance_[i] - diversity_ * nearest_[i];
      if (value > best.value && costs_[i] <= budget) {
        best = {value, {begin_ + static_cast<std::int64_t>(i), nearest_[i]}};
      }
    }
    return best;
  }

  void take(std::int64_t candidate) {
    costs_[static_cast<std::size_t>(candidate - begin_)] = kTaken;
  }

 private:
  std::int64_t begin_;
  double diversity_;
  std::vector<std::uint32_t> first_;       // of each term in the two below
  std::vector<std::uint32_t> candidates_;  // by term, from begin_
  std::vector<double> weights_;            // of the term in the candidate
  std::vector<std::int64_t> costs_;
  std::vector<double> relevance_, nearest_;
  std::vector<double> products_;  // with the row that was chosen last; 0 between calls
};

}  // namespace

std::vector<MarginalChoice> marginal_relevance(const SparseRows& rows, std::int64_t terms,
                                               std::span<const double> scores,
                                               std::span<const std::int64_t> costs,
                                               double diversity, std::int64_t budget) {
  std::vector<Chunk> chunks;
  for (std::int64_t begin = 0; begin < rows.size(); begin += kChunk) {
    chunks.emplace_back(rows, begin, std::min(begin + kChunk, rows.size()), terms, scores, costs,
                        diversity);
  }
  std::vector<MarginalChoice> choices;
  std::vector<Best> best_of(chunks.size());
  std::span<const TermWeight> chosen;
  while (budget > 0) {
    parallel_for(static_cast<std::int64_t>(chunks.size()), 1,
                 [&](std::int64_t begin, std::int64_t) {
                   const auto c = static_cast<std::size_t>(begin);
                   best_of[c] = chunks[c].next(chosen, budget);
                 });
    Best best;
    for (const Best& candidate : best_of) {
      if (candidate.value > best.value) best = candidate;
    }
    const std::int64_t candidate = best.choice.candidate;
    if (candidate < 0) break;
    choices.push_back(best.choice);
    chunks[static_cast<std::size_t>(candidate / kChunk)].take(candidate);
    chosen = rows[candidate];
    budget -= costs[static_cast<std::size_t>(candidate)];
  }
  return choices;
}

}  // namespace holdfast
