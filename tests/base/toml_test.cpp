#include "base/toml.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

Toml parse(std::string_view text) { return Toml::parse(text, "recipe.toml"); }

std::string repeat(std::string head, std::string_view unit, int count, std::string_view tail = "") {
  for (int i = 0; i < count; ++i) {
    head += unit;
  }
  return head.append(tail);
}

TEST(Toml, ReadsARecipe) {
  const Toml recipe = parse(R"(# a comment
model = "models/news"   # another
seed = 7
[new]
name = 'medical'
max_length = 0x80
[[old]]
name = "news"
[[old]]
name = "law"
[learning_rate]
rate = 1e-4
naive = [
  3e-5, 1e-4, # the middle one
  3e-4,
]
[search]
"ewc.lambda" = [0.03, 1_0.5]
replay.keep = {low = 0.1, high.value = 1}
)");
  EXPECT_EQ(recipe.at("model").as_string(), "models/news");
  EXPECT_EQ(recipe.at("seed").as_int64(), 7);
  EXPECT_EQ(recipe.at("seed").as_double(), 7.0);
  EXPECT_EQ(recipe.at("new").at("max_length").as_int64(), 128);
  ASSERT_EQ(recipe.at("old").array().size(), 2U);
  EXPECT_EQ(recipe.at("old").array()[1].at("name").as_string(), "law");
  EXPECT_EQ(recipe.at("learning_rate").at("naive").array()[2].as_double(), 3e-4);
  EXPECT_EQ(recipe.at("search").at("ewc.lambda").array()[1].as_double(), 10.5);
  EXPECT_EQ(recipe.at("search").at("replay").at("keep").at("high").at("value").as_int64(), 1);
  EXPECT_EQ(recipe.find("device"), nullptr);
}

TEST(Toml, ReadsEveryKindOfScalar) {
  struct Case {
    const char* text;
    Toml value;
  };
  using namespace std::string_literals;
  const double infinity = std::numeric_limits<double>::infinity();
  for (const Case& c : {
           Case{"true", true},
           Case{"+1_000", 1000},
           Case{"-0", 0},
           Case{"0xDEAD_beef", 0xDEADBEEF},
           Case{"0o755", 0755},
           Case{"0b1101", 13},
           Case{"9223372036854775807", std::numeric_limits<std::int64_t>::max()},
           Case{"-9223372036854775808", std::numeric_limits<std::int64_t>::min()},
           Case{"1.0", 1.0},
           Case{"6.626e-34", 6.626e-34},
           Case{"1e06", 1e6},
           Case{"+inf", infinity},
           Case{"-inf", -infinity},
           Case{R"("a\tb\u00e9\U0001F600\"\\")", "a\tb\u00e9\U0001F600\"\\"},
           Case{R"('C:\new')", "C:\\new"},
           Case{"\"\"\"\nfirst\r\nsecond \\\n   \n  third\"\"\"\"\"", "first\nsecond third\"\""},
           Case{"'''\nit's ''so'''''", "it's ''so''"},
           Case{"\"\"", ""},
           Case{"[1, 'a', [true]]", Toml::list({1, "a", Toml::list({true})})},
           Case{"{}", Toml::table()},
       }) {
    EXPECT_EQ(Toml::parse_value(c.text, "--set"), c.value) << c.text;
  }
  EXPECT_TRUE(std::isnan(Toml::parse_value("nan", "--set").as_double()));
}

