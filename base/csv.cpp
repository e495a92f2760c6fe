#include "base/csv.h"

#include <stdexcept>

namespace holdfast {
namespace {

class TableParser {
 public:
  TableParser(std::string_view text, std::string_view where, char separator, TableLimits limits)
      : text_(text),
        where_(where),
        separator_(separator),
        quotes_(separator == ','),
        limits_(limits) {}

  void parse(const RowCallback& callback);

 private:
  void row();
  void unquoted_field();
  void quoted_field();
  void append(std::string& field, char c);
  bool at_end() const { return at_ >= text_.size(); }
  bool take_line_end();
  [[noreturn]] void fail(std::int64_t line, const std::string& what) const {
    throw std::runtime_error(std::string(where_) + ':' + std::to_string(line) + ": " + what);
  }

  std::string_view text_;
  std::string_view where_;
  char separator_;
  bool quotes_;
  TableLimits limits_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1;
  std::vector<std::string> fields_;
};

// LF or CRLF.
bool TableParser::take_line_end() {
  if (text_.substr(at_).starts_with("\r\n")) {
    ++at_;
  } else if (at_end() || text_[at_] != '\n') {
    return false;
  }
  ++at_;
  ++line_;
  return true;
}

void TableParser::append(std::string& field, char c) {
  if (c == '\0') {
    fail(line_, "NUL byte (is this a text file in UTF-8?)");
  }
  if (field.size() >= limits_.field_bytes) {
    fail(line_, "a field of more than " + std::to_string(limits_.field_bytes) + " bytes");
  }
  field += c;
}

void TableParser::unquoted_field() {
  std::string& field = fields_.emplace_back();
  for (; !at_end(); ++at_) {
    const char c = text_[at_];
    if (c == separator_ || c == '\n' || (c == '\r' && text_.substr(at_).starts_with("\r\n"))) {
      return;
    }
    if (c == '\r') {
      fail(line_, "a carriage return without a line feed");
    }
    if (quotes_ && c == '"') {
      fail(line_, "a quote inside an unquoted field (quote the field and double the quotes in it)");
    }
    append(field, c);
  }
}

void TableParser::quoted_field() {
  const std::int64_t opening = line_;
  std::string& field = fields_.emplace_back();
  for (++at_; !at_end(); ++at_) {
    const char c = text_[at_];
    if (c == '"') {
      if (++at_; at_end() || text_[at_] != '"') {
        if (!at_end() && text_[at_] != separator_ && text_[at_] != '\n' &&
            !text_.substr(at_).starts_with("\r\n")) {
          fail(line_, "text after a closing quote (double the quotes inside a quoted field)");
        }
        return;
      }
    }
    line_ += c == '\n' ? 1 : 0;
    append(field, c);
  }
  fail(opening, "a quote that is never closed");
}

void TableParser::row() {
  fields_.clear();
  do {
    if (fields_.size() >= limits_.columns) {
      fail(line_, "more than " + std::to_string(limits_.columns) + " columns");
    }
    if (quotes_ && !at_end() && text_[at_] == '"') {
      quoted_field();
    } else {
      unquoted_field();
    }
  } while (!at_end() && text_[at_] == separator_ && (++at_, true));
}

void TableParser::parse(const RowCallback& callback) {
  std::size_t columns = 0;
  while (!at_end()) {
    if (take_line_end()) {
      continue;
    }
    const std::int64_t first_line = line_;
    row();
    take_line_end();
    if (columns == 0) {
      columns = fields_.size();
    } else if (limits_.same_width && fields_.size() != columns) {
      fail(first_line, "the row has " + std::to_string(fields_.size()) +
                           (fields_.size() == 1 ? " field" : " fields") + ", the first row has " +
                           std::to_string(columns));
    }
    callback(first_line, fields_);
  }
}

}  // namespace

void parse_csv(std::string_view text, std::string_view where, const RowCallback& row,
               TableLimits limits) {
  TableParser(text, where, ',', limits).parse(row);
}

void parse_tsv(std::string_view text, std::string_view where, const RowCallback& row,
               TableLimits limits) {
  TableParser(text, where, '\t', limits).parse(row);
}

std::string csv_field(std::string_view text) {
  if (!text.empty() && text.find_first_of(",\"\r\n") == std::string_view::npos) {
    return std::string(text);
  }
  std::string out = "\"";
  for (const char c : text) {
    out += c == '"' ? "\"\"" : std::string_view(&c, 1);
  }
  return out + '"';
}

}  // namespace holdfast
