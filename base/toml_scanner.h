// The characters of a TOML text: a cursor that knows line and column, and the grammar of scalars.
// Used by toml_parser.cpp.
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/toml.h"

namespace holdfast {

class TomlScanner {
 public:
  TomlScanner(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  bool at_end() const { return at_ >= text_.size(); }
  /// The next character (its first byte), or NUL at the end.
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool starts_with(std::string_view prefix) const { return text_.substr(at_).starts_with(prefix); }
  void skip(std::size_t bytes) { at_ += bytes; }
  bool skip_if(char c);

  /// Spaces and tabs.
  void skip_space();
  /// Spaces, tabs, comments and line ends.
  void skip_blank();
  /// Spaces, a comment and the end of the line or text; else an error.
  void end_line();

  /// A string of any of the four kinds; `one_line` refuses the multi-line ones, as keys do.
  std::string string(bool one_line);
  std::string bare_key();
  /// true, false, an integer or a real number.
  Toml word();

  /// Line and column (in characters) of the cursor. Called with ascending cursors it is linear in
  /// the text in all.
  Toml::Position position() { return position_of(at_); }
  std::runtime_error error(std::string_view what) const;

 private:
  bool at_line_end() const { return peek() == '\n' || starts_with("\r\n"); }
  void skip_comment();
  void check_text_byte() const;
  void escape(std::string& out);
  std::string multi_line(char quote);
  Toml number(std::string word) const;
  Toml real(std::string digits, std::string rest, std::string_view written) const;
  std::runtime_error bad_value(std::string_view written) const;
  Toml::Position position_of(std::size_t at);
  std::runtime_error error_at(std::size_t at, std::string_view what) const;

  std::string_view text_;
  std::string_view file_;
  std::size_t at_ = 0;
  std::size_t known_at_ = 0;  // a place whose position is known
  Toml::Position known_{1, 1};
};

}  // namespace holdfast
