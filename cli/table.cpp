#include "cli/table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "base/utf8.h"
#include "cli/command.h"

namespace holdfast::cli {
namespace {

std::size_t width(std::string_view text) {
  const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
  return text.size() - static_cast<std::size_t>(std::ranges::count_if(text, continues));
}

bool colour() {
  static const bool wanted = [] {
    const char* no = std::getenv("NO_COLOR");
    const char* term = std::getenv("TERM");
    return isatty(STDOUT_FILENO) && (!no || !*no) && term && std::string_view(term) != "dumb";
  }();
  return wanted;
}

}  // namespace

std::string Table::text() const {
  std::vector<std::vector<std::string>> rows = rows_;
  std::vector<std::size_t> widths;
  for (auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t column = 0; column < row.size(); ++column) {
      row[column] = utf8::printable(row[column]);
      widths[column] = std::max(widths[column], width(row[column]));
    }
  }
  std::string out;
  for (std::size_t at = 0; at < rows.size(); ++at) {
    std::string line;
    for (std::size_t column = 0; column < rows[at].size(); ++column) {
      const std::string& cell = rows[at][column];
      const std::string space(widths[column] - width(cell), ' ');
      line += column == 0 ? cell + space : "  " + space + cell;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += (at == 0 ? bold(line) : line) + '\n';
  }
  return out;
}

std::string grouped(std::int64_t count) {
  std::string digits = std::to_string(count);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > (count < 0 ? 1 : 0); at -= 3)
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  return digits;
}

std::string bold(std::string_view text) {
  return colour() ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text);
}

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
    throw Failed("standard output: cannot be written; is the disk full?");
}

}  // namespace holdfast::cli