TEST(Toml, RefusesMalformedText) {
  using namespace std::string_literals;
  struct Case {
    const char* name;
    std::string text;
    const char* part;
  };
  const std::vector<Case> cases = {
      {"duplicate key", "a = 1\nb = 2\na = 3", "recipe.toml:3:1: a is already defined, on line 1"},
      {"duplicate table", "[a]\n[b]\n[a]", "recipe.toml:3:2: a is already defined, on line 1"},
      {"table over value", "a = 1\n[a.b]", ":2:2: a is already defined"},
      {"dotted key into a header's table", "[a.b]\n[a]\nb.c = 1", ":3:1: b is already defined"},
      {"header over a dotted table", "a.b = 1\n[a]", ":2:2: a is already defined"},
      {"inline table extended", "a = {b = 1}\na.c = 2", ":2:1: a is already defined"},
      {"inline table extended by a header", "a = {}\n[a.b]", ":2:2: a is already defined"},
      {"static array extended", "a = []\n[[a]]", ":2:3: a is already defined"},
      {"array of tables over a table", "[a]\n[[a]]", ":2:3: a is already defined"},
      {"table over an array of tables", "[[a]]\n[a]", ":2:2: a is already defined"},
      {"duplicate key in an inline table", "a = {b = 1, b = 2}", ":1:13: b is already defined"},
      {"no value", "a =", ":1:4: expected a value"},
      {"no equals sign", "a 1", ":1:3: expected = after the key"},
      {"no key", "= 1", ":1:1: expected a key"},
      {"two on a line", "a = 1 b = 2", ":1:7: expected the end of the line"},
      {"bare word", "a = word", ":1:5: not a value: word"},
      {"date", "a = 1979-05-27", ":1:5: dates and times are not supported"},
      {"time", "a = 07:32:00", ":1:5: dates and times are not supported"},
      {"leading zero", "a = 01", ":1:5: not a value: 01"},
      {"no digit before the point", "a = .5", ":1:5: not a value: .5"},
      {"no digit after the point", "a = 5.", ":1:5: not a value: 5."},
      {"double underscore", "a = 1__0", "not a value: 1__0"},
      {"signed hexadecimal", "a = -0x1", "not a value: -0x1"},
      {"integer too large", "a = 9223372036854775808", ":1:5: the integer does not fit"},
      {"real too large", "a = 1e400", ":1:5: the number is out of the range"},
      {"capital True", "a = True", "not a value: True"},
      {"unclosed string", "a = \"b\nc = 1", ":1:5: the string has no closing quote"},
      {"unclosed multi-line string", "a = 1\nb = '''c\n\n",
       ":2:5: the multi-line string is never closed"},
      {"unknown escape", R"(a = "\q")", ":1:6: unknown escape"},
      {"surrogate escape", R"(a = "\ud800")", ":1:6: not the escape of a Unicode character"},
      {"short escape", R"(a = "\u12")", ":1:6: not the escape of a Unicode character"},
      {"backslash at the end", "a = \"\\", ":1:6: unknown escape"},
      {"unclosed array", "a = [1,\n2", ":2:2: expected , or ] in the array"},
      {"newline in an inline table", "a = {b = 1,\nc = 2}", ":1:12: expected a key"},
      {"comma at the end of an inline table", "a = {b = 1,}", ":1:12: expected a key"},
      {"unclosed header", "[a", ":1:3: expected ]"},
      {"half a header", "[[a]", ":1:5: expected ]]"},
      {"text after a header", "[a] b = 1", ":1:5: expected the end of the line"},
      {"multi-line key", "\"\"\"a\"\"\" = 1", ":1:1: a multi-line string cannot be a key"},
      {"control character in a comment", "# \x01", ":1:3: a control character"},
      {"control character in a string", "a = \"\x7F\"", ":1:6: a control character"},
      {"lone carriage return", "a = 1\rb = 2", ":1:6: expected the end of the line"},
      {"NUL", "a = 1\n\0"s, ":2:1: NUL"},
      {"not UTF-8", "a = 'é\xFF'", ":1:7: not UTF-8"},
      {"mark not at the start", "a = 1\n\xEF\xBB\xBF", ":2:1: expected a key"},
      {"deep array", repeat("a = ", "[", 100000), "nested more than 64 levels"},
      {"deep inline table", repeat("a = ", "{a=", 1000), "nested more than 64 levels"},
      {"long dotted key", repeat("a", ".a", 1000, " = 1"), "more than 64 parts"},
  };
  for (const Case& c : cases) {
    expect_error<std::runtime_error>(c.name, c.part, [&] { parse(c.text); });
  }
}

TEST(Toml, AllowsWhatLooksForbidden) {
  for (const char* text : {
           "[a.b.c]\n[a]\nx = 1",                        // a super-table after its child
           "[fruit]\napple.color = 1\n[fruit.apple.x]",  // a header below a dotted table
           "[[a]]\n[a.b]\n[[a]]\n[a.b]",                 // sub-tables of each element
           "a = {b.c = 1, b.d = 2}",                     // dotted keys in an inline table
           "1.2 = 3\n\"\" = 1\n'a b' = 2",               // keys of digits, empty, quoted
           "\xEF\xBB\xBF"
           "a = 1",  // a byte order mark
           "a = [ # comment\n1\n,\n]\r\n",
           "",
       }) {
    EXPECT_NO_THROW(parse(text)) << text;
  }
}

