#include "train/augment.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/csv.h"
#include "base/utf8.h"
#include "tensor/random.h"
#include "tokenizer/unicode.h"
#include "train/table_file.h"

namespace holdfast {
namespace {

enum class CharacterKind { gap, letter, ideograph };  // gap: white space or punctuation

CharacterKind kind_of(char32_t c) {
  if (unicode::is_space(c) || unicode::category(c) == unicode::Category::punctuation) {
    return CharacterKind::gap;
  }
  return unicode::is_chinese(c) ? CharacterKind::ideograph : CharacterKind::letter;
}

// gaps[0] words[0] gaps[1] ... words[n-1] gaps[n]
struct Words {
  std::vector<std::string> words, gaps;
};

Words split(std::string_view text) {
  Words out;
  std::size_t behind = 0;  // the end of the last word
  const auto word = [&](std::size_t begin, std::size_t end) {
    out.gaps.emplace_back(text.substr(behind, begin - behind));
    out.words.emplace_back(text.substr(begin, end - begin));
    behind = end;
  };
  std::size_t begin = 0;  // of the word that is being read
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t before = at;
    const CharacterKind kind = kind_of(utf8::decode(text, at));
    if (kind == CharacterKind::letter) continue;
    if (before > begin) word(begin, before);
    if (kind == CharacterKind::ideograph) word(before, at);
    begin = at;
  }
  if (text.size() > begin) word(begin, text.size());
  out.gaps.emplace_back(text.substr(behind));
  return out;
}

bool ends_in_ideograph(std::string_view word) {
  std::size_t last = word.size() - 1;
  while (last > 0 && (static_cast<unsigned char>(word[last]) & 0xC0U) == 0x80U) --last;
  return kind_of(utf8::decode(word, last)) == CharacterKind::ideograph;
}

bool begins_with_ideograph(std::string_view word) {
  std::size_t at = 0;
  return kind_of(utf8::decode(word, at)) == CharacterKind::ideograph;
}

std::string join(const Words& all) {
  std::string text = all.gaps.front();
  for (std::size_t i = 0; i < all.words.size(); ++i) {
    if (i > 0 && all.gaps[i].empty() && !ends_in_ideograph(all.words[i - 1]) &&
        !begins_with_ideograph(all.words[i])) {
      text += ' ';
    }
    text += all.words[i];
    text += all.gaps[i + 1];
  }
  return text;
}

// What is left between two words when the one between these gaps has gone.
std::string merged_gap(const std::string& left, std::string_view right) {
  const bool spaced = left.empty() || left.back() == ' ';
  if (spaced && right.starts_with(' ')) right.remove_prefix(1);
  return left + std::string(right);
}

std::string lower(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    utf8::append(out, unicode::lower(utf8::decode(text, at)));
  }
  return out;
}

// The changes to one text, and where their random numbers come from.
class Change {
 public:
  Change(Words words, const Synonyms& synonyms, const RandomStream& stream, std::uint64_t place,
         std::uint64_t epoch)
      : all_(std::move(words)),
        synonyms_(synonyms),
        stream_(stream),
        place_(place),
        epoch_(epoch) {}

  void replace(double probability) {
    for (std::size_t i = 0; i < all_.words.size(); ++i) {
      const auto [count, synonyms] = longest_phrase(i);
      if (synonyms.empty() || !happens(kReplace, i, probability)) continue;
      all_.words[i] = synonyms[below(synonyms.size(), kWhichSynonym, i)];
      const auto at = static_cast<std::ptrdiff_t>(i) + 1;
      const auto extra = static_cast<std::ptrdiff_t>(count) - 1;
      all_.words.erase(all_.words.begin() + at, all_.words.begin() + at + extra);
      all_.gaps.erase(all_.gaps.begin() + at, all_.gaps.begin() + at + extra);
      changed_ = true;
    }
  }

  void remove(double probability) {
    std::vector<bool> gone(all_.words.size());
    for (std::size_t i = 0; i < gone.size(); ++i) gone[i] = happens(kRemove, i, probability);
    if (std::find(gone.begin(), gone.end(), false) == gone.end()) {
      gone[below(gone.size(), kWhichStays, 0)] = false;
    }
    Words kept{{}, {all_.gaps.front()}};
    for (std::size_t i = 0; i < gone.size(); ++i) {
      if (gone[i]) {
        kept.gaps.back() = merged_gap(kept.gaps.back(), all_.gaps[i + 1]);
        changed_ = true;
      } else {
        kept.words.push_back(std::move(all_.words[i]));
        kept.gaps.push_back(std::move(all_.gaps[i + 1]));
      }
    }
    all_ = std::move(kept);
  }

  void swap(double probability) {
    for (std::size_t i = 0; i + 1 < all_.words.size(); ++i) {
      if (!happens(kSwap, i, probability)) continue;
      std::swap(all_.words[i], all_.words[i + 1]);
      changed_ = true;
    }
  }

  void insert(double probability) {
    Words longer{{}, {all_.gaps.front()}};
    for (std::size_t i = 0; i < all_.words.size(); ++i) {
      longer.words.push_back(all_.words[i]);
      if (happens(kInsert, i, probability)) {
        const std::string& word = all_.words[below(all_.words.size(), kWhichWord, i)];
        const std::span<const std::string> synonyms = synonyms_.of(word);
        longer.gaps.emplace_back();
        longer.words.push_back(
            synonyms.empty() ? word : synonyms[below(synonyms.size(), kWhichInserted, i)]);
        changed_ = true;
      }
      longer.gaps.push_back(all_.gaps[i + 1]);
    }
    all_ = std::move(longer);
  }

