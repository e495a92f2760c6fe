#include "train/table_file.h"

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/utf8.h"
#include "train/table_decompress.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMaxBytes = std::int64_t{4} << 30;

bool take_suffix(std::string& name, std::string_view suffix) {
  if (!name.ends_with(suffix)) {
    return false;
  }
  name.resize(name.size() - suffix.size());
  return true;
}

TableFormat format_of(const std::string& name, const std::string& where) {
  if (name.ends_with(".csv")) {
    return TableFormat::csv;
  }
  if (name.ends_with(".tsv")) {
    return TableFormat::tsv;
  }
  if (name.ends_with(".jsonl") || name.ends_with(".json")) {
    return TableFormat::json_lines;
  }
  throw std::runtime_error(
      where +
      ": unknown kind of data file; known are .csv, .tsv, .jsonl and .json, each also with "
      ".gz or .zst");
}

void refuse_utf16(std::string_view text, const std::string& where) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    throw std::runtime_error(where + ": the file is UTF-16; save it as UTF-8");
  }
}

void refuse_invalid(std::string_view text, const std::string& where) {
  const std::size_t bad = utf8::first_invalid(text);
  if (bad == std::string_view::npos) {
    return;
  }
  const auto line =
      1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n');
  throw std::runtime_error(
      where + ':' + std::to_string(line) + ": the byte " + utf8::printable(text.substr(bad, 1)) +
      " is not UTF-8 here (save the file as UTF-8, or set invalid_utf8 = \"replace\")");
}

}  // namespace

TableFile checked_table(TableFormat format, std::string bytes, const std::string& where,
                        bool replace_invalid_utf8) {
  TableFile file{format, std::move(bytes)};
  refuse_utf16(file.text, where);
  if (file.text.starts_with("\xEF\xBB\xBF")) {
    file.text.erase(0, 3);
  }
  if (replace_invalid_utf8) {
    file.text = utf8::replace_invalid(file.text);
  } else {
    refuse_invalid(file.text, where);
  }
  return file;
}

TableFile read_table_file(const std::filesystem::path& path, bool replace_invalid_utf8) {
  const std::string where = utf8::printable(path.string());
  std::string name = path.filename().string();
  std::transform(name.begin(), name.end(), name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  const bool gzip = take_suffix(name, ".gz");
  const bool zstd = !gzip && take_suffix(name, ".zst");
  const TableFormat format = format_of(name, where);
  std::string bytes = read_file(path, kMaxBytes);
  if (gzip) {
    bytes = decompress_gzip(bytes, where, kMaxBytes);
  } else if (zstd) {
    bytes = decompress_zstd(bytes, where, kMaxBytes);
  }
  return checked_table(format, std::move(bytes), where, replace_invalid_utf8);
}

}  // namespace holdfast
