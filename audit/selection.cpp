// Which texts are kept: weights of words, similarity, repetition, exemplars, draws.
#include "train/selection.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "audit/case.h"
#include "audit/reference/herding.h"
#include "audit/reference/marginal_relevance.h"
#include "tensor/random.h"
#include "train/herding.h"
#include "train/marginal_relevance.h"
#include "train/tfidf.h"

namespace holdfast::audit {
namespace {

using Vector = std::vector<double>;
constexpr std::int64_t kOld = 36, kNew = 15, kTerms = 60;
constexpr std::size_t kTermCount = 60;

// Texts of repeated words; the old ones in three classes of unequal size.
struct Texts {
  std::vector<std::vector<std::int32_t>> all;  // old, then new
  std::vector<std::int32_t> labels;
  WordRows old_rows, new_rows;

  Texts() {
    const RandomStream stream(7, "audit texts");
    for (std::uint64_t d = 0; d < kOld + kNew; ++d) {
      const bool old = d < kOld;
      if (old) labels.push_back(d < 30 ? static_cast<std::int32_t>(d % 3) : 0);
      const std::uint64_t first = old ? 8 * static_cast<std::uint64_t>(labels.back()) : 20;
      std::vector<std::int32_t>& words = all.emplace_back();
      for (std::uint64_t i = 0; i < 1 + stream.below(14, d, 0); ++i) {
        words.push_back(static_cast<std::int32_t>(first + stream.below(30, d, i + 1)));
      }
      (old ? old_rows : new_rows).add(words);
    }
  }

