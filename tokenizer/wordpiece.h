// WordPiece: a word as the longest vocabulary entries from left to right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/trie.h"

namespace holdfast {

class WordPiece {
 public:
  static constexpr std::string_view kPrefix = "##";

  struct Piece {
    std::int32_t id;
    std::size_t begin;  // bytes of the word
    std::size_t end;
  };

  /// Of equal tokens the last one counts; those with `is_outside` are none.
  WordPiece(const std::vector<std::string>& tokens, const std::vector<bool>& is_outside,
            std::int32_t unk_id, int max_chars_per_word);

  /// Appends the pieces of `word` (UTF-8, not empty): the longest token that it begins with, then
  /// again and again the longest "##" token; one unknown token if that fails or the word has too
  /// many characters.
  void tokenize(std::string_view word, std::vector<Piece>& out) const;

  /// Whether a word has more than `max_chars` characters: it becomes one unknown token.
  static bool is_too_long(std::string_view word, std::size_t max_chars);

  /// -1 if absent.
  std::int32_t id(std::string_view token) const { return trie_.find(token); }

 private:
  Trie trie_;
  std::int32_t continuation_;  // the node behind "##"
  std::int32_t unk_id_;
  std::size_t max_chars_;
};

}  // namespace holdfast
