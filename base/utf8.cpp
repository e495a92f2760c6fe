#include "base/utf8.h"

#include <cstdint>
#include <stdexcept>

namespace holdfast::utf8 {
namespace {

struct Sequence {
  std::size_t length;  // bytes of the valid sequence, or of the maximal subpart of an ill-formed
                       // one (at least 1)
  bool valid;
};

// The ranges of Unicode's table 3-7: the second byte's range depends on the first, later ones
// are 80..BF.
Sequence sequence_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(at);
  if (first < 0x80) {
    return {1, true};
  }
  std::size_t length = 0;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    low = first == 0xE0 ? 0xA0 : low;    // overlong
    high = first == 0xED ? 0x9F : high;  // surrogates
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    low = first == 0xF0 ? 0x90 : low;    // overlong
    high = first == 0xF4 ? 0x8F : high;  // above U+10FFFF
  } else {
    return {1, false};
  }
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i >= text.size() || byte(at + i) < low || byte(at + i) > high) {
      return {i, false};
    }
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

bool is_bidi_control(char32_t c) {
  return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

std::string hex(std::uint32_t value, int digits) {
  std::string out(static_cast<std::size_t>(digits), '0');
  for (auto digit = out.rbegin(); digit != out.rend(); ++digit, value >>= 4U) {
    *digit = "0123456789ABCDEF"[value & 0xFU];
  }
  return out;
}

}  // namespace

std::size_t first_invalid(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const Sequence sequence = sequence_at(text, at);
    if (!sequence.valid) {
      return at;
    }
    at += sequence.length;
  }
  return std::string_view::npos;
}

char32_t decode(std::string_view text, std::size_t& at) {
  const std::size_t length = sequence_at(text, at).length;
  const auto byte = [&](std::size_t i) -> char32_t { return static_cast<unsigned char>(text[i]); };
  // A lead byte of an n-byte sequence carries 7 - n bits (7 when n is 1).
  char32_t code_point = length == 1 ? byte(at) : byte(at) & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    code_point = (code_point << 6U) | (byte(at + i) & 0x3FU);
  }
  at += length;
  return code_point;
}

void append(std::string& out, char32_t code_point) {
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) {
    throw std::invalid_argument("[utf8] U+" + hex(code_point, 8) +
                                " is not a Unicode scalar value");
  }
  const auto push = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    push(code_point);
  } else if (code_point < 0x800) {
    push(0xC0U | (code_point >> 6U));
    push(0x80U | (code_point & 0x3FU));
  } else if (code_point < 0x10000) {
    push(0xE0U | (code_point >> 12U));
    push(0x80U | ((code_point >> 6U) & 0x3FU));
    push(0x80U | (code_point & 0x3FU));
  } else {
    push(0xF0U | (code_point >> 18U));
    push(0x80U | ((code_point >> 12U) & 0x3FU));
    push(0x80U | ((code_point >> 6U) & 0x3FU));
    push(0x80U | (code_point & 0x3FU));
  }
}

std::string replace_invalid(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Sequence sequence = sequence_at(text, at);
    if (sequence.valid) {
      out.append(text.substr(at, sequence.length));
    } else {
      out.append("\xEF\xBF\xBD");
    }
    at += sequence.length;
  }
  return out;
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Sequence sequence = sequence_at(text, at);
    if (!sequence.valid) {
      for (std::size_t i = 0; i < sequence.length; ++i) {
        out += "\\x" + hex(static_cast<unsigned char>(text[at + i]), 2);
      }
      at += sequence.length;
      continue;
    }
    const std::size_t begin = at;
    const char32_t c = decode(text, at);
    if (c == 0x1B) {
      out += "\\e";
    } else if (c < 0x80 && is_control(c)) {
      out += "\\x" + hex(c, 2);
    } else if (is_control(c) || is_bidi_control(c)) {
      out += "\\u{" + hex(c, 4) + "}";
    } else {
      out.append(text.substr(begin, sequence.length));
    }
  }
  return out;
}

}  // namespace holdfast::utf8
