// What the tokenizer asks about a code point, answered as Hugging Face's tokenizers 0.23 does
// whatever the version of ICU. unicode.cpp is the only file that includes ICU. Tested by
// tests/tokenizer/code_points_test.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace holdfast::unicode {

enum class Category : std::uint8_t {
  none,
  control,      // Cc, Cf, Co; not Cn
  mark,         // Mn
  punctuation,  // P*, and the ASCII symbols
};

Category category(char32_t c);

/// White_Space, which Unicode has declared stable but for additions.
bool is_space(char32_t c);

/// The peer's ranges of CJK ideographs, one of which starts 0x100 later than Google's.
bool is_chinese(char32_t c);

int combining_class(char32_t c);

struct Decomposition {
  std::array<char32_t, 4> code_points{};  // 4 is the longest there is
  std::size_t size = 0;
};

/// The full canonical decomposition (NFD) of one code point; itself when it has none.
Decomposition decompose(char32_t c);

/// The simple lower-case form. Only U+0130 has a longer full one: "i" and U+0307.
char32_t lower(char32_t c);

}  // namespace holdfast::unicode
