#include "tokenizer/added_tokens.h"

#include <algorithm>

#include "base/utf8.h"
#include "tokenizer/unicode.h"

namespace holdfast {
namespace {

Trie::Entries entries(const std::vector<AddedToken>& tokens) {
  Trie::Entries out;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    out.emplace_back(tokens[i].content, static_cast<std::int32_t>(i));
  }
  return out;
}

// Where the white space that ends at `end` begins, not before `floor`.
std::size_t space_begin(std::string_view text, std::size_t floor, std::size_t end) {
  while (end > floor) {
    std::size_t begin = end - 1;
    while (begin > floor && (static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80) {
      --begin;
    }
    std::size_t at = begin;
    if (!unicode::is_space(utf8::decode(text, at))) {
      break;
    }
    end = begin;
  }
  return end;
}

std::size_t space_end(std::string_view text, std::size_t begin) {
  for (std::size_t at = begin; at < text.size(); begin = at) {
    if (!unicode::is_space(utf8::decode(text, at))) {
      break;
    }
  }
  return begin;
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), trie_(entries(tokens_)) {
  for (const AddedToken& token : tokens_) {
    is_first_byte_[static_cast<unsigned char>(token.content[0])] = true;
  }
}

std::vector<AddedTokenMatcher::Piece> AddedTokenMatcher::split(std::string_view text) const {
  std::vector<Piece> out;
  std::size_t done = 0;  // the pieces so far cover [0, done)
  for (std::size_t at = 0; at < text.size();) {
    const bool possible = is_first_byte_[static_cast<unsigned char>(text[at])];
    const Trie::Match match = possible ? trie_.longest(text, at) : Trie::Match{};
    if (match.value == Trie::kNone) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(match.value)];
    const std::size_t begin = token.lstrip ? space_begin(text, done, at) : at;
    const std::size_t end = token.rstrip ? space_end(text, match.end) : match.end;
    if (done < begin) {
      out.push_back({done, begin, -1});
    }
    out.push_back({begin, end, token.id});
    done = end;
    at = end;
  }
  if (done < text.size()) {
    out.push_back({done, text.size(), -1});
  }
  return out;
}

}  // namespace holdfast
