// The text of a data file: found out by its extension, decompressed, and known to be UTF-8.
#pragma once

#include <filesystem>
#include <string>

namespace holdfast {

enum class TableFormat { csv, tsv, json_lines };

struct TableFile {
  TableFormat format;
  std::string text;  // valid UTF-8, without a byte order mark
};

/// A table from its bytes: without a byte order mark. Throws as read_table_file() does; messages
/// begin with `where`.
TableFile checked_table(TableFormat format, std::string bytes, const std::string& where,
                        bool replace_invalid_utf8);

/// Reads a .csv, .tsv, .jsonl or .json file, each also with .gz or .zst.
/// Throws std::runtime_error for another extension, a damaged or oversized file, UTF-16, and an
/// invalid byte (with its line) unless `replace_invalid_utf8`.
TableFile read_table_file(const std::filesystem::path& path, bool replace_invalid_utf8);

}  // namespace holdfast
