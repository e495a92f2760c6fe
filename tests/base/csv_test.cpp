#include "base/csv.h"

#include <gtest/gtest.h>

#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

using Rows = std::vector<std::vector<std::string>>;
using Parser = void (*)(std::string_view, std::string_view, const RowCallback&, TableLimits);

Rows rows_of(Parser parser, std::string_view text, TableLimits limits = {}) {
  Rows rows;
  parser(
      text, "f.csv",
      [&](std::int64_t, const std::vector<std::string>& fields) { rows.push_back(fields); },
      limits);
  return rows;
}

TEST(Csv, ReadsRows) {
  struct Case {
    const char* name;
    const char* text;
    Rows rows;
  };
  for (const Case& c : {
           Case{"empty", "", {}},
           Case{"one field", "a", {{"a"}}},
           Case{"LF", "a,b\nc,d\n", {{"a", "b"}, {"c", "d"}}},
           Case{"CRLF", "a,b\r\nc,d\r\n", {{"a", "b"}, {"c", "d"}}},
           Case{"no final line end", "a,b\nc,d", {{"a", "b"}, {"c", "d"}}},
           Case{"empty fields", ",\n,", {{"", ""}, {"", ""}}},
           Case{"blank lines are skipped", "\na\n\r\n\nb\n\n", {{"a"}, {"b"}}},
           Case{"an empty quoted row is a row", "a\n\"\"\n", {{"a"}, {""}}},
           Case{"commas in quotes", "\"a,b\",c", {{"a,b", "c"}}},
           Case{"doubled quotes", "\"say \"\"hi\"\"\",\"\"\"\"", {{"say \"hi\"", "\""}}},
           Case{"line ends in quotes", "\"a\nb\",\"c\r\nd\"\n", {{"a\nb", "c\r\nd"}}},
           Case{"a lone carriage return in quotes", "\"a\rb\"", {{"a\rb"}}},
           Case{"spaces belong to the field", " a , b \n", {{" a ", " b "}}},
           Case{"tabs are text", "a\tb,c", {{"a\tb", "c"}}},
           Case{"UTF-8", "é,漢字\n", {{"é", "漢字"}}},
       }) {
    EXPECT_EQ(rows_of(parse_csv, c.text), c.rows) << c.name;
  }
}

TEST(Csv, ReadsTsvWithoutQuoting) {
  EXPECT_EQ(rows_of(parse_tsv, "say \"hi\"\ta, b\r\n\"\t\"\n"),
            (Rows{{"say \"hi\"", "a, b"}, {"\"", "\""}}));
  expect_error<std::runtime_error>("fewer", "f.csv:3: the row has 1 field, the first row has 2",
                                   [] { rows_of(parse_tsv, "a\tb\n\"c\td\"\nx"); });
}

TEST(Csv, RefusesMalformedText) {
  using namespace std::string_literals;
  struct Case {
    const char* name;
    std::string text;
    const char* part;
  };
  const std::vector<Case> cases = {
      {"unclosed quote", "a,b\nc,\"d\ne\nf", "f.csv:2: a quote that is never closed"},
      {"unclosed after a doubled quote", "\"a\"\"", "f.csv:1: a quote that is never closed"},
      {"quote inside a field", "a\nb\"c\"", "f.csv:2: a quote inside an unquoted field"},
      {"quote after a space", "a, \"b\"", "f.csv:1: a quote inside an unquoted field"},
      {"text after a quote", "\"a\nb\" ,c", "f.csv:2: text after a closing quote"},
      {"carriage return after a quote", "\"a\"\rb", "f.csv:1: text after a closing quote"},
      {"fewer fields", "a,b\n\"c\n\",d\ne\n", "f.csv:4: the row has 1 field, the first row has 2"},
      {"more fields", "a,b\nc,d,\n", "f.csv:2: the row has 3 fields, the first row has 2"},
      {"NUL", "a\nb\0"s, "f.csv:2: NUL"},
      {"NUL in quotes", "\"\0\""s, "f.csv:1: NUL"},
      {"lone carriage return", "a\rb", "f.csv:1: a carriage return"},
      {"carriage return at the end", "a\r", "f.csv:1: a carriage return"},
      {"long field", std::string((1U << 20U) + 1, 'x'),
       "f.csv:1: a field of more than 1048576 bytes"},
      {"long quoted field", std::string("\"").append((1U << 20U) + 1, '\n'),
       "a field of more than 1048576 bytes"},
      {"many columns", std::string(1000000, ','), "f.csv:1: more than 4096 columns"},
  };
  for (const Case& c : cases) {
    expect_error<std::runtime_error>(c.name, c.part, [&] { rows_of(parse_csv, c.text); });
  }
  EXPECT_EQ(rows_of(parse_csv, std::string(1U << 20U, 'x'))[0][0].size(), 1U << 20U);
}

TEST(Csv, NumbersTheLinesOnWhichRowsBegin) {
  std::vector<std::int64_t> lines;
  parse_csv("a\n\n\"b\nc\r\n\"\n\r\nd", "f.csv",
            [&](std::int64_t line, const std::vector<std::string>&) { lines.push_back(line); });
  EXPECT_EQ(lines, (std::vector<std::int64_t>{1, 3, 7}));
}

std::string write(const Rows& rows) {
  std::string text;
  for (const auto& row : rows) {
    for (const std::string& field : row) {
      text += &field == row.data() ? "" : ",";
      text += csv_field(field);
    }
    text += '\n';
  }
  return text;
}

TEST(Csv, QuotesWhatNeedsIt) {
  EXPECT_EQ(csv_field("plain text"), "plain text");
  EXPECT_EQ(csv_field(""), "\"\"");
  EXPECT_EQ(csv_field("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
  const Rows rows = {{"", "a,b", "\r"}, {"\"", "x\ny", " "}, {",", "\"\"", "\r\n"}};
  EXPECT_EQ(rows_of(parse_csv, write(rows)), rows);
}

TEST(Csv, NearMissesAreRefusedOrRoundTrip) {
  const std::string valid = "text,label\r\n\"a \"\"b\"\",\nc\",1\nplain,2\n";
  const auto check = [](const std::string& text) {
    try {
      const Rows rows = rows_of(parse_csv, text);
      EXPECT_EQ(rows_of(parse_csv, write(rows)), rows) << text;
    } catch (const std::runtime_error&) {
    }
  };
  check(valid);
  for (std::size_t i = 0; i < valid.size(); ++i) {
    check(valid.substr(0, i));
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = valid;
      changed[i] = static_cast<char>(byte);
      check(changed);
    }
  }
}

}  // namespace
}  // namespace holdfast
