#include "train/selection.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <stdexcept>

#include "base/parallel.h"
#include "train/herding.h"
#include "train/marginal_relevance.h"
#include "train/mixing.h"
#include "train/names.h"

namespace holdfast {
namespace {

constexpr NameTable<SelectionMethod, 5> kMethods{{{SelectionMethod::tfidf, "tfidf"},
                                                  {SelectionMethod::random, "random"},
                                                  {SelectionMethod::balanced, "balanced"},
                                                  {SelectionMethod::herding, "herding"},
                                                  {SelectionMethod::reservoir, "reservoir"}}};

std::int64_t total_cost(std::span<const std::int64_t> texts, const Budget& budget) {
  std::int64_t total = 0;
  for (const std::int64_t text : texts) total += budget.cost(text);
  return total;
}

// The texts, in the order given, that fit into `amount`.
std::vector<std::int64_t> that_fit(std::span<const std::int64_t> texts, std::int64_t amount,
                                   const Budget& budget) {
  std::vector<std::int64_t> kept;
  for (const std::int64_t text : texts) {
    if (amount <= 0) break;
    if (budget.cost(text) > amount) continue;
    amount -= budget.cost(text);
    kept.push_back(text);
  }
  return kept;
}

std::vector<Selected> in_order(std::vector<Selected> selected) {
  std::sort(selected.begin(), selected.end(),
            [](const Selected& a, const Selected& b) { return a.index < b.index; });
  return selected;
}

// All n texts as one share of the budget, which is checked.
ClassShare whole(std::int64_t n, const Budget& budget) {
  const std::vector<std::int32_t> labels(static_cast<std::size_t>(n), 0);
  std::vector<ClassShare> shares = class_shares(labels, false, budget);
  return shares.empty() ? ClassShare{} : std::move(shares.front());
}

std::vector<std::int64_t> shuffled(const std::vector<std::int64_t>& texts, std::uint64_t seed,
                                   std::uint64_t part) {
  std::vector<std::int64_t> out =
      permutation(static_cast<std::int64_t>(texts.size()), RandomStream(seed, "selection"), part);
  for (std::int64_t& place : out) place = texts[static_cast<std::size_t>(place)];
  return out;
}

}  // namespace

SelectionMethod parse_selection_method(std::string_view name) {
  return parse_in(kMethods, "selection method", name);
}

std::vector<std::int64_t> class_quota(std::span<const std::int64_t> sizes, std::int64_t amount) {
  const std::int64_t total = std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0});
  if (amount < 0 || amount > total) {
    throw std::invalid_argument(
        fmt::format("[selection] {} texts are to be kept of {}", amount, total));
  }
  // The level that all classes can be filled to, then one more each for the first that have one.
  const auto total_at = [&](std::int64_t level) {
    std::int64_t sum = 0;
    for (const std::int64_t size : sizes) sum += std::min(size, level);
    return sum;
  };
  std::int64_t low = 0, high = amount;
  while (low < high) {
    const std::int64_t middle = low + (high - low + 1) / 2;
    if (total_at(middle) <= amount) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  std::int64_t left = amount - total_at(low);
  std::vector<std::int64_t> quota(sizes.size(), 0);
  for (std::size_t c = 0; c < sizes.size(); ++c) {
    quota[c] = std::min(sizes[c], low);
    if (left > 0 && sizes[c] > low) {
      ++quota[c];
      --left;
    }
  }
  return quota;
}

std::vector<ClassShare> class_shares(std::span<const std::int32_t> labels, bool by_class,
                                     const Budget& budget) {
  if (!budget.text_bytes.empty() && budget.text_bytes.size() != labels.size()) {
    throw std::invalid_argument(
        fmt::format("[selection] {} texts have {} sizes", labels.size(), budget.text_bytes.size()));
  }
  std::map<std::int32_t, ClassShare> classes;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    classes[by_class ? labels[i] : 0].texts.push_back(static_cast<std::int64_t>(i));
  }
  std::vector<ClassShare> shares;
  std::vector<std::int64_t> sizes;
  for (auto& [label, share] : classes) {
    sizes.push_back(total_cost(share.texts, budget));
    shares.push_back(std::move(share));
  }
  std::int64_t amount = budget.amount;
  if (!budget.text_bytes.empty()) {
    amount = std::min(amount, std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0}));
  }
  const std::vector<std::int64_t> quota = class_quota(sizes, amount);
  for (std::size_t c = 0; c < shares.size(); ++c) shares[c].amount = quota[c];
  return shares;
}