  // Dense rows from counts: (1 + ln tf) (ln((1 + n) / (1 + df)) + 1), then of length 1.
  std::vector<Vector> rows() const {
    std::vector<Vector> out;
    for (const auto& words : all) {
      Vector row(kTermCount, 0);
      double squares = 0;
      for (std::size_t t = 0; t < kTermCount; ++t) {
        const auto has = [&](const std::vector<std::int32_t>& text) {
          return std::ranges::count(text, static_cast<std::int32_t>(t));
        };
        const auto tf = static_cast<double>(has(words));
        const auto df = static_cast<double>(
            std::ranges::count_if(all, [&](const auto& text) { return has(text) > 0; }));
        if (tf > 0) row[t] = (1 + std::log(tf)) * (std::log((1 + kOld + kNew) / (1 + df)) + 1);
        squares += row[t] * row[t];
      }
      for (double& x : row) x /= std::sqrt(squares);
      out.push_back(row);
    }
    return out;
  }
};

double dot(const Vector& a, const Vector& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

Vector similarities(const std::vector<Vector>& rows) {
  Vector target(kTermCount, 0), scores;
  for (std::size_t d = kOld; d < rows.size(); ++d)
    for (std::size_t t = 0; t < kTermCount; ++t) target[t] += rows[d][t] / kNew;
  for (std::size_t d = 0; d < kOld; ++d) {
    scores.push_back(dot(rows[d], target) / std::sqrt(dot(target, target)));
  }
  return scores;
}

double tfidf_rows() {
  const Texts texts;
  const Tfidf tfidf(texts.old_rows, texts.new_rows);
  const std::vector<Vector> expected = texts.rows();
  Worst worst;
  for (std::size_t d = 0; d < expected.size(); ++d) {
    const auto at = static_cast<std::int64_t>(d);
    SparseRows rows;
    tfidf.append_row(at < kOld ? texts.old_rows[at] : texts.new_rows[at - kOld], rows);
    Vector dense(kTermCount, 0);
    for (const TermWeight& t : rows[0]) dense[static_cast<std::size_t>(t.term)] = t.weight;
    worst.add(relative_error(dense, expected[d]));
  }
  worst.add(relative_error(tfidf.scores(texts.old_rows, texts.new_rows), similarities(expected)));
  return worst.value();
}

// The whole choice, an exhaustive search within each class over the four times as many most
// similar.
double tfidf_choice() {
  const Texts texts;
  const std::vector<Vector> rows = texts.rows();
  const Vector scores = similarities(rows);
  Worst worst;
  for (const auto& [count, diversity, by_class] :
       {std::tuple<std::int64_t, double, bool>{9, 0.3, true},
        {10, 0.0, false},
        {7, 0.8, true},
        {32, 0.3, true}}) {
    std::map<std::int32_t, std::vector<std::int64_t>> classes;
    for (std::int64_t d = 0; d < kOld; ++d) {
      classes[by_class ? texts.labels[static_cast<std::size_t>(d)] : 0].push_back(d);
    }
    std::vector<std::int64_t> sizes, expected;
    for (const auto& [label, members] : classes) {
      sizes.push_back(static_cast<std::int64_t>(members.size()));
    }
    const std::vector<std::int64_t> quota = class_quota(sizes, count);
    std::size_t c = 0;
    for (auto& [label, members] : classes) {
      const std::int64_t amount = quota[c++];
      std::ranges::stable_sort(members, [&](std::int64_t a, std::int64_t b) {
        return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
      });
      members.resize(std::min(members.size(), static_cast<std::size_t>(4 * amount)));
      std::ranges::sort(members);
      std::vector<Vector> pool;
      Vector pool_scores;
      for (const std::int64_t d : members) {
        pool.push_back(rows[static_cast<std::size_t>(d)]);
        pool_scores.push_back(scores[static_cast<std::size_t>(d)]);
      }
      for (const std::int64_t choice : exhaustive_marginal_relevance(
               pool, pool_scores, std::vector<std::int64_t>(pool.size(), 1), diversity, amount)) {
        expected.push_back(members[static_cast<std::size_t>(choice)]);
      }
    }
    std::vector<std::int64_t> found;
    for (const Selected& one :
         select_tfidf(texts.old_rows, texts.labels, texts.new_rows, count, {by_class, diversity})) {
      found.push_back(one.index);
      worst.add(std::abs(one.score - scores[static_cast<std::size_t>(one.index)]));
    }
    worst.add(unequal(found, expected));
  }
  return worst.value();
}

double relevance() {
  const Texts texts;
  const Tfidf tfidf(texts.old_rows, texts.new_rows);
  const std::vector<Vector> rows = texts.rows();
  const Vector scores = similarities(rows);
  SparseRows sparse;
  std::vector<std::int64_t> costs;
  for (std::int64_t d = 0; d < kOld; ++d) {
    tfidf.append_row(texts.old_rows[d], sparse);
    costs.push_back(1 + d % 5);
  }
  const std::vector<Vector> old(rows.begin(), rows.begin() + kOld);
  Worst worst;
  for (const double diversity : {0.0, 0.3, 0.7, 1.0}) {
    std::vector<std::int64_t> found;
    for (const MarginalChoice& choice :
         marginal_relevance(sparse, kTerms, scores, costs, diversity, 40)) {
      double nearest = 0;
      for (const std::int64_t before : found) {
        nearest = std::max(nearest, dot(old[static_cast<std::size_t>(choice.candidate)],
                                        old[static_cast<std::size_t>(before)]));
      }
      worst.add(std::abs(choice.nearest - nearest));
      found.push_back(choice.candidate);
    }
    worst.add(unequal(found, exhaustive_marginal_relevance(old, scores, costs, diversity, 40)));
  }
  return worst.value();
}

double herding() {
  constexpr std::size_t kWidth = 13, kTexts = 40;
  const RandomStream stream(3, "audit features");
  std::vector<float> features;
  for (std::size_t i = 0; i < kTexts * kWidth; ++i) {
    features.push_back(static_cast<float>(stream.normal(0, i) + (i % kWidth == 0 ? 1.0 : 0.0)));
  }
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < kTexts; ++i) labels.push_back(static_cast<std::int32_t>(i % 2));
  std::vector<std::int64_t> expected, found;
  std::vector<double> distances, scores;
  for (const std::int64_t c : {0, 1}) {
    std::vector<std::int64_t> members;
    for (std::int64_t i = c; i < static_cast<std::int64_t>(kTexts); i += 2) members.push_back(i);
    const std::vector<std::int64_t> chosen =
        naive_herding(features, kWidth, members, 9, &distances);
    expected.insert(expected.end(), chosen.begin(), chosen.end());
  }
  for (const Selected& one : select_herding(features, labels, 18, true)) {
    found.push_back(one.index);
    scores.push_back(one.score);
  }
  Worst worst;
  worst.add(unequal(found, expected));
  worst.add(relative_error(scores, distances));
  return worst.value();
}

// Round robin: one each to every class that still has some.
double quotas() {
  Worst worst;
  for (const std::vector<std::int64_t>& sizes :
       {std::vector<std::int64_t>{10, 3, 7}, {1, 1, 50}, {0, 5}, {4, 4, 4}}) {
    const std::int64_t total = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
    for (std::int64_t amount = 0; amount <= total; ++amount) {
      std::vector<std::int64_t> quota(sizes.size(), 0);
      for (std::int64_t left = amount; left > 0;) {
        for (std::size_t c = 0; c < sizes.size() && left > 0; ++c) {
          if (quota[c] < sizes[c]) ++quota[c], --left;
        }
      }
      worst.add(unequal(class_quota(sizes, amount), quota));
    }
  }
  return worst.value();
}

// Shares of 4,000 draws, in standard errors, and that each is a set of the size asked for.
double draws() {
  constexpr int kTimes = 4000;
  const std::vector<std::int32_t> labels{0, 0, 0, 0, 0, 0, 1, 1, 1, 1};
  Worst worst;
  for (const int method : {0, 1, 2}) {
    Vector counts(10, 0);
    for (std::uint64_t seed = 0; seed < kTimes; ++seed) {
      const std::vector<Selected> chosen = method == 0   ? select_random(10, 4, seed)
                                           : method == 1 ? select_reservoir(10, 4, seed)
                                                         : select_balanced(labels, 4, seed);
      std::set<std::int64_t> different;
      for (const Selected& one : chosen) {
        counts[static_cast<std::size_t>(one.index)] += 1;
        different.insert(one.index);
      }
      if (different.size() != 4) return std::numeric_limits<double>::infinity();
    }
    for (std::size_t i = 0; i < 10; ++i) {
      const double p = method < 2 ? 0.4 : labels[i] == 0 ? 2.0 / 6 : 2.0 / 4;
      worst.add(std::abs(counts[i] - kTimes * p) / std::sqrt(kTimes * p * (1 - p)));
    }
  }
  return worst.value();
}

// Bytes: texts in order of choice as far as they fit, and the classes' shares of them.
double byte_budgets() {
  const std::vector<std::int32_t> labels{0, 1, 0, 1, 0};
  const Budget budget(14, {5, 2, 4, 9, 3});
  Worst worst;
  const std::vector<ClassShare> shares = class_shares(labels, true, budget);
  worst.add(unequal(shares.at(0).texts, {0, 2, 4}));
  worst.add(unequal(shares.at(1).texts, {1, 3}));
  worst.add(
      unequal(std::array{shares[0].amount, shares[1].amount}, std::array<std::int64_t, 2>{7, 7}));
  worst.add(unequal(class_shares(labels, false, Budget(100, budget.text_bytes)).at(0).amount,
                    std::int64_t{23}));
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    std::int64_t used = 0, least = 100;
    std::set<std::int64_t> kept;
    for (const Selected& one : select_random(5, budget, seed)) kept.insert(one.index);
    for (std::int64_t i = 0; i < 5; ++i) {
      if (kept.contains(i))
        used += budget.cost(i);
      else
        least = std::min(least, budget.cost(i));
    }
    worst.add(used <= 14 && used + least > 14 ? 0 : 1);  // nothing more would fit
  }
  return worst.value();
}

}  // namespace

