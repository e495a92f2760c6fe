// UTF-8: strict validation, decoding and encoding (RFC 3629), and text made safe for a terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace holdfast::utf8 {

/// The byte offset of the first byte that is not valid UTF-8 (overlong forms, surrogates, values
/// above U+10FFFF and truncated sequences are invalid), or npos when all of `text` is valid.
std::size_t first_invalid(std::string_view text);

/// Decodes the code point that begins at `text[at]` and moves `at` past it. `text` must be valid.
char32_t decode(std::string_view text, std::size_t& at);

/// Appends the UTF-8 form of `code_point` to `out`. Throws std::invalid_argument unless it is a
/// Unicode scalar value.
void append(std::string& out, char32_t code_point);

/// `text` with each maximal invalid sequence replaced by U+FFFD (Unicode 15, section 3.9, "maximal
/// subpart").
std::string replace_invalid(std::string_view text);

/// `text` safe for a terminal and for one line: C0, C1, DEL and bidirectional controls written
/// visibly (ESC as \e, other ASCII as \xNN, the rest as \u{NNNN}), and each byte that is not UTF-8
/// as \xNN.
std::string printable(std::string_view text);

}  // namespace holdfast::utf8
