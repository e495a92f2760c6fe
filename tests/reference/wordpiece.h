// WordPiece as models/wordpiece/mod.rs of Hugging Face's tokenizers writes it: try every end from
// the longest on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace holdfast::reference {

using Piece = std::tuple<std::int32_t, std::size_t, std::size_t>;  // id and the bytes of the word

inline std::vector<Piece> wordpiece(const std::map<std::string, std::int32_t>& vocabulary,
                                    std::string_view word, std::int32_t unk_id) {
  std::vector<Piece> out;
  for (std::size_t begin = 0; begin < word.size();) {
    std::size_t end = word.size();
    for (; end > begin; --end) {
      const std::string piece(word.substr(begin, end - begin));
      const auto found = vocabulary.find(begin > 0 ? "##" + piece : piece);
      if (found != vocabulary.end()) {
        out.emplace_back(found->second, begin, end);
        break;
      }
    }
    if (end == begin) {
      return {{unk_id, 0, word.size()}};
    }
    begin = end;
  }
  return out;
}

}  // namespace holdfast::reference