std::vector<Case> selection_cases() {
  Family family("selection");
  const std::string selection = "train/selection.h: ";
  family.row("TF-IDF, similarity",
             "(1 + ln tf)(ln((1+n)/(1+df)) + 1), rows of length 1; cos to the mean row",
             "Salton & Buckley 1988; scikit-learn", "dense rows from counts, 51 texts",
             "train/tfidf.h: Tfidf", 1e-14, tfidf_rows, "relative");
  family.row("TF-IDF, choice", "argmax r s(d) - (1-r) max cos(d, c) within each class",
             "Carbonell & Goldstein 1998", "exhaustive search, four settings",
             selection + "select_tfidf", 1e-14, tfidf_choice, "absolute");
  family.row("maximal marginal relevance", "argmax (1-v) s(d) - v max cos(d, c)",
             "Carbonell & Goldstein 1998", "exhaustive search with costs, four diversities",
             "train/marginal_relevance.h: marginal_relevance", 1e-14, relevance, "absolute");
  family.row("herding", "argmin ||mu - (phi(x) + sum phi(p_j)) / k||",
             "Rebuffi et al. 2017, alg. 4",
             "every candidate's distance anew: the same texts, and their distances",
             "train/herding.h: select_herding", 1e-12, herding);
  family.row("class quotas", "equal parts as far as they last", "Rebuffi et al. 2017",
             "round robin, every amount", selection + "class_quota", 0, quotas, "exact");
  family.row("random, reservoir, balanced", "every text with probability M / n (of its class)",
             "Vitter 1985, alg. R", "shares of 4,000 draws",
             selection + "select_random, " + selection + "select_reservoir, " + selection +
                 "select_balanced",
             4.5, draws, "standard errors");
  family.row("budgets of bytes", "text after text as far as it fits", "definition",
             "by hand, and nothing more would fit",
             selection + "class_shares, " + selection + "Budget", 0, byte_budgets, "exact");
  return family.take();
}

}  // namespace holdfast::audit
