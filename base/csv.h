// Tables of text: CSV (RFC 4180) and TSV, strict. Tested by tests/base/csv_test.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

/// Called for each row with the line (from 1) on which it begins.
using RowCallback = std::function<void(std::int64_t line, const std::vector<std::string>& fields)>;

struct TableLimits {
  std::size_t field_bytes = 1 << 20;
  std::size_t columns = 4096;
  bool same_width = true;  // rows of more or fewer fields than the first are refused
};

/// Reads CSV as RFC 4180 has it: fields between commas, in double quotes where they hold commas,
/// quotes (doubled) or line ends. LF or CRLF ends a row; a line with nothing on it is skipped;
/// spaces belong to the field. Refused with `<where>:<line>: <what>`, a std::runtime_error: a quote
/// inside an unquoted field, text after a closing quote, a quote that is never closed (with the
/// line of the opening one), a lone carriage return outside quotes, NUL, a row of more or fewer
/// fields than the first, and what is above the limits.
void parse_csv(std::string_view text, std::string_view where, const RowCallback& row,
               TableLimits limits = {});

/// Reads TSV as IANA has it: fields between tabs, and every other character, quotes too, is itself.
/// Lines as for CSV.
void parse_tsv(std::string_view text, std::string_view where, const RowCallback& row,
               TableLimits limits = {});

/// `text` as one CSV field: in quotes where it is empty or holds commas, quotes or line ends.
std::string csv_field(std::string_view text);

}  // namespace holdfast
