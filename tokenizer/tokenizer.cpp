#include "tokenizer/tokenizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "base/utf8.h"

namespace holdfast {
namespace {

void check_text(std::string_view text) {
  if (text.size() >= std::numeric_limits<std::uint32_t>::max()) {
    throw std::invalid_argument("[tokenizer] the text has 4 GiB or more");
  }
  const std::size_t bad = utf8::first_invalid(text);
  if (bad != std::string_view::npos) {
    throw std::invalid_argument(fmt::format("[tokenizer] the text is not UTF-8 at byte {}", bad));
  }
}

// The room for the texts of `max_length` tokens of which `special` are special; -1 without a limit.
std::int64_t room(std::int64_t max_length, std::int64_t special) {
  if (max_length == 0) {
    return -1;
  }
  if (max_length < special) {
    throw std::invalid_argument(fmt::format(
        "[tokenizer] max_length is {}, but the special tokens alone are {}", max_length, special));
  }
  return max_length - special;
}

// How many tokens of each text remain; the peer's truncate_encodings in utils/truncation.rs.
std::pair<std::int64_t, std::int64_t> longest_first(std::int64_t a, std::int64_t b,
                                                    std::int64_t limit) {
  if (limit < 0 || a + b <= limit) {
    return {a, b};
  }
  const std::int64_t shorter = std::min(a, b);
  std::int64_t kept_shorter = shorter;
  std::int64_t kept_longer = limit - shorter;
  if (kept_longer < shorter) {
    kept_shorter = limit / 2;
    kept_longer = limit - kept_shorter;
  }
  return a <= b ? std::pair{kept_shorter, kept_longer} : std::pair{kept_longer, kept_shorter};
}

// The id of an added token, as all special ones are; -1 if absent.
std::int32_t added_id(const Vocabulary& vocabulary, std::string_view content) {
  const auto found =
      std::find_if(vocabulary.added.begin(), vocabulary.added.end(),
                   [&](const AddedToken& token) { return token.content == content; });
  return found != vocabulary.added.end() ? found->id : -1;
}

std::vector<AddedToken> raw_tokens(const Vocabulary& vocabulary) {
  std::vector<AddedToken> out;
  std::copy_if(vocabulary.added.begin(), vocabulary.added.end(), std::back_inserter(out),
               [](const AddedToken& token) { return !token.normalized; });
  return out;
}

std::vector<AddedToken> normalized_tokens(const Vocabulary& vocabulary,
                                          const Normalizer& normalizer) {
  std::vector<AddedToken> out;
  for (AddedToken token : vocabulary.added) {
    if (token.normalized) {
      token.content = normalizer.normalize(token.content).text;
      if (!token.content.empty()) {
        out.push_back(std::move(token));
      }
    }
  }
  return out;
}

}  // namespace

// The tokens of one text, without the special ones that every text gets.
struct Tokenizer::Tokens {
  std::int64_t limit;  // as many are enough; -1: all are wanted
  std::vector<std::int32_t> ids;
  std::vector<std::pair<std::int64_t, std::int64_t>> offsets;
  std::vector<WordPiece::Piece> pieces;  // of the current word

  std::int64_t size() const { return static_cast<std::int64_t>(ids.size()); }
  bool full() const { return limit >= 0 && size() >= limit; }
  void add(std::int32_t id, std::size_t begin, std::size_t end) {
    ids.push_back(id);
    offsets.emplace_back(static_cast<std::int64_t>(begin), static_cast<std::int64_t>(end));
  }
};

Tokenizer::Tokenizer(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)),
      pad_id_(added_id(vocabulary_, vocabulary_.special.pad)),
      unk_id_(added_id(vocabulary_, vocabulary_.special.unk)),
      cls_id_(added_id(vocabulary_, vocabulary_.special.cls)),
      sep_id_(added_id(vocabulary_, vocabulary_.special.sep)),
      mask_id_(added_id(vocabulary_, vocabulary_.special.mask)),
      normalizer_(vocabulary_.options),
      wordpiece_(vocabulary_.tokens, vocabulary_.is_outside, unk_id_,
                 vocabulary_.options.max_chars_per_word),
      raw_matcher_(raw_tokens(vocabulary_)),
      normalized_matcher_(normalized_tokens(vocabulary_, normalizer_)) {}

Tokenizer Tokenizer::load(const std::filesystem::path& dir, std::vector<std::string>* notices) {
  if (!std::filesystem::is_directory(dir)) {
    throw std::runtime_error(utf8::printable(dir.string()) +
                             ": there is no such folder; a model is a folder with config.json, "
                             "model.safetensors, and vocab.txt or tokenizer.json");
  }
  std::vector<std::string> unheard;
  return Tokenizer(load_vocabulary(dir, notices != nullptr ? *notices : unheard));
}

