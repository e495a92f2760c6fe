// Tokens that are found in the text itself, before it is split into words: [MASK] and others that a
// tokenizer.json lists.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/trie.h"

namespace holdfast {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool lstrip = false;      // takes the white space before it
  bool rstrip = false;      // takes the white space behind it
  bool normalized = false;  // looked for in the normalised text, in its normalised form
  bool special = true;

  bool operator==(const AddedToken&) const = default;
};

class AddedTokenMatcher {
 public:
  struct Piece {
    std::size_t begin;
    std::size_t end;
    std::int32_t id;  // -1 for what lies between added tokens
  };

  /// Each token is looked for as `content`.
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens = {});

  /// Cuts text into pieces that cover it: the added tokens, found from left to right, the longest
  /// where several begin, and what lies between. None for an empty text.
  std::vector<Piece> split(std::string_view text) const;

  bool empty() const { return tokens_.empty(); }

 private:
  std::vector<AddedToken> tokens_;
  Trie trie_;  // values are indices in tokens_
  std::array<bool, 256> is_first_byte_{};
};

}  // namespace holdfast
