// Aligned tables and numbers for people, on standard output.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::cli {

/// A table of text: the first column to the left, all others to the right. Cells may hold any text
/// (it is made printable).
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  /// The lines, each ended by a line feed. The header is bold on a terminal.
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

/// 1234567 -> "1,234,567".
std::string grouped(std::int64_t count);

/// `text` in bold where standard output is a terminal and NO_COLOR is unset.
std::string bold(std::string_view text);

/// Writes to standard output. Throws Failed when that is not possible (a full disk, a closed one).
void print(std::string_view text);

}  // namespace holdfast::cli
