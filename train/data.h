// Labelled texts from the user's files. Tested by tests/train/data_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/table_file.h"

namespace holdfast {

struct Example {
  std::string text;
  std::string pair;       // empty when no second text is read
  std::string label;      // as written
  std::int64_t line = 0;  // of the file, from 1, where its row begins
};

struct DataColumns {
  std::string text =
      "text";  // names of columns or keys; without a header, numbers of columns from 1
  std::string label = "label";
  std::string text_pair = "";         // empty: none
  bool header = true;                 // of CSV and TSV: the first row names the columns
  bool invalid_utf8_replace = false;  // invalid bytes become U+FFFD instead of an error
  bool label_required = true;         // else a file without labels is read too, with empty ones
};

/// Reads CSV (RFC 4180), TSV (no quoting) or JSON Lines, by extension: .csv, .tsv, .jsonl or .json,
/// each also with .gz or .zst. UTF-8; a byte order mark is dropped; blank lines are skipped. Labels
/// are strings or, in JSON, integers too. Texts are taken as they stand: "NA" and " " are texts.
/// Fields are limited to 1 MiB, files to 4 GiB, and compressed ones also to 1,000 times their size.
/// Throws std::runtime_error, one line with file and line of the file, for whatever is not so, for
/// a file without rows and for an empty label.
std::vector<Example> read_examples(const std::filesystem::path& path, const DataColumns& columns);

/// The same one by one, in order, for files whose texts need not be in memory together.
using ExampleCallback = std::function<void(Example&&)>;
void for_each_example(const std::filesystem::path& path, const DataColumns& columns,
                      const ExampleCallback& use);

/// The examples of a table that has been read; messages begin with `where`.
std::vector<Example> examples_of(const TableFile& table, const std::string& where,
                                 const DataColumns& columns);

/// What a stream is that begins with this line, if it shows: CSV or TSV when the line is a header
/// with the column of the text, JSON Lines when it is an object with that key.
std::optional<TableFormat> format_shown_by(std::string_view first_line, const DataColumns& columns);

}  // namespace holdfast
