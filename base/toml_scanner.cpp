#include "base/toml_scanner.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/utf8.h"

namespace holdfast {
namespace {

bool is_digit(char c, int base = 10) {
  const int value = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : 99;
  return value < base;
}

bool is_bare(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-';
}

// Digits of `base` with single underscores between them; removes the underscores.
bool take_digits(std::string& word, int base) {
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool between =
        i > 0 && i + 1 < word.size() && is_digit(word[i - 1], base) && is_digit(word[i + 1], base);
    if (!is_digit(word[i], base) && !(word[i] == '_' && between)) {
      return false;
    }
  }
  word.erase(std::remove(word.begin(), word.end(), '_'), word.end());
  return !word.empty();
}

bool looks_like_date(std::string_view word) {
  const auto digits = [&](std::size_t count) {
    return word.size() > count &&
           std::all_of(word.begin(), word.begin() + static_cast<std::ptrdiff_t>(count),
                       [](char c) { return is_digit(c); });
  };
  return (digits(4) && word[4] == '-') || (digits(2) && word[2] == ':');
}

}  // namespace

bool TomlScanner::skip_if(char c) {
  if (at_end() || peek() != c) {
    return false;
  }
  ++at_;
  return true;
}

void TomlScanner::skip_space() {
  while (peek() == ' ' || peek() == '\t') {
    ++at_;
  }
}

// A byte of text within a line: tab is the only control character allowed.
void TomlScanner::check_text_byte() const {
  const auto c = static_cast<unsigned char>(peek());
  if ((c < 0x20 && c != '\t') || c == 0x7F) {
    throw error(
        "a control character, which TOML does not allow here (in a string, write an escape such as "
        "\\u0001)");
  }
}

void TomlScanner::skip_comment() {
  if (peek() == '#') {
    while (!at_end() && !at_line_end()) {
      check_text_byte();
      ++at_;
    }
  }
}

void TomlScanner::skip_blank() {
  for (;;) {
    skip_space();
    skip_comment();
    if (!at_line_end()) {
      return;
    }
    at_ += peek() == '\r' ? 2 : 1;
  }
}

void TomlScanner::end_line() {
  skip_space();
  skip_comment();
  if (at_end()) {
    return;
  }
  if (!at_line_end()) {
    throw error("expected the end of the line");
  }
  at_ += peek() == '\r' ? 2 : 1;
}

std::string TomlScanner::bare_key() {
  const std::size_t begin = at_;
  while (is_bare(peek())) {
    ++at_;
  }
  if (at_ == begin) {
    throw error("expected a key (letters, digits, _ and -; quote any other)");
  }
  return std::string(text_.substr(begin, at_ - begin));
}

void TomlScanner::escape(std::string& out) {
  const std::size_t begin = at_++;
  const char letter = peek();
  ++at_;
  const std::string_view letters = "btnfr\"\\";
  if (const std::size_t i = letters.find(letter); i != std::string_view::npos) {
    out += "\b\t\n\f\r\"\\"[i];
    return;
  }
  if (letter != 'u' && letter != 'U') {
    throw error_at(
        begin,
        "unknown escape (known: \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX; in '...' a "
        "backslash is itself)");
  }
  const std::size_t digits = letter == 'u' ? 4 : 8;
  const std::string_view hex = text_.substr(std::min(at_, text_.size()), digits);
  std::uint32_t value = 0;
  const auto [end, status] = std::from_chars(hex.data(), hex.data() + hex.size(), value, 16);
  if (hex.size() != digits || status != std::errc() || end != hex.data() + digits ||
      value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
    throw error_at(begin, "not the escape of a Unicode character");
  }
  utf8::append(out, value);
  at_ += digits;
}

std::string TomlScanner::string(bool one_line) {
  const char quote = peek();
  if (starts_with(std::string(3, quote))) {
    if (one_line) {
      throw error("a multi-line string cannot be a key");
    }
    return multi_line(quote);
  }
  const std::size_t begin = at_++;
  std::string out;
  while (!skip_if(quote)) {
    if (at_end() || at_line_end()) {
      throw error_at(begin, "the string has no closing quote on its line");
    }
    check_text_byte();
    if (quote == '"' && peek() == '\\') {
      escape(out);
    } else {
      out += text_[at_++];
    }
  }
  return out;
}