Tokenizer Tokenizer::from_vocab(std::vector<std::string> vocab, TokenizerOptions options) {
  return Tokenizer(make_vocabulary(std::move(vocab), options, "[tokenizer] the vocabulary"));
}

Encoding Tokenizer::encode(std::string_view text, std::int64_t max_length) const {
  const Tokens tokens = tokenize(text, room(max_length, 2));
  Encoding out;
  append_special(cls_id_, 0, out);
  append(tokens, longest_first(tokens.size(), 0, tokens.limit).first, 0, out);
  append_special(sep_id_, 0, out);
  return out;
}

Encoding Tokenizer::encode(std::string_view text, std::string_view pair,
                           std::int64_t max_length) const {
  const std::int64_t limit = room(max_length, 3);
  const Tokens first = tokenize(text, -1);  // all, as the longer one is to be known
  const Tokens second = tokenize(pair, -1);
  const auto [first_size, second_size] = longest_first(first.size(), second.size(), limit);
  Encoding out;
  append_special(cls_id_, 0, out);
  append(first, first_size, 0, out);
  append_special(sep_id_, 0, out);
  append(second, second_size, 1, out);
  append_special(sep_id_, 1, out);
  return out;
}

std::vector<std::string> Tokenizer::words(std::string_view text) const {
  check_text(text);
  const NormalizedText normalized = normalizer_.normalize(text);
  std::vector<std::string> out;
  std::size_t at = 0;
  for (std::string_view word; !(word = next_word(normalized.text, at)).empty();) {
    out.emplace_back(word);
  }
  return out;
}

const std::string& Tokenizer::token(std::int32_t id) const {
  if (id < 0 || id >= size()) {
    throw std::invalid_argument(
        fmt::format("[tokenizer] there is no token {}; ids go from 0 to {}", id, size() - 1));
  }
  return vocabulary_.tokens[static_cast<std::size_t>(id)];
}

std::int32_t Tokenizer::id(std::string_view token) const {
  const std::int32_t found = wordpiece_.id(token);
  return found >= 0 ? found : added_id(vocabulary_, token);
}

void Tokenizer::save(const std::filesystem::path& dir, std::int64_t max_length) const {
  save_vocabulary(vocabulary_, dir, max_length);
}

Tokenizer::Tokens Tokenizer::tokenize(std::string_view text, std::int64_t limit) const {
  check_text(text);
  Tokens out{limit, {}, {}, {}};
  out.ids.reserve(text.size() / 4 + 1);
  out.offsets.reserve(text.size() / 4 + 1);
  for (const AddedTokenMatcher::Piece& piece : raw_matcher_.split(text)) {
    if (piece.id >= 0) {
      out.add(piece.id, piece.begin, piece.end);
      continue;
    }
    const NormalizedText normalized = normalizer_.normalize(
        text.substr(piece.begin, piece.end - piece.begin), static_cast<std::uint32_t>(piece.begin));
    for (const AddedTokenMatcher::Piece& part : normalized_matcher_.split(normalized.text)) {
      if (part.id >= 0) {
        out.add(part.id, normalized.spans[part.begin].begin, normalized.spans[part.end - 1].end);
      } else {
        tokenize_words(normalized, part.begin, part.end, out);
      }
    }
    if (out.full()) {
      break;
    }
  }
  return out;
}

void Tokenizer::tokenize_words(const NormalizedText& normalized, std::size_t begin, std::size_t end,
                               Tokens& out) const {
  const std::string_view text = std::string_view(normalized.text).substr(0, end);
  std::size_t at = begin;
  for (std::string_view word; !out.full() && !(word = next_word(text, at)).empty();) {
    out.pieces.clear();
    wordpiece_.tokenize(word, out.pieces);
    const auto start = static_cast<std::size_t>(word.data() - text.data());
    for (const WordPiece::Piece& piece : out.pieces) {
      out.add(piece.id, normalized.spans[start + piece.begin].begin,
              normalized.spans[start + piece.end - 1].end);
    }
  }
}

void Tokenizer::append(const Tokens& tokens, std::int64_t size, std::int32_t type_id,
                       Encoding& out) {
  out.ids.insert(out.ids.end(), tokens.ids.begin(), tokens.ids.begin() + size);
  out.offsets.insert(out.offsets.end(), tokens.offsets.begin(), tokens.offsets.begin() + size);
  out.type_ids.resize(out.ids.size(), type_id);
}

void Tokenizer::append_special(std::int32_t id, std::int32_t type_id, Encoding& out) {
  out.ids.push_back(id);
  out.type_ids.push_back(type_id);
  out.offsets.emplace_back(0, 0);
}

}  // namespace holdfast