namespace {

// The texts of a class by falling similarity; equal ones by index.
std::vector<std::int64_t> by_similarity(std::vector<std::int64_t> texts,
                                        const std::vector<double>& scores) {
  std::stable_sort(texts.begin(), texts.end(), [&](std::int64_t a, std::int64_t b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  return texts;
}

struct Choice {
  std::int64_t text = 0;
  std::string nearest;  // of the reason; empty when repetition does not matter
};

std::vector<Choice> diverse(std::vector<std::int64_t> pool, const ClassShare& share,
                            const WordRows& texts, const Tfidf& tfidf,
                            const std::vector<double>& scores, const Budget& budget,
                            double diversity) {
  std::sort(pool.begin(), pool.end());
  SparseRows rows;
  std::vector<double> pool_scores;
  std::vector<std::int64_t> costs;
  for (const std::int64_t text : pool) {
    tfidf.append_row(texts[text], rows);
    pool_scores.push_back(scores[static_cast<std::size_t>(text)]);
    costs.push_back(budget.cost(text));
  }
  std::vector<Choice> out;
  for (const MarginalChoice& choice :
       marginal_relevance(rows, tfidf.terms(), pool_scores, costs, diversity, share.amount)) {
    out.push_back({pool[static_cast<std::size_t>(choice.candidate)],
                   fmt::format(", {:.4f} to the nearest kept before", choice.nearest)});
  }
  return out;
}

std::vector<Selected> choose_within(const ClassShare& share, const WordRows& texts,
                                    const Tfidf& tfidf, const std::vector<double>& scores,
                                    const Budget& budget, const TfidfSelection& options) {
  const std::vector<std::int64_t> ranked = by_similarity(share.texts, scores);
  std::vector<Choice> choices;
  if (options.diversity > 0) {
    choices = diverse(that_fit(ranked, 4 * share.amount, budget), share, texts, tfidf, scores,
                      budget, options.diversity);
  } else {
    for (const std::int64_t text : that_fit(ranked, share.amount, budget)) {
      choices.push_back({text, ""});
    }
  }
  std::vector<Selected> selected;
  for (const Choice& choice : choices) {
    const double score = scores[static_cast<std::size_t>(choice.text)];
    selected.push_back({choice.text, score,
                        fmt::format("similarity {:.4f} to the new task{}; {} of {}{}", score,
                                    choice.nearest, selected.size() + 1, choices.size(),
                                    options.quota_by_class ? " of its class" : "")});
  }
  return selected;
}

}  // namespace

std::vector<Selected> select_tfidf(const WordRows& old_texts,
                                   std::span<const std::int32_t> old_labels,
                                   const WordRows& new_texts, const Budget& budget,
                                   const TfidfSelection& options) {
  if (static_cast<std::int64_t>(old_labels.size()) != old_texts.size()) {
    throw std::invalid_argument(
        fmt::format("[selection] {} texts have {} labels", old_texts.size(), old_labels.size()));
  }
  if (!(options.diversity >= 0 && options.diversity <= 1)) {
    throw std::invalid_argument(
        fmt::format("[selection] diversity is {}, it must be between 0 and 1", options.diversity));
  }
  const std::vector<ClassShare> shares = class_shares(old_labels, options.quota_by_class, budget);
  const Tfidf tfidf(old_texts, new_texts);
  const std::vector<double> scores = tfidf.scores(old_texts, new_texts);
  std::vector<std::vector<Selected>> chosen(shares.size());
  parallel_for(
      static_cast<std::int64_t>(shares.size()), 1, [&](std::int64_t begin, std::int64_t end) {
        for (auto c = static_cast<std::size_t>(begin); c < static_cast<std::size_t>(end); ++c) {
          chosen[c] = choose_within(shares[c], old_texts, tfidf, scores, budget, options);
        }
      });
  std::vector<Selected> selected;
  for (std::vector<Selected>& of_class : chosen) {
    std::move(of_class.begin(), of_class.end(), std::back_inserter(selected));
  }
  return selected;
}

std::vector<Selected> select_random(std::int64_t n, const Budget& budget, std::uint64_t seed) {
  const ClassShare all = whole(n, budget);
  std::vector<Selected> selected;
  for (const std::int64_t text : that_fit(shuffled(all.texts, seed, 0), all.amount, budget)) {
    selected.push_back({text, 0, "drawn at random"});
  }
  return in_order(std::move(selected));
}

std::vector<Selected> select_balanced(std::span<const std::int32_t> labels, const Budget& budget,
                                      std::uint64_t seed) {
  const std::vector<ClassShare> shares = class_shares(labels, true, budget);
  std::vector<Selected> selected;
  for (std::size_t c = 0; c < shares.size(); ++c) {
    const std::vector<std::int64_t> kept =
        that_fit(shuffled(shares[c].texts, seed, c), shares[c].amount, budget);
    for (std::size_t i = 0; i < kept.size(); ++i) {
      selected.push_back(
          {kept[i], 0, fmt::format("drawn at random; {} of {} of its class", i + 1, kept.size())});
    }
  }
  return in_order(std::move(selected));
}

std::vector<Selected> select_reservoir(std::int64_t n, const Budget& budget, std::uint64_t seed) {
  const ClassShare all = whole(n, budget);
  if (n == 0) return {};
  const std::int64_t total = total_cost(all.texts, budget);
  const auto slots_wanted = static_cast<std::int64_t>(
      static_cast<double>(all.amount) / static_cast<double>(total) * static_cast<double>(n));
  const std::int64_t slots =
      budget.text_bytes.empty() ? budget.amount : std::clamp<std::int64_t>(slots_wanted, 1, n);
  const RandomStream stream(seed, "selection.reservoir");
  std::vector<std::int64_t> reservoir;
  for (std::int64_t i = 1; i <= n; ++i) {
    if (i <= slots) {
      reservoir.push_back(i - 1);
      continue;
    }
    const std::uint64_t slot =
        stream.below(static_cast<std::uint64_t>(i), 0, static_cast<std::uint64_t>(i));
    if (slot < reservoir.size()) reservoir[slot] = i - 1;
  }
  std::vector<Selected> selected;
  for (const std::int64_t text : that_fit(reservoir, all.amount, budget)) {
    selected.push_back({text, 0, fmt::format("in a reservoir of {} slots", slots)});
  }
  return in_order(std::move(selected));
}

std::vector<Selected> select_texts(std::span<const std::int32_t> labels, const Budget& budget,
                                   const SelectionOptions& options,
                                   const SelectionSources& sources) {
  const auto n = static_cast<std::int64_t>(labels.size());
  switch (options.method) {
    case SelectionMethod::random:
      return select_random(n, budget, options.seed);
    case SelectionMethod::balanced:
      return select_balanced(labels, budget, options.seed);
    case SelectionMethod::reservoir:
      return select_reservoir(n, budget, options.seed);
    case SelectionMethod::herding:
      if (!sources.features) throw std::invalid_argument("[selection] herding needs features");
      return select_herding(sources.features(), labels, budget, options.quota_by_class);
    case SelectionMethod::tfidf:
      break;
  }
  if (!sources.words) throw std::invalid_argument("[selection] tfidf needs the texts' words");
  const auto [old_words, new_words] = sources.words();
  return select_tfidf(old_words, labels, new_words, budget,
                      {options.quota_by_class, options.diversity});
}

}  // namespace holdfast
