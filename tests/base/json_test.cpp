#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

Json parse(std::string_view text) { return Json::parse(text, "f.json"); }

TEST(Json, KeepsOrderAndTypes) {
  const Json json = parse(R"( {"z": [1, -2.5, "x", true, false, null], "a": {}, "": []} )");
  ASSERT_EQ(json.items().size(), 3U);
  EXPECT_EQ(json.items()[0].first, "z");
  EXPECT_EQ(json.items()[2].first, "");
  const Json::Array& z = json.at("z").array();
  EXPECT_EQ(z[0].as_int64(), 1);
  EXPECT_EQ(z[0].as_double(), 1.0);
  EXPECT_EQ(z[1].as_double(), -2.5);
  EXPECT_EQ(z[2].as_string(), "x");
  EXPECT_TRUE(z[3].as_bool());
  EXPECT_FALSE(z[4].as_bool());
  EXPECT_TRUE(z[5].is_null());
  EXPECT_EQ(json.find("b"), nullptr);
  EXPECT_EQ(json.dump(), R"({"z":[1,-2.5,"x",true,false,null],"a":{},"":[]})");
}

TEST(Json, NumbersAreIntegersOnlyWhenWrittenSo) {
  EXPECT_EQ(parse("9223372036854775807").as_int64(), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(parse("-9223372036854775808").as_int64(), std::numeric_limits<std::int64_t>::min());
  for (const char* real : {"1.0", "1e3", "1E+2", "-0", "-0.0", "9223372036854775808.0"}) {
    EXPECT_EQ(parse(real).type(), Json::Type::real) << real;
  }
  EXPECT_TRUE(std::signbit(parse("-0").as_double()));
  EXPECT_EQ(parse("1e-400").as_double(), 0.0);
}

TEST(Json, RefusesWhatReadersDisagreeAbout) {
  using namespace std::string_literals;
  struct Case {
    const char* name;
    std::string text;
    const char* part;
  };
  const std::vector<Case> cases = {
      {"empty", "", "f.json: column 1: "},
      {"spaces only", " \n", "line 2, column 1: "},
      {"byte order mark", "\xEF\xBB\xBF{}", "byte order mark"},
      {"NUL at the end", "{}\0"s, "column 3: NUL"},
      {"NUL in a string", "[\"\0\"]"s, "NUL"},
      {"duplicate key", R"({"a":1,"b":2,"a":1})", "f.json: has the key \"a\" twice"},
      {"duplicate key below", R"([{"x":{"a":1,"\u0061":2}}])",
       "f.json: [0].x has the key \"a\" twice"},
      {"two texts", "{} {}", "column 4"},
      {"trailing comma", "[1,]", "column 4"},
      {"comment", "[1] // no", "column 5"},
      {"single quotes", "{'a':1}", "column 2"},
      {"NaN", "NaN", "column 1"},
      {"leading zero", "[01]", "column 3"},
      {"hexadecimal", "0x10", "column 2"},
      {"plus sign", "+1", "column 1"},
      {"integer above 64 bits", "9223372036854775808", "does not fit in 64 bits"},
      {"integer above 64 bits unsigned", "[18446744073709551616]", "does not fit in 64 bits"},
      {"integer below", "-9223372036854775809", "does not fit in 64 bits"},
      {"real too large", "1e400", "overflow"},
      {"lone surrogate", R"(["\ud800"])", "column 9"},
      {"not UTF-8", "[\"\xFF\"]", "column 3"},
      {"overlong UTF-8", "[\"\xC0\x80\"]", "column 3"},
      {"surrogate in UTF-8", "[\"\xED\xA0\x80\"]", "column 4"},
      {"raw newline in a string", "[\"a\nb\"]", "line "},
      {"truncated", R"({"a": [1, {"b")", "column 15"},
      {"escape in the text", "[\x1B[31m]", "<U+001B>"},
      {"too deep", std::string(65, '[') + std::string(65, ']'), "more than 64 levels"},
      {"very deep", std::string(1000000, '['), "more than 64 levels"},
  };
  for (const Case& c : cases) {
    expect_error<std::runtime_error>(c.name, c.part, [&] { parse(c.text); });
  }
  EXPECT_EQ(parse(std::string(64, '[') + std::string(64, ']')).array().size(), 1U);
}

TEST(Json, ErrorsNameFileAndKey) {
  const Json json = Json::parse(
      R"({"hidden_size": "768", "a": {"b c": [1, {"d": 2.0}]}, "n": null, "e": "\u001b[31m"})",
      "config.json");
  struct Case {
    const char* name;
    const char* message;
    void (*call)(const Json&);
  };
  for (const Case& c : {
           Case{"string for integer", "config.json: hidden_size must be an integer, found \"768\"",
                [](const Json& j) { j.at("hidden_size").as_int64(); }},
           Case{"real for integer", "config.json: a.\"b c\"[1].d must be an integer, found 2.0",
                [](const Json& j) { j.at("a").at("b c").array()[1].at("d").as_int64(); }},
           Case{"null for number", "config.json: n must be a number, found null",
                [](const Json& j) { j.at("n").as_double(); }},
           Case{"array for string", "config.json: a.\"b c\" must be a string, found an array",
                [](const Json& j) { j.at("a").at("b c").as_string(); }},
           Case{"object for array", "config.json: a must be an array, found an object",
                [](const Json& j) { j.at("a").array(); }},
           Case{"string for bool", "config.json: e must be true or false, found \"\\u001b[31m\"",
                [](const Json& j) { j.at("e").as_bool(); }},
           Case{"missing key", "config.json: has no key \"x\"", [](const Json& j) { j.at("x"); }},
           Case{"missing key below", "config.json: a has no key \"x\"",
                [](const Json& j) { j.at("a").at("x"); }},
           Case{"key of a string", "config.json: hidden_size must be an object, found \"768\"",
                [](const Json& j) { j.at("hidden_size").find("x"); }},
           Case{"own fact", "config.json: n must be positive",
                [](const Json& j) { throw j.at("n").error("must be positive"); }},
       }) {
    expect_error<std::runtime_error>(c.name, c.message, [&] { c.call(json); });
  }
}

TEST(Json, ValuesOutliveTheirDocument) {
  Json value;
  {
    const Json json = parse(R"({"a":{"b":1}})");
    value = json.at("a").at("b");
  }
  expect_error<std::runtime_error>("copy", "f.json: a.b must be a string",
                                   [&] { value.as_string(); });
}

TEST(Json, BuildsAndWrites) {
  Json json = Json::object();
  json.set("name", "BERT").set("size", 768).set("epsilon", 1e-12).set("old", true);
  json.set("size", std::size_t{384});
  Json list = Json::list({1, 2.0, nullptr});
  list.push_back(std::string("x"));
  json.set("list", list).set("empty", Json::object());
  json.add("rows", Json::list({Json::list({1, 2}), Json::list()}));
  EXPECT_EQ(
      json.dump(),
      R"({"name":"BERT","size":384,"epsilon":1e-12,"old":true,"list":[1,2.0,null,"x"],"empty":{},)"
      R"("rows":[[1,2],[]]})");
  EXPECT_EQ(json.dump(2), R"({
  "name": "BERT",
  "size": 384,
  "epsilon": 1e-12,
  "old": true,
  "list": [1, 2.0, null, "x"],
  "empty": {},
  "rows": [
    [1, 2],
    []
  ]
})");
  EXPECT_EQ(parse(json.dump(2)), json);
  expect_error<std::runtime_error>("built value", "must be a string, found 384",
                                   [&] { json.at("size").as_string(); });
}

TEST(Json, WritesNumbersThatReadBackTheSame) {
  for (const double value : {0.0, -0.0, 1.0, 0.1, 1.0 / 3.0, 5e-324, 2.2250738585072014e-308,
                             1.7976931348623157e308, 1e21, 123456789012345680.0, 100000.0}) {
    const std::string text = Json(value).dump();
    const Json back = parse(text);
    ASSERT_EQ(back.type(), Json::Type::real) << text;
    EXPECT_EQ(back.as_double(), value) << text;
    EXPECT_EQ(std::signbit(back.as_double()), std::signbit(value)) << text;
  }
  EXPECT_EQ(Json(0.1).dump(), "0.1");
  EXPECT_EQ(Json(std::numeric_limits<std::int64_t>::min()).dump(), "-9223372036854775808");
}

TEST(Json, EscapesControlCharactersAndKeepsOtherText) {
  using namespace std::string_literals;
  EXPECT_EQ(Json("\"\\/\b\f\n\r\t\0\x1F\x7F\xC2\x9B\u2028 é\U0001F600"s).dump(),
            R"("\"\\/\b\f\n\r\t\u0000\u001f\u007f\u009b\u2028 é😀")");
}

TEST(Json, RefusesToWriteWhatJsonCannotSay) {
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    expect_error<std::invalid_argument>("not finite", "NaN and infinity",
                                        [&] { Json(value).dump(); });
  }
  expect_error<std::invalid_argument>("not UTF-8", "a\\xFF", [] { Json("a\xFF").dump(); });
  expect_error<std::invalid_argument>("key", "not UTF-8",
                                      [] { Json::object().set("\xFF", 1).dump(); });
  expect_error<std::invalid_argument>("above 2^63", "18446744073709551615",
                                      [] { Json(~std::size_t{0}); });
}

// Every text one edit away from a valid one: read as something that writes back the same, or a
// runtime_error.
TEST(Json, NearMissesAreRefusedOrRoundTrip) {
  const std::string valid = R"({"a":[1,-2.5e3,"\u00e9\n",null],"b":{"c":true}})";
  const auto check = [](const std::string& text) {
    try {
      const Json json = parse(text);
      EXPECT_EQ(parse(json.dump()), json) << text;
    } catch (const std::runtime_error&) {
    }
  };
  for (std::size_t i = 0; i < valid.size(); ++i) {
    EXPECT_THROW(parse(valid.substr(0, i)), std::runtime_error) << i;
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = valid;
      changed[i] = static_cast<char>(byte);
      check(changed);
    }
  }
}

}  // namespace
}  // namespace holdfast
