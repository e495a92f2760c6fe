#include "train/ledger.h"

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "tests/reference/expect_error.h"
#include "tests/reference/temporary_folder.h"
#include "tests/train/run_fixture.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

Json step(std::int64_t number) { return Json::object({{"step", number}, {"loss", 0.5}}); }

TEST(Ledger, EveryLineIsChainedToTheOneBefore) {
  const TemporaryFolder folder;
  Ledger ledger(folder / "ledger.jsonl");
  ledger.write("run", Json::object({{"seed", 7}}));
  ledger.write("step", step(1));
  // By the definition, as `printf %s | sha256sum` would have it.
  const std::string first = R"({"kind":"run","seed":7)";
  const std::string second = R"({"kind":"step","step":1,"loss":0.5)";
  const std::string one = sha256(first + '}');
  const std::string two = sha256(one + second + '}');
  EXPECT_EQ(file_text(folder / "ledger.jsonl"),
            first + ",\"chain\":\"" + one + "\"}\n" + second + ",\"chain\":\"" + two + "\"}\n");
  EXPECT_EQ(ledger.place().chain, two);
  EXPECT_EQ(ledger.place().bytes, std::ssize(file_text(folder / "ledger.jsonl")));
  const LedgerReader reader(folder / "ledger.jsonl");
  ASSERT_EQ(reader.size(), 2U);
  EXPECT_FALSE(reader.broken());
  EXPECT_EQ(reader.line(1).at("step").as_int64(), 1);
  EXPECT_EQ(reader.find(ledger.place()), 1U);
  EXPECT_EQ(reader.find({ledger.place().bytes, one}), std::nullopt);
  EXPECT_EQ(reader.find({ledger.place().bytes - 1, two}), std::nullopt);
}

TEST(Ledger, AnyChangedByteEndsTheChainAtItsLine) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "ledger.jsonl";
  std::vector<std::size_t> ends;
  {
    Ledger ledger(path);
    for (std::int64_t i = 0; i < 4; ++i) {
      ledger.write("step", step(i));
      ends.push_back(static_cast<std::size_t>(ledger.place().bytes));
    }
  }
  const std::string text = file_text(path);
  for (std::size_t at = 0; at < text.size(); ++at) {
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    std::ofstream(path, std::ios::binary) << changed;  // not synced: there are many
    const LedgerReader reader(path);
    const auto line = std::upper_bound(ends.begin(), ends.end(), at) - ends.begin();
    EXPECT_EQ(reader.size(), static_cast<std::size_t>(line)) << at;
    EXPECT_TRUE(reader.broken()) << at;
  }
  write_file(path, text.substr(0, ends[0]) + text.substr(ends[1]));  // a line dropped
  EXPECT_EQ(LedgerReader(path).size(), 1U);
  write_file(path, text.substr(0, ends[2] + 5));  // cut short
  EXPECT_EQ(LedgerReader(path).size(), 3U);
  EXPECT_TRUE(LedgerReader(path).broken());
}

TEST(Ledger, ContinuesFromAPlace) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "ledger.jsonl";
  LedgerPlace place;
  std::string whole;
  {
    Ledger ledger(path);
    ledger.write("step", step(1));
    place = ledger.place();
    ledger.write("step", step(2));
    whole = file_text(path);
    ledger.write("step", step(3));
  }
  Ledger ledger(path, place);
  ledger.write("step", step(2));
  EXPECT_EQ(file_text(path), whole);
}

TEST(Ledger, NamesTheFirstMemberThatDiffers) {
  const auto parse = [](const char* text) { return Json::parse(text, "line"); };
  const Json was = parse(R"({"a":1,"b":{"c":[1.5,2.5]},"seconds":1.0,"chain":"x","d":null})");
  EXPECT_EQ(first_difference(was, was), std::nullopt);
  const auto text = [&](const char* is) {
    const auto difference = first_difference(was, parse(is));
    return difference ? difference->text() : "";
  };
  EXPECT_EQ(text(R"({"a":1,"b":{"c":[1.5,2.5]},"seconds":2.0,"execution":{"threads":4},"d":null})"),
            "");
  EXPECT_EQ(text(R"({"a":1,"b":{"c":[1.5,3.5]},"d":null})"), "b.c.1 is 3.5, was 2.5");
  EXPECT_EQ(text(R"({"a":1.0,"b":{"c":[1.5,2.5]},"d":null})"), "a is 1.0, was 1");
  EXPECT_EQ(text(R"({"b":{"c":[1.5,2.5]}})"), "a is absent, was 1");
  EXPECT_EQ(text(R"({"a":1,"b":{"c":[1.5]}})"), "b.c is [1.5], was [1.5,2.5]");
  EXPECT_EQ(text(R"({"a":1,"b":{"c":[1.5,2.5]},"e":"new"})"), "e is \"new\", was absent");
}

