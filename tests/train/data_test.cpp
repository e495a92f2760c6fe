#include "train/data.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <fstream>
#include <stdexcept>
#include <vector>

#include "tests/reference/expect_error.h"
#include "tests/reference/temporary_folder.h"

namespace holdfast {
namespace {

using namespace std::string_literals;

std::string gzip(const std::string& text) {
  z_stream stream = {};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string zstd(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

class Data : public testing::Test {
 protected:
  std::vector<Example> read(const std::string& name, const std::string& contents,
                            const DataColumns& columns = {}) {
    std::ofstream(folder_ / name, std::ios::binary) << contents;
    return read_examples(folder_ / name, columns);
  }
  // `text|pair|label|line` of each example.
  std::vector<std::string> flat(const std::string& name, const std::string& contents,
                                const DataColumns& columns = {}) {
    std::vector<std::string> rows;
    for (const Example& e : read(name, contents, columns)) {
      rows.push_back(fmt::format("{}|{}|{}|{}", e.text, e.pair, e.label, e.line));
    }
    return rows;
  }
  TemporaryFolder folder_;
};

using Rows = std::vector<std::string>;

TEST_F(Data, ReadsEachFormat) {
  const DataColumns pair{.text_pair = "second"};
  const DataColumns unlabelled{.label_required = false};
  const DataColumns numbers{.text = "3", .label = "1", .text_pair = "2", .header = false};
  const DataColumns no_label{.text = "1", .header = false, .label_required = false};
  struct Case {
    const char* name;
    const char* file;
    std::string contents;
    DataColumns columns;
    Rows rows;
  };
  const std::vector<Case> cases = {
      {"CSV",
       "a.csv",
       "label,text\n1,one\n2,\"two\nlines\"\n3,three\n",
       {},
       {"one||1|2", "two\nlines||2|3", "three||3|5"}},
      {"TSV", "a.tsv", "text\tlabel\nsay \"hi\"\tpos\r\n", {}, {"say \"hi\"||pos|2"}},
      {"JSON Lines",
       "a.jsonl",
       "{\"text\":\"one\",\"label\":\"x\"}\r\n\n {\"label\":-2,\"text\":\"\\u00e9\",\"more\":[1]} ",
       {},
       {"one||x|1", "é||-2|3"}},
      {"JSON Lines named .json", "a.json", "{\"text\":\"one\",\"label\":0}", {}, {"one||0|1"}},
      {"capitals in the extension", "a.CSV", "text,label\na,b\n", {}, {"a||b|2"}},
      {"byte order mark", "a.csv", "\xEF\xBB\xBFtext,label\na,b\n", {}, {"a||b|2"}},
      {"byte order mark in JSON Lines",
       "a.jsonl",
       "\xEF\xBB\xBF{\"text\":\"a\",\"label\":\"b\"}\n",
       {},
       {"a||b|1"}},
      {"pairs", "a.csv", "text,second,label\na,b,c\n", pair, {"a|b|c|2"}},
      {"pairs in JSON",
       "a.jsonl",
       "{\"text\":\"a\",\"second\":\"b\",\"label\":\"c\"}",
       pair,
       {"a|b|c|1"}},
      {"texts stand as they are",
       "a.csv",
       "text,label\nNA,1.0\n, 3\n  ,NA\n",
       {},
       {"NA||1.0|2", "|| 3|3", "  ||NA|4"}},
      {"no header", "a.csv", "x,b,a\ny,d,c\n", numbers, {"a|b|x|1", "c|d|y|2"}},
      {"no header, no label", "a.csv", "a\nb\n", no_label, {"a|||1", "b|||2"}},
      {"labels not there and not needed", "a.csv", "text\na\n", unlabelled, {"a|||2"}},
      {"labels there and not needed", "a.csv", "text,label\na,b\n", unlabelled, {"a||b|2"}},
      {"labels here and there",
       "a.jsonl",
       "{\"text\":\"a\"}\n{\"text\":\"b\",\"label\":1}",
       unlabelled,
       {"a|||1", "b||1|2"}},
      {"invalid UTF-8 replaced",
       "a.csv",
       "text,label\na\xFF\xE2\x82z,b\n",
       {.invalid_utf8_replace = true},
       {"a\xEF\xBF\xBD\xEF\xBF\xBDz||b|2"}},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(flat(c.file, c.contents, c.columns), c.rows) << c.name;
  }
}

TEST_F(Data, RefusesBadTables) {
  struct Case {
    const char* name;
    const char* file;
    std::string contents;
    const char* part;
    DataColumns columns = {};
  };
  const std::vector<Case> cases = {
      {"empty", "a.csv", "", "a.csv: the file is empty"},
      {"blank", "a.csv", "\n\n", "a.csv: the file has no rows of data"},
      {"byte order mark only", "a.csv", "\xEF\xBB\xBF", "a.csv: the file is empty"},
      {"header only", "a.csv", "text,label\n", "a.csv: the file has no rows of data"},
      {"no header but declared", "a.csv", "good film,1\n",
       "a.csv:1: there is no column \"text\"; the columns are: good film, 1 ("},
      {"missing label", "a.csv", "text,class\na,b\n",
       "a.csv:1: there is no column \"label\"; the columns are: text, class"},
      {"missing pair",
       "a.csv",
       "text,label\na,b\n",
       "there is no column \"second\"",
       {.text_pair = "second"}},
      {"column twice", "a.csv", "text,label,text\na,b,c\n",
       "a.csv:1: two columns are named \"text\""},
      {"names without header",
       "a.csv",
       "a,b\n",
       "columns are given as numbers from 1",
       {.header = false}},
      {"column 0",
       "a.csv",
       "a,b\n",
       "a.csv:1: there is no column 0; the first row has 2",
       {.text = "0", .label = "1", .header = false}},
      {"column 3 of 2",
       "a.csv",
       "a,b\n",
       "there is no column 3",
       {.text = "1", .label = "3", .header = false}},
      {"column of 30 digits",
       "a.csv",
       "a,b\n",
       "there is no column 111111111111111111111111111111",
       {.text = "111111111111111111111111111111", .label = "1", .header = false}},
      {"empty label", "a.csv", "text,label\na,b\nc,\n", "a.csv:3: the label is empty"},
      {"unclosed quote", "a.csv", "text,label\na,b\n\"c,d\ne,f\n",
       "a.csv:3: a quote that is never closed"},
      {"fewer fields", "a.csv", "text,label\na,b\nc\n",
       "a.csv:3: the row has 1 field, the first row has 2"},
      {"more fields", "a.tsv", "text\tlabel\na\tb\tc\n",
       "a.tsv:2: the row has 3 fields, the first row has 2"},
      {"NUL", "a.csv", "text,label\na\0,b\n"s, "a.csv:2: NUL"},
      {"invalid UTF-8", "a.csv", "text,label\na,b\nc\xFF,d\n",
       "a.csv:3: the byte \\xFF is not UTF-8"},
      {"UTF-16", "a.csv", "\xFF\xFEt\0e\0"s, "a.csv: the file is UTF-16"},
      {"UTF-16, most significant first", "a.csv", "\xFE\xFF\0t\0e"s, "a.csv: the file is UTF-16"},
      {"long field", "a.csv", "text,label\n" + std::string((1U << 20U) + 1, 'x') + ",1\n",
       "a.csv:2: a field of more"},
      {"escape in a column's name", "a.csv", "\x1B[31m,label\na,b\n",
       "the columns are: \\e[31m, label"},
      {"unknown extension", "a.txt", "a", "a.txt: unknown kind of data file; known are .csv"},
      {"compressed unknown", "a.txt.gz", gzip("a"), "unknown kind of data file"},
      {"no extension", "csv", "a", "unknown kind of data file"},
      {"JSON: empty", "a.jsonl", "", "a.jsonl: the file is empty"},
      {"JSON: blank", "a.jsonl", "\n \r\n", "a.jsonl: the file has no rows of data"},
      {"JSON: torn last line", "a.jsonl", "{\"text\":\"a\",\"label\":1}\n{\"text\":\"b",
       "a.jsonl:2: column"},
      {"JSON: two objects on a line", "a.jsonl", "{\"text\":\"a\",\"label\":1} {}",
       "a.jsonl:1: column"},
      {"JSON: an array", "a.json", "[{\"text\":\"a\",\"label\":1}]",
       "a.json:1: an array; JSON Lines has one object a line"},
      {"JSON: a string", "a.jsonl", "\"a\"", "a.jsonl:1: must be an object, found \"a\""},
      {"JSON: missing text", "a.jsonl", "{\"label\":1}", "a.jsonl:1: has no key \"text\""},
      {"JSON: missing label", "a.jsonl", "\n{\"text\":\"a\"}", "a.jsonl:2: has no key \"label\""},
      {"JSON: label as float", "a.jsonl", "{\"text\":\"a\",\"label\":1.0}",
       "a.jsonl:1: label must be a string or an integer, found 1.0"},
      {"JSON: label as list", "a.jsonl", "{\"text\":\"a\",\"label\":[1]}",
       "label must be a string or an integer"},
      {"JSON: empty label", "a.jsonl", "{\"text\":\"a\",\"label\":\"\"}",
       "a.jsonl:1: label is empty"},
      {"JSON: text null", "a.jsonl", "{\"text\":null,\"label\":1}",
       "a.jsonl:1: text must be a string, found null"},
      {"JSON: duplicate key", "a.jsonl", "{\"text\":\"a\",\"text\":\"b\",\"label\":1}",
       "a.jsonl:1: has the key \"text\" twice"},
      {"JSON: lone surrogate", "a.jsonl", "{\"text\":\"\\ud800\",\"label\":1}",
       "a.jsonl:1: column"},
      {"JSON: deep", "a.jsonl", "{\"text\":\"a\",\"label\":1,\"x\":" + std::string(10000, '['),
       "more than 64 levels"},
      {"JSON: long text", "a.jsonl",
       "{\"label\":1,\"text\":\"" + std::string((1U << 20U) + 1, 'x') + "\"}",
       "a.jsonl:1: text has more than 1048576 bytes"},
      {"JSON: long line", "a.jsonl", std::string((16U << 20U) + 1, '{'),
       "a.jsonl:1: a line of more than 16777216"},
      {"JSON: NUL", "a.jsonl", "{\"text\":\"a\",\"label\":1}\0"s, "a.jsonl:1: column 23: NUL"},
  };
  for (const Case& c : cases) {
    expect_error<std::runtime_error>(c.name, c.part, [&] { read(c.file, c.contents, c.columns); });
  }
  expect_error<std::runtime_error>("missing", "there is no such file",
                                   [&] { read_examples(folder_ / "no.csv", {}); });
}

TEST_F(Data, ReadsCompressedFiles) {
  std::string table = "text,label\n";
  Rows rows;
  for (int i = 2; i < 60000; ++i) {  // more than the buffers hold
    table += fmt::format("text {},{}\n", i, i % 7);
    rows.push_back(fmt::format("text {}||{}|{}", i, i % 7, i));
  }
  EXPECT_EQ(flat("a.csv.gz", gzip(table), {}), rows);
  EXPECT_EQ(flat("a.csv.zst", zstd(table), {}), rows);
  const std::string head = table.substr(0, 1000);
  const std::string tail = table.substr(1000);
  EXPECT_EQ(flat("a.csv.gz", gzip(head) + gzip("") + gzip(tail), {}), rows) << "several members";
  EXPECT_EQ(flat("a.csv.zst", zstd(head) + zstd("") + zstd(tail), {}), rows) << "several frames";
  EXPECT_EQ(flat("a.jsonl.gz", gzip("{\"text\":\"a\",\"label\":1}"), {}), Rows{"a||1|1"});
}

TEST_F(Data, RefusesDamagedAndExplosiveFiles) {
  const std::string table = "text,label\na,b\n";
  for (const auto& [name, packed] :
       {std::pair{"a.csv.gz", gzip(table)}, std::pair{"a.csv.zst", zstd(table)}}) {
    for (std::size_t i = 0; i < packed.size(); ++i) {
      EXPECT_THROW(read(name, packed.substr(0, i)), std::runtime_error) << name << ' ' << i;
    }
    expect_error<std::runtime_error>(name, "cut short",
                                     [&] { read(name, packed.substr(0, packed.size() - 1)); });
    expect_error<std::runtime_error>(name, "damaged", [&] { read(name, packed + "more"); });
    expect_error<std::runtime_error>(name, "damaged", [&] { read(name, table); });
    expect_error<std::runtime_error>(name, "cut short", [&] { read(name, ""); });
  }
  const std::string zeros(64U << 20U, '\0');
  expect_error<std::runtime_error>("gzip bomb", "decompresses to more than",
                                   [&] { read("a.csv.gz", gzip(zeros)); });
  expect_error<std::runtime_error>("zstd bomb", "decompresses to more than",
                                   [&] { read("a.csv.zst", zstd(zeros)); });
}

// A small packed text may well be a thousand times larger; only from a mebibyte on is that
// suspicious.
TEST_F(Data, AllowsWellCompressedSmallFiles) {
  const std::string table = "text,label\n" + std::string(1000000, 'x') + ",b\n";
  ASSERT_GT(table.size(), 1000 * zstd(table).size());
  EXPECT_EQ(read("a.csv.zst", zstd(table)).front().text.size(), 1000000U);
}

TEST_F(Data, NearMissesAreReadOrRefused) {
  const std::vector<std::pair<std::string, std::string>> valid = {
      {"a.csv", "text,label\n\"a \"\"b\"\"\",1\n"},
      {"a.tsv", "text\tlabel\na\t1\n"},
      {"a.jsonl", "{\"text\":\"a\\n\",\"label\":1}\n"}};
  for (const auto& [name, text] : valid) {
    const auto check = [&, file = name](const std::string& changed) {
      try {
        for (const Example& example : read(file, changed)) {
          EXPECT_FALSE(example.label.empty()) << changed;
        }
      } catch (const std::runtime_error&) {
      }
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
      check(text.substr(0, i));
      for (int byte = 0; byte < 256; byte += 23) {
        std::string changed = text;
        changed[i] = static_cast<char>(byte);
        check(changed);
      }
    }
  }
}

TEST(FormatShown, ByAHeaderOrAnObjectWithTheText) {
  const DataColumns text, body{.text = "the body"}, numbers{.text = "1", .header = false};
  EXPECT_EQ(format_shown_by("text,label", text), TableFormat::csv);
  EXPECT_EQ(format_shown_by("label,\"text\"", text), TableFormat::csv);
  EXPECT_EQ(format_shown_by("\xEF\xBB\xBFtext", text), TableFormat::csv);
  EXPECT_EQ(format_shown_by("id\tthe body", body), TableFormat::tsv);
  EXPECT_EQ(format_shown_by("{\"text\": \"a\"}", text), TableFormat::json_lines);
  for (const char* line :
       {"", "a text, and more", "{\"body\": \"a\"}", "\"text", "[\"text\"]", "texts,labels"}) {
    EXPECT_EQ(format_shown_by(line, text), std::nullopt) << line;
  }
  EXPECT_EQ(format_shown_by("1,2", numbers), std::nullopt);
}

}  // namespace
}  // namespace holdfast