std::string TomlScanner::multi_line(char quote) {
  const std::size_t begin = at_;
  const std::string fence(3, quote);
  at_ += 3;
  if (at_line_end()) {
    at_ += peek() == '\r' ? 2 : 1;
  }
  std::string out;
  for (;;) {
    if (at_end()) {
      throw error_at(begin, "the multi-line string is never closed");
    }
    if (starts_with(fence)) {
      at_ += 3;
      for (int extra = 0; extra < 2 && skip_if(quote);
           ++extra) {  // up to two quotes may precede the fence
        out += quote;
      }
      return out;
    }
    if (at_line_end()) {
      at_ += peek() == '\r' ? 2 : 1;
      out += '\n';
      continue;
    }
    check_text_byte();
    if (quote != '"' || peek() != '\\') {
      out += text_[at_++];
      continue;
    }
    const std::size_t backslash = at_++;
    skip_space();
    if (!at_line_end()) {
      at_ = backslash;
      escape(out);
      continue;
    }
    while (peek() == ' ' || peek() == '\t' || at_line_end()) {
      ++at_;
    }
  }
}

Toml TomlScanner::word() {
  const std::size_t begin = at_;
  while (is_bare(peek()) ||
         (!at_end() && std::string_view("+.:").find(peek()) != std::string_view::npos)) {
    ++at_;
  }
  const std::string word(text_.substr(begin, at_ - begin));
  if (word == "true" || word == "false") {
    return word == "true";
  }
  at_ = begin;  // for errors
  if (word.empty()) {
    throw error("expected a value");
  }
  Toml value = number(word);
  at_ = begin + word.size();
  return value;
}

Toml TomlScanner::number(std::string word) const {
  if (looks_like_date(word)) {
    throw error("dates and times are not supported: quote it to make it a string");
  }
  const std::string written = word;
  const bool has_sign = word.starts_with('+') || word.starts_with('-');
  const std::string sign = word.starts_with('-') ? "-" : "";
  word.erase(0, has_sign ? 1 : 0);
  if (word == "inf" || word == "nan") {
    const double value = word == "inf" ? std::numeric_limits<double>::infinity() : std::nan("");
    return sign.empty() ? value : -value;
  }
  const int base = word.starts_with("0x")   ? 16
                   : word.starts_with("0o") ? 8
                   : word.starts_with("0b") ? 2
                                            : 10;
  const std::size_t point = base == 10 ? word.find_first_of(".eE") : std::string::npos;
  std::string digits = word.substr(base == 10 ? 0 : 2, point);
  if ((base != 10 && has_sign) || !take_digits(digits, base) ||
      (base == 10 && digits.size() > 1 && digits[0] == '0')) {
    throw bad_value(written);
  }
  digits.insert(0, sign);
  if (point != std::string::npos) {
    return real(digits, word.substr(point), written);
  }
  std::int64_t value = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), value, base).ec !=
      std::errc()) {
    throw error("the integer does not fit in 64 bits");
  }
  return value;
}

// `digits`: what stands before the point or the exponent; `rest`: from there on.
Toml TomlScanner::real(std::string digits, std::string rest, std::string_view written) const {
  if (rest[0] == '.') {
    const std::size_t end = std::min(rest.find_first_of("eE"), rest.size());
    std::string fraction = rest.substr(1, end - 1);
    if (!take_digits(fraction, 10)) {
      throw bad_value(written);
    }
    digits += '.' + fraction;
    rest.erase(0, end);
  }
  if (!rest.empty()) {
    const bool has_sign = rest.size() > 1 && (rest[1] == '+' || rest[1] == '-');
    std::string exponent = rest.substr(has_sign ? 2 : 1);
    if (!take_digits(exponent, 10)) {
      throw bad_value(written);
    }
    digits += (has_sign && rest[1] == '-' ? "e-" : "e") + exponent;
  }
  double value = 0.0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), value).ec != std::errc()) {
    throw error("the number is out of the range of a double");
  }
  return value;
}

std::runtime_error TomlScanner::bad_value(std::string_view written) const {
  return error("not a value: " + utf8::printable(written.substr(0, 60)) +
               " (text needs quotes; a number needs digits on both sides of its point)");
}

Toml::Position TomlScanner::position_of(std::size_t at) {
  if (at < known_at_) {
    known_at_ = 0;
    known_ = {1, 1};
  }
  for (; known_at_ < at; ++known_at_) {
    const auto byte = static_cast<unsigned char>(text_[known_at_]);
    if (byte == '\n') {
      known_ = {known_.line + 1, 1};
    } else if ((byte & 0xC0U) != 0x80U) {  // not a continuation byte
      ++known_.column;
    }
  }
  return known_;
}

std::runtime_error TomlScanner::error(std::string_view what) const { return error_at(at_, what); }

std::runtime_error TomlScanner::error_at(std::size_t at, std::string_view what) const {
  const Toml::Position position = TomlScanner(text_, file_).position_of(std::min(at, text_.size()));
  std::string message(file_);
  message += ':' + std::to_string(position.line) + ':' + std::to_string(position.column) + ": ";
  return std::runtime_error(message.append(what));
}

}  // namespace holdfast