// What an auditor is promised, on a whole run.
TEST(Ledger, TellsWhatWentInWhatWasDoneAndWhatCameOut) {
  const RunFixture files;
  Recipe recipe = files.full();
  recipe.ledger.hash_every = 4;
  const RunResult result = run_recipe(recipe);
  const LedgerReader ledger(files.path("out") / "ledger.jsonl");
  EXPECT_FALSE(ledger.broken());
  ASSERT_EQ(ledger.size(), 1U + 3 + 10 + 2);
  const Json run = ledger.line(0);
  EXPECT_EQ(run.at("kind").as_string(), "run");
  for (const char* member : {"holdfast", "isa", "seed", "precision", "numerics", "inputs"}) {
    EXPECT_NE(run.find(member), nullptr) << member;
  }
  EXPECT_EQ(run.at("hash_every").as_int64(), 4);
  EXPECT_EQ(run.at("recipe").at("ewc").at("lambda").as_double(), 0.3);
  EXPECT_EQ(run.at("recipe").find("output"), nullptr);
  const std::string weights = files.path("model") / "model.safetensors";
  EXPECT_EQ(run.at("files").at(weights).at("sha256").as_string(), sha256(file_text(weights)));
  EXPECT_EQ(run.at("files").at(weights).at("bytes").as_int64(), std::ssize(file_text(weights)));
  for (const char* name : {"news_train.csv", "medical_valid.csv", "model/vocab.txt"}) {
    EXPECT_NE(run.at("files").find(files.path(name).string()), nullptr) << name;
  }
  std::int64_t steps = 0;
  for (std::size_t i = 1; i + 2 < ledger.size(); ++i) {
    const Json line = ledger.line(i);
    if (line.at("kind").as_string() == "evaluation") {
      EXPECT_EQ(line.at("drift").items().size(), 4U);
      continue;
    }
    ++steps;
    EXPECT_EQ(line.at("step").as_int64(), steps);
    EXPECT_EQ(line.at("samples").at("medical").array().size() +
                  line.at("samples").at("news").array().size(),
              16U);
    EXPECT_EQ(line.at("rates").array().size(), 4U);
    EXPECT_EQ(line.at("clipped_norm").as_double(),
              line.at("clip").as_double() * line.at("grad_norm").as_double());
    EXPECT_EQ(line.find("weights") != nullptr, steps % 4 == 0) << steps;
    EXPECT_EQ(line.find("optimizer") != nullptr, steps % 4 == 0) << steps;
  }
  const Json end = ledger.line(ledger.size() - 1);
  EXPECT_EQ(end.at("kind").as_string(), "end");
  EXPECT_FALSE(end.at("interrupted").as_bool());
  EXPECT_EQ(end.at("test").at("news").at("after").as_double(), result.tasks[0].after->accuracy);
  const std::string model = file_text(files.path("out") / "model" / "model.safetensors");
  const Json save = ledger.line(ledger.size() - 2);
  EXPECT_EQ(save.at("kind").as_string(), "save");
  for (const Json& saved : {save.at("files"), end.at("execution").at("files")}) {
    EXPECT_EQ(saved.at("model/model.safetensors").at("sha256").as_string(), sha256(model));
    EXPECT_NE(saved.find("model/heads.safetensors"), nullptr);
  }
  const Json& left = end.at("execution").at("files");
  for (const char* name : {"metrics.json", "replay.csv", "importance.safetensors"}) {
    EXPECT_EQ(left.at(name).at("sha256").as_string(), sha256(file_text(files.path("out") / name)))
        << name;
  }
  EXPECT_EQ(left.find("recipe.toml"), nullptr);
  EXPECT_EQ(result.chain, ledger.place(ledger.size() - 1).chain);
}

}  // namespace
}  // namespace holdfast