TEST(Toml, RefusesTooManyKeysInATable) {
  std::string text;
  for (int i = 0; i < 4096; ++i) {
    text += std::to_string(i) + " = 1\n";
  }
  EXPECT_EQ(parse(text).items().size(), 4096U);
  expect_error<std::runtime_error>("4097", ":4097:1: more than 4096 keys",
                                   [&] { parse(text + "last = 1"); });
}

TEST(Toml, ErrorsNamePositionAndKey) {
  const Toml toml = parse("seed = \"7\"\n[new]\n  'é' = 1\n  betas = [0.9,\n   'x']\n[[old]]\n");
  struct Case {
    const char* name;
    const char* message;
    void (*call)(const Toml&);
  };
  for (const Case& c : {
           Case{"string for integer", "recipe.toml:1:1: seed must be an integer, found \"7\"",
                [](const Toml& t) { t.at("seed").as_int64(); }},
           Case{"element", "recipe.toml:5:4: this value must be a number, found \"x\"",
                [](const Toml& t) { t.at("new").at("betas").array()[1].as_double(); }},
           Case{"table for string", "recipe.toml:2:2: new must be a string, found a table",
                [](const Toml& t) { t.at("new").as_string(); }},
           Case{"array of tables", "recipe.toml:6:3: old must be a table, found an array",
                [](const Toml& t) { t.at("old").items(); }},
           Case{"missing", "recipe.toml:2:2: new has no key \"name\"",
                [](const Toml& t) { t.at("new").at("name"); }},
           Case{"missing in an element", "recipe.toml:6:3: old has no key \"name\"",
                [](const Toml& t) { t.at("old").array()[0].at("name"); }},
           Case{"integer for bool", "recipe.toml:3:3: é must be true or false, found 1",
                [](const Toml& t) { t.at("new").at("é").as_bool(); }},
       }) {
    expect_error<std::runtime_error>(c.name, c.message, [&] { c.call(toml); });
  }
}

TEST(Toml, ParsesTheTwoSidesOfSet) {
  EXPECT_EQ(Toml::parse_key("ewc.lambda", "--set"), (std::vector<std::string>{"ewc", "lambda"}));
  EXPECT_EQ(Toml::parse_key("search.\"ewc.lambda\"", "--set"),
            (std::vector<std::string>{"search", "ewc.lambda"}));
  for (const char* key : {"", "a.", ".a", "a b", "a = 1", "a\n"}) {
    EXPECT_THROW(Toml::parse_key(key, "--set"), std::runtime_error) << key;
  }
  for (const char* value : {"", "medical", "1 2", "[1", "1\n2", "1979-05-27"}) {
    EXPECT_THROW(Toml::parse_value(value, "--set"), std::runtime_error) << value;
  }
}

TEST(Toml, WritesWhatItReads) {
  Toml toml = Toml::table();
  toml.set("model", "a \"b\"\n\x1B é");
  toml.set("seed", 7);
  toml.set("rate", 1e-4);
  toml.set("one", 1.0);
  toml.set("big", -HUGE_VAL);
  toml.set("on", true);
  Toml& task = toml.set("new", Toml::table());
  task.set("max_length", 128);
  task.set("deep key", Toml::table())
      .set("x", Toml::list({1, Toml::list(), Toml::table({{"y", 2}})}));
  toml.set("old", Toml::list({Toml::table({{"name", "news"}}), Toml::table()}));
  toml.set("seed", 8);
  const std::string text = toml.dump();
  EXPECT_EQ(text, R"(model = "a \"b\"\n\u001B é"
seed = 8
rate = 1e-04
one = 1.0
big = -inf
on = true

[new]
max_length = 128

[new."deep key"]
x = [1, [], {y = 2}]

[[old]]
name = "news"

[[old]]
)");
  EXPECT_EQ(parse(text), toml);
  EXPECT_EQ(parse("[a]\nx = 1\n[a.b]\n[c]\n").dump(), "[a]\nx = 1\n\n[a.b]\n\n[c]\n");
  expect_error<std::invalid_argument>("not UTF-8", "a\\xFF", [] { Toml("a\xFF").dump(); });
}

TEST(Toml, NearMissesAreRefusedOrRoundTrip) {
  const std::string valid =
      "a = 1\nb.c = [1.5e1, \"x\\n\", 'y']\n[t.u]\nd = {e = true, f = 0x1F}\n[[v]]\ng = "
      "\"\"\"z\"\"\"\n";
  const auto check = [](const std::string& text) {
    try {
      const std::string once = parse(text).dump();
      EXPECT_EQ(parse(once).dump(), once) << text;
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
