#include "tokenizer/wordpiece.h"

#include <utility>

namespace holdfast {
namespace {

Trie::Entries entries(const std::vector<std::string>& tokens, const std::vector<bool>& is_outside) {
  Trie::Entries out;
  out.reserve(tokens.size());
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (!is_outside[i]) {
      out.emplace_back(tokens[i], static_cast<std::int32_t>(i));
    }
  }
  return out;
}

}  // namespace

WordPiece::WordPiece(const std::vector<std::string>& tokens, const std::vector<bool>& is_outside,
                     std::int32_t unk_id, int max_chars_per_word)
    : trie_(entries(tokens, is_outside)),
      continuation_(trie_.walk(kPrefix)),
      unk_id_(unk_id),
      max_chars_(static_cast<std::size_t>(max_chars_per_word)) {}

void WordPiece::tokenize(std::string_view word, std::vector<Piece>& out) const {
  const std::size_t before = out.size();
  if (!is_too_long(word, max_chars_)) {
    std::int32_t start = Trie::kRoot;
    std::size_t at = 0;
    while (at < word.size() && start != Trie::kNone) {
      const Trie::Match match = trie_.longest(word, at, start);
      if (match.value == Trie::kNone) {
        break;
      }
      out.push_back({match.value, at, match.end});
      at = match.end;
      start = continuation_;
    }
    if (at == word.size()) {
      return;
    }
  }
  out.erase(out.begin() + static_cast<std::ptrdiff_t>(before), out.end());
  out.push_back({unk_id_, 0, word.size()});
}

bool WordPiece::is_too_long(std::string_view word, std::size_t max_chars) {
  if (word.size() <= max_chars) {
    return false;
  }
  std::size_t chars = 0;
  for (const char byte : word) {
    chars += (static_cast<unsigned char>(byte) & 0xC0U) != 0x80 ? 1 : 0;
  }
  return chars > max_chars;
}

}  // namespace holdfast
