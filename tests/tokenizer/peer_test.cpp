// The peer's tokenizer.json files and its answers for texts that are hard to get right.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "tests/reference/temporary_folder.h"
#include "tokenizer/tokenizer.h"

namespace holdfast {
namespace {

std::map<std::string, Tokenizer> load_models(const Json& golden, bool save_first) {
  std::map<std::string, Tokenizer> out;
  for (const auto& [name, model] : golden.at("models").items()) {
    const TemporaryFolder folder;
    write_file(folder.path() / "tokenizer.json", model.dump());
    Tokenizer tokenizer = Tokenizer::load(folder.path());
    if (save_first) {
      tokenizer.save(folder.path());
      tokenizer = Tokenizer::load(folder.path());
    }
    out.emplace(name, std::move(tokenizer));
  }
  return out;
}

std::vector<std::int32_t> numbers(const Json& list) {
  std::vector<std::int32_t> out;
  for (const Json& value : list.array()) {
    out.push_back(static_cast<std::int32_t>(value.as_int64()));
  }
  return out;
}

// The golden file has begin and end of each token in one flat list.
std::vector<std::pair<std::int64_t, std::int64_t>> pairs(const Json& list) {
  const Json::Array& values = list.array();
  std::vector<std::pair<std::int64_t, std::int64_t>> out;
  for (std::size_t i = 0; i + 1 < values.size(); i += 2) {
    out.emplace_back(values[i].as_int64(), values[i + 1].as_int64());
  }
  return out;
}

void expect_golden(bool save_first) {
  const Json golden = Json::parse(read_file(HOLDFAST_GOLDEN "/tokenizer_cases.json", 1 << 20),
                                  "tokenizer_cases.json");
  const std::map<std::string, Tokenizer> models = load_models(golden, save_first);
  ASSERT_GT(golden.at("cases").array().size(), 500U);
  for (const Json& wanted : golden.at("cases").array()) {
    const std::string& name = wanted.at("model").as_string();
    const std::string& text = wanted.at("text").as_string();
    const std::int64_t max_length = wanted.at("max_length").as_int64();
    const Tokenizer& tokenizer = models.at(name);
    const Json& pair = wanted.at("pair");
    const Encoding found = pair.is_null() ? tokenizer.encode(text, max_length)
                                          : tokenizer.encode(text, pair.as_string(), max_length);
    SCOPED_TRACE(name + ": " + utf8::printable(text) + " cut to " + std::to_string(max_length));
    EXPECT_EQ(found.ids, numbers(wanted.at("ids")));
    EXPECT_EQ(found.type_ids, numbers(wanted.at("type_ids")));
    EXPECT_EQ(found.offsets, pairs(wanted.at("offsets")));
  }
}

TEST(Peer, GivesTheSameIdsTypesAndOffsets) { expect_golden(false); }

TEST(Peer, StillDoesSoAfterSaving) { expect_golden(true); }

}  // namespace
}  // namespace holdfast