  bool changed() const { return changed_; }
  std::string text() const { return join(all_); }

 private:
  enum Purpose : std::uint64_t {
    kReplace,
    kRemove,
    kSwap,
    kInsert,
    kWhichSynonym,
    kWhichStays,
    kWhichWord,
    kWhichInserted
  };

  std::uint64_t number(Purpose purpose, std::size_t word) const {
    return epoch_ << 32U | std::uint64_t{purpose} << 28U | (word & 0xFFFFFFFU);
  }
  bool happens(Purpose purpose, std::size_t word, double probability) const {
    return stream_.uniform(place_, number(purpose, word)) < probability;
  }
  std::size_t below(std::size_t n, Purpose purpose, std::size_t word) const {
    return stream_.below(n, place_, number(purpose, word));
  }

  // How many words from `first` on have synonyms together, and these.
  std::pair<std::size_t, std::span<const std::string>> longest_phrase(std::size_t first) const {
    std::string phrase;
    std::pair<std::size_t, std::span<const std::string>> found{1, {}};
    const std::size_t most = std::min(synonyms_.longest(), all_.words.size() - first);
    for (std::size_t count = 1; count <= most; ++count) {
      phrase += (count > 1 ? all_.gaps[first + count - 1] : "") + all_.words[first + count - 1];
      const std::span<const std::string> synonyms = synonyms_.of(phrase);
      if (!synonyms.empty()) found = {count, synonyms};
    }
    return found;
  }

  Words all_;
  const Synonyms& synonyms_;
  const RandomStream& stream_;
  std::uint64_t place_, epoch_;
  bool changed_ = false;
};

std::string_view trimmed(std::string_view field) {
  const std::size_t begin = field.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return field.substr(begin, field.find_last_not_of(" \t") + 1 - begin);
}

}  // namespace

Synonyms Synonyms::read(const std::filesystem::path& path) {
  const std::string where = utf8::printable(path.string());
  const TableFile file = read_table_file(path, false);
  if (file.format == TableFormat::json_lines) {
    throw std::runtime_error(where + ": synonyms are read from .csv or .tsv");
  }
  Synonyms out;
  const auto add = [&](std::int64_t line, const std::vector<std::string>& fields) {
    const auto fail = [&](const std::string& what) {
      throw std::runtime_error(fmt::format("{}:{}: {}", where, line, what));
    };
    std::vector<std::string> words;
    for (const std::string& field : fields) words.emplace_back(trimmed(field));
    if (words.size() < 2) fail("a word and at least one synonym are wanted: word,synonym");
    if (std::find(words.begin(), words.end(), "") != words.end()) fail("a field is empty");
    const std::size_t length = split(words.front()).words.size();
    if (length == 0) fail("the first field has no word in it");
    out.longest_ = std::max(out.longest_, length);
    const std::string phrase = lower(words.front());
    words.erase(words.begin());
    if (!out.by_phrase_.emplace(phrase, std::move(words)).second) {
      fail(fmt::format("\"{}\" has a line already", utf8::printable(phrase)));
    }
  };
  const auto parse = file.format == TableFormat::csv ? parse_csv : parse_tsv;
  parse(file.text, where, add, {.same_width = false});
  return out;
}

std::span<const std::string> Synonyms::of(std::string_view phrase) const {
  if (by_phrase_.empty()) return {};
  const auto found = by_phrase_.find(lower(phrase));
  return found != by_phrase_.end() ? std::span<const std::string>(found->second)
                                   : std::span<const std::string>();
}

Augmenter::Augmenter(const AugmentOptions& options, Synonyms synonyms, std::uint64_t seed)
    : options_(options), synonyms_(std::move(synonyms)), seed_(seed) {
  for (const auto& [name, p] : {std::pair{"replace", options.replace},
                                {"remove", options.remove},
                                {"swap", options.swap},
                                {"insert", options.insert}}) {
    if (!(p >= 0 && p <= 1)) {
      throw std::invalid_argument(
          fmt::format("[augment] {} is {}, it must be between 0 and 1", name, p));
    }
  }
}

bool Augmenter::active() const {
  return (options_.replace > 0 && synonyms_.longest() > 0) || options_.remove > 0 ||
         options_.swap > 0 || options_.insert > 0;
}

std::string Augmenter::operator()(std::string_view text, std::int32_t task, std::int64_t id,
                                  std::int64_t epoch) const {
  Words words = active() ? split(text) : Words{};
  if (words.words.empty()) return std::string(text);
  const RandomStream stream(seed_, "augment");
  const std::uint64_t place =
      static_cast<std::uint64_t>(task) << 48U | static_cast<std::uint64_t>(id);
  Change change(std::move(words), synonyms_, stream, place, static_cast<std::uint64_t>(epoch));
  if (options_.replace > 0) change.replace(options_.replace);
  if (options_.remove > 0) change.remove(options_.remove);
  if (options_.swap > 0) change.swap(options_.swap);
  if (options_.insert > 0) change.insert(options_.insert);
  return change.changed() ? change.text() : std::string(text);
}

}  // namespace holdfast
