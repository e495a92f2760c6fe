// Texts from a file or standard input, one a line: LF or CRLF ends a line and nothing else does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace holdfast::cli {

class LineReader {
 public:
  /// "-" is standard input. Throws std::runtime_error when the file cannot be opened.
  explicit LineReader(const std::string& path);

  /// Fills `lines` with the next lines, about a megabyte of them; false at the end. The views are
  /// valid until the next call. Throws std::runtime_error, with file and line, for text that is not
  /// UTF-8, and for a line of more than 16 MiB.
  bool next(std::vector<std::string_view>& lines);
  /// The first line, which next() gives, too: empty of an empty file. Before the first next() only.
  std::string_view first_line_text();
  /// All bytes, instead of next().
  std::string take_all();
  /// The number, from 1, of the first line of the last batch.
  std::int64_t first_line() const { return first_line_; }
  const std::string& name() const { return name_; }

 private:
  bool fill();
  void check(std::string_view line, std::int64_t number) const;

  std::string name_;
  Descriptor file_;
  std::string buffer_;
  std::size_t used_ = 0;  // bytes of buffer_ already given out
  std::int64_t first_line_ = 1, next_line_ = 1;
  bool ended_ = false;
};

}  // namespace holdfast::cli
