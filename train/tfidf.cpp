#include "train/tfidf.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "base/elementary.h"
#include "base/parallel.h"

namespace holdfast {
namespace {

constexpr std::int64_t kBlockTexts = 4096;
constexpr std::int64_t kGrain = 256;                                  // texts a parallel chunk
constexpr std::size_t kTextsAtOnce = 2048, kBytesAtOnce = 4U << 20U;  // to split into words

}  // namespace

std::int32_t WordTable::id(std::string_view word) {
  if (2 * ends_.size() >= slots_.size()) grow();
  const std::uint64_t hash = std::hash<std::string_view>()(word);
  Slot& slot = slots_[slot_of(word, hash)];
  if (slot.id < 0) {
    slot = {static_cast<std::uint32_t>(hash >> 32U), size()};
    letters_ += word;
    ends_.push_back(letters_.size());
  }
  return slot.id;
}

std::int32_t WordTable::find(std::string_view word) const {
  return slots_.empty() ? -1 : slots_[slot_of(word, std::hash<std::string_view>()(word))].id;
}

std::size_t WordTable::slot_of(std::string_view word, std::uint64_t hash) const {
  const std::size_t mask = slots_.size() - 1;
  const auto tag = static_cast<std::uint32_t>(hash >> 32U);
  std::size_t at = hash & mask;
  while (slots_[at].id >= 0 && (slots_[at].tag != tag || this->word(slots_[at].id) != word)) {
    at = (at + 1) & mask;
  }
  return at;
}

std::string_view WordTable::word(std::int32_t id) const {
  const auto i = static_cast<std::size_t>(id);
  const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::string_view(letters_).substr(begin, ends_[i] - begin);
}

void WordTable::grow() {
  slots_.assign(std::max<std::size_t>(1024, 2 * slots_.size()), {});
  for (std::int32_t id = 0; id < size(); ++id) {
    const std::uint64_t hash = std::hash<std::string_view>()(word(id));
    slots_[slot_of(word(id), hash)] = {static_cast<std::uint32_t>(hash >> 32U), id};
  }
}

void WordRows::add(std::span<const std::int32_t> words) {
  if (size_ % kBlockTexts == 0) {
    if (!blocks_.empty()) blocks_.back().words.shrink_to_fit();
    blocks_.emplace_back().ends.reserve(kBlockTexts);
  }
  Block& block = blocks_.back();
  const auto begin = static_cast<std::ptrdiff_t>(block.words.size());
  block.words.insert(block.words.end(), words.begin(), words.end());
  std::sort(block.words.begin() + begin, block.words.end());
  block.ends.push_back(block.words.size());
  ++size_;
}

std::span<const std::int32_t> WordRows::operator[](std::int64_t text) const {
  const Block& block = blocks_[static_cast<std::size_t>(text / kBlockTexts)];
  const auto place = static_cast<std::size_t>(text % kBlockTexts);
  const std::size_t begin = place == 0 ? 0 : block.ends[place - 1];
  return std::span(block.words).subspan(begin, block.ends[place] - begin);
}

WordCounter::WordCounter(const Tokenizer& tokenizer, WordTable& table)
    : tokenizer_(tokenizer), table_(table) {}

void WordCounter::add(std::string_view text, std::string_view pair) {
  std::string& both = waiting_.emplace_back(text);
  if (!pair.empty()) both.append(" ").append(pair);
  waiting_bytes_ += both.size();
  if (waiting_.size() == kTextsAtOnce || waiting_bytes_ >= kBytesAtOnce) flush();
}

WordRows WordCounter::take() {
  flush();
  return std::exchange(rows_, {});
}

void WordCounter::flush() {
  struct Split {
    std::vector<std::int32_t> numbers;  // -1: not yet numbered
    std::vector<std::string> unknown;   // those, in order
  };
  std::vector<Split> texts(waiting_.size());
  parallel_for(
      static_cast<std::int64_t>(texts.size()), 32, [&](std::int64_t begin, std::int64_t end) {
        for (auto n = static_cast<std::size_t>(begin); n < static_cast<std::size_t>(end); ++n) {
          for (std::string& word : tokenizer_.words(waiting_[n])) {
            texts[n].numbers.push_back(table_.find(word));
            if (texts[n].numbers.back() < 0) texts[n].unknown.push_back(std::move(word));
          }
        }
      });
  for (Split& text : texts) {
    auto word = text.unknown.begin();
    for (std::int32_t& number : text.numbers) {
      if (number < 0) number = table_.id(*word++);
    }
    rows_.add(text.numbers);
  }
  waiting_.clear();
  waiting_bytes_ = 0;
}

namespace {

// Calls use(term, tf) for every different word of a sorted row.
template <class Use>
void for_each_term(std::span<const std::int32_t> words, const Use& use) {
  for (std::size_t begin = 0, end = 0; begin < words.size(); begin = end) {
    while (end < words.size() && words[end] == words[begin]) ++end;
    use(words[begin], static_cast<double>(end - begin));
  }
}

}  // namespace

Tfidf::Tfidf(const WordRows& old_texts, const WordRows& new_texts) {
  for (const WordRows* texts : {&old_texts, &new_texts}) {  // document frequencies first
    for (std::int64_t d = 0; d < texts->size(); ++d) {
      const std::span<const std::int32_t> words = (*texts)[d];
      if (words.empty()) continue;
      idf_.resize(std::max(idf_.size(), static_cast<std::size_t>(words.back()) + 1), 0);
      for_each_term(words, [&](std::int32_t t, double) { idf_[static_cast<std::size_t>(t)] += 1; });
    }
  }
  const auto n = static_cast<double>(old_texts.size() + new_texts.size());
  for (double& x : idf_) x = elementary::log((1 + n) / (1 + x)) + 1;
}

void Tfidf::append_row(std::span<const std::int32_t> words, SparseRows& rows) const {
  const std::size_t begin = rows.entries.size();
  double squares = 0;
  for_each_term(words, [&](std::int32_t t, double tf) {
    const double weight =
        (1 + (tf > 1 ? elementary::log(tf) : 0)) * idf_[static_cast<std::size_t>(t)];
    squares += weight * weight;
    rows.entries.push_back({t, weight});
  });
  const double norm = std::sqrt(squares);
  for (std::size_t i = begin; i < rows.entries.size(); ++i) rows.entries[i].weight /= norm;
  rows.begin.push_back(rows.entries.size());
}

std::vector<double> Tfidf::scores(const WordRows& texts, const WordRows& target) const {
  std::vector<double> sum(idf_.size(), 0);
  SparseRows row;
  for (std::int64_t d = 0; d < target.size(); ++d) {
    row = {};
    append_row(target[d], row);
    for (const TermWeight& t : row.entries) sum[static_cast<std::size_t>(t.term)] += t.weight;
  }
  double squares = 0;
  for (const double x : sum) squares += x * x;
  std::vector<double> scores(static_cast<std::size_t>(texts.size()), 0);
  if (squares == 0) return scores;
  const double norm = std::sqrt(squares);
  parallel_for(texts.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    SparseRows rows;
    for (std::int64_t d = begin; d < end; ++d) {
      rows.begin.resize(1);
      rows.entries.clear();
      append_row(texts[d], rows);
      double product = 0;
      for (const TermWeight& t : rows.entries) {
        product += t.weight * sum[static_cast<std::size_t>(t.term)];
      }
      scores[static_cast<std::size_t>(d)] = product / norm;
    }
  });
  return scores;
}

}  // namespace holdfast
