// What each command prints and writes, on a small model of its own.
#include <gtest/gtest.h>

#include "base/json.h"
#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

class Commands : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    make_small_project(folder_->path());
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static Outcome holdfast(const std::vector<std::string>& arguments,
                          const std::string& input = "") {
    return run(folder_->path(), arguments, input);
  }
  static Json json(const std::string& text) { return Json::parse(text, "output"); }

  static inline std::unique_ptr<Folder> folder_;
};

TEST_F(Commands, AloneItShowsTwoExamplesInFifteenLines) {
  const Outcome outcome = holdfast({});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_LE(lines_of(outcome.out).size(), 15u);
  EXPECT_NE(outcome.out.find("\n  holdfast compare recipe.toml\n"), std::string::npos);
  EXPECT_EQ(outcome.err, "");
}

TEST_F(Commands, HelpOfEachShowsExamples) {
  for (const char* name : {"train", "compare", "evaluate", "predict", "tokenize", "train-tokenizer",
                           "init", "select", "fisher", "trace", "merge", "info"}) {
    const Outcome outcome = holdfast({name, "--help"});
    EXPECT_EQ(outcome.status, 0) << name;
    EXPECT_NE(outcome.out.find("Examples:\n  "), std::string::npos) << name;
    EXPECT_NE(outcome.out.find("--json"), std::string::npos) << name;
    EXPECT_EQ(holdfast({"help", name}).out, outcome.out) << name;
  }
}

TEST_F(Commands, Version) { EXPECT_TRUE(holdfast({"--version"}).out.starts_with("holdfast 0.")); }

TEST_F(Commands, TokenizeEndsLinesAtLfAndCrLfOnly) {
  const Outcome outcome = holdfast({"tokenize", "--model", "fresh", "--json", "--offsets"},
                                   "goal\r\n\ngo\ral\x0B\nteam");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(lines[0].find("\\r"), std::string::npos);
  const Json first = json(lines[0]);
  EXPECT_EQ(first.at("tokens"), Json::list({"[CLS]", "goal", "[SEP]"}));
  EXPECT_EQ(first.at("offsets"),
            Json::list({Json::list({0, 0}), Json::list({0, 4}), Json::list({0, 0})}));
  EXPECT_EQ(first.at("ids").array().size(), 3u);
  EXPECT_EQ(json(lines[1]).at("tokens"), Json::list({"[CLS]", "[SEP]"}));
  EXPECT_GT(json(lines[2]).at("tokens").array().size(), 3u);  // "go" and "al"
  EXPECT_EQ(json(lines[3]).at("tokens"), Json::list({"[CLS]", "team", "[SEP]"}));
}

TEST_F(Commands, TokenizeKeepsTheOrderOfManyLines) {
  std::string input;
  for (int i = 0; i < 5000; ++i) input += i % 2 == 0 ? "goal\n" : "team goal\n";
  const Outcome outcome = holdfast({"tokenize", "--model", "fresh"}, input);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 5000u);
  for (std::size_t i = 0; i < lines.size(); ++i)
    ASSERT_EQ(lines[i], i % 2 == 0 ? "[CLS] goal [SEP]" : "[CLS] team goal [SEP]") << i;
}

TEST_F(Commands, PredictAsJsonLines) {
  const Outcome outcome = holdfast({"predict", "--model", "runs/old/model", "--json", "--quiet",
                                    "--text", "the goal of day 3", "-"},
                                   "the market of day 4\n");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 2u);
  const Json first = json(lines[0]), second = json(lines[1]);
  EXPECT_EQ(first.at("text").as_string(), "the goal of day 3");
  EXPECT_EQ(first.at("label").as_string(), "sport");
  EXPECT_EQ(second.at("label").as_string(), "money");
  const Json& scores = first.at("scores");
  ASSERT_EQ(scores.items().size(), 2u);
  EXPECT_NEAR(scores.at("money").as_double() + scores.at("sport").as_double(), 1, 1e-6);
  EXPECT_GT(scores.at("sport").as_double(), scores.at("money").as_double());
}

TEST_F(Commands, PredictedTextIsSafeForATerminal) {
  const Outcome outcome = holdfast(
      {"predict", "--model", "runs/old/model", "--quiet", "--text", "goal\x1b[2J\xe2\x80\xae"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos);
  EXPECT_NE(outcome.out.find("\\e[2J\\u{202E}"), std::string::npos) << outcome.out;
}

TEST_F(Commands, PredictReadsTheTextColumnOfATable) {
  write(folder_->path() / "named.csv",
        "id,words,label\n1,\"the goal,\nof day 3\",?\n2,the market of day 4,?\n");
  const Outcome outcome = holdfast({"predict", "--model", "runs/old/model", "--json", "--quiet",
                                    "--text-column", "words", "named.csv"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto lines = lines_of(outcome.out);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(json(lines[0]).at("text").as_string(), "the goal,\nof day 3");
  EXPECT_EQ(json(lines[0]).at("label").as_string(), "sport");
  EXPECT_EQ(json(lines[1]).at("label").as_string(), "money");
}

TEST_F(Commands, PredictReadsATableFromStandardInput) {
  const auto labels = [&](std::vector<std::string> arguments, const std::string& input) {
    arguments.insert(arguments.begin(), {"predict", "--model", "runs/old/model", "--json"});
    const Outcome outcome = holdfast(arguments, input);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    const bool said = outcome.err.find("read as a table") != std::string::npos;
    std::string all = said ? "table" : "";
    for (const std::string& line : lines_of(outcome.out))
      all += ' ' + json(line).at("label").as_string();
    return all;
  };
  const std::string rows = "the goal of day 3,sport\n\"the\nmarket of day 4\",money\n";
  EXPECT_EQ(labels({"-"}, "text,label\n" + rows), "table sport money");
  EXPECT_EQ(labels({}, "\xEF\xBB\xBFtext,label\r\n" + rows), "table sport money");
  EXPECT_EQ(labels({"-"}, "label\ttext\nsport\tthe goal\n"), "table sport");
  EXPECT_EQ(labels({"-"}, "{\"text\": \"the market\"}\n"), "table money");
  EXPECT_EQ(labels({"-", "--format", "csv", "--quiet"}, "text,label\n" + rows), " sport money");
  EXPECT_EQ(labels({"-", "--format", "text", "--quiet"}, "text,goal\nthe market\n"),
            " sport money");
  EXPECT_EQ(labels({"-"}, "the goal\ntext,label\n").find("table"), std::string::npos);
  const Outcome torn = holdfast({"predict", "--model", "runs/old/model", "--quiet", "-"},
                                "text,label\nthe goal,sport\nthe goal\n");
  EXPECT_EQ(torn.status, 2);
  EXPECT_NE(torn.err.find("holdfast: standard input:3: "), std::string::npos) << torn.err;
}

TEST_F(Commands, QuietLeavesResultsAlone) {
  const Outcome quiet =
      holdfast({"evaluate", "--model", "runs/old/model", "--data", "old_test.csv", "--quiet"});
  const Outcome loud =
      holdfast({"evaluate", "--model", "runs/old/model", "--data", "old_test.csv"});
  EXPECT_EQ(quiet.err, "");
  EXPECT_NE(loud.err, "");
  EXPECT_NE(quiet.out, "");
  EXPECT_EQ(quiet.out, loud.out);
}

TEST_F(Commands, ResultsThatCannotBePrintedAreAFailureOfEveryCommand) {
  const std::string model = " --quiet --model runs/old/model ";
  const std::vector<std::string> commands = {
      "info",
      "info" + model,
      "--version",
      "train --help",
      "fisher --explain",
      "predict" + model + "--text a",
      "evaluate" + model + "--data old_test.csv",
      "tokenize --model fresh old.csv",
      "fisher --samples 4" + model + "--data old.csv -o full.safetensors",
      "trace" + model + "--text a --label sport -o full.safetensors",
      "select --quiet --old old.csv --new new.csv --count 4 -o full.csv",
      "train-tokenizer --size 50 old.csv -o full.txt",
      "train recipe.toml --dry-run --quiet"};
  for (const std::string& command : commands) {
    for (const char* output : {" >/dev/full", " >&-"}) {
      const Outcome outcome =
          run(folder_->path(), {"-c", HOLDFAST_BINARY " " + command + output}, "", "/bin/sh");
      EXPECT_EQ(outcome.status, 1) << command << output;
      EXPECT_EQ(lines_of(outcome.err).size(), 1u) << command << output << '\n' << outcome.err;
      EXPECT_NE(outcome.err.find("standard output"), std::string::npos) << outcome.err;
    }
  }
}

TEST_F(Commands, SaysHowManyTextsAreEmpty) {
  std::string texts = read(folder_->path() / "new.csv");
  write(folder_->path() / "gaps.csv", texts + "\"\",cardio\n\" \",neuro\n");
  const Outcome outcome =
      holdfast({"train", "recipe.toml", "--dry-run", "--set", "new.train=gaps.csv"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.err.find("gaps.csv: 2 of 66 texts are empty"), std::string::npos)
      << outcome.err;
}

TEST_F(Commands, AVeryLongWordTeachesNothing) {
  const std::string texts = "goal goal team team\n";
  write(folder_->path() / "short.txt", texts);
  write(folder_->path() / "long.txt", texts + std::string(3'000'000, 'z') + '\n');
  for (const std::string name : {"short", "long"})
    ASSERT_EQ(
        holdfast({"train-tokenizer", "--size", "90", name + ".txt", "-o", name + ".vocab"}).status,
        0);
  EXPECT_EQ(read(folder_->path() / "long.vocab"), read(folder_->path() / "short.vocab"));
}

TEST_F(Commands, EvaluateAsJson) {
  const Outcome outcome = holdfast(
      {"evaluate", "--model", "runs/old/model", "--data", "old_test.csv", "--json", "--quiet"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json result = json(outcome.out);
  EXPECT_EQ(result.at("task").as_string(), "old");
  EXPECT_EQ(result.at("n").as_int64(), 24);
  const double accuracy = result.at("accuracy").as_double();
  EXPECT_GT(accuracy, 0.8);  // each text has a word that tells
  EXPECT_LE(result.at("accuracy_ci95").array()[0].as_double(), accuracy);
  std::int64_t sum = 0;
  for (const Json& row : result.at("confusion").array())
    for (const Json& count : row.array()) sum += count.as_int64();
  EXPECT_EQ(sum, 24);
  for (const char* key : {"macro_f1", "loss", "per_class"})
    EXPECT_NE(result.find(key), nullptr) << key;
}

TEST_F(Commands, InitOfOneSeedIsOneModel) {
  for (const char* name : {"first", "second"})
    ASSERT_EQ(
        holdfast({"init", "--config", "config.json", "--vocab", "vocab.txt", "-o", name}).status,
        0);
  const auto bytes = [](const std::string& name) {
    return read(folder_->path() / name / "model.safetensors");
  };
  EXPECT_EQ(bytes("first"), bytes("second"));
  ASSERT_EQ(holdfast({"init", "--config", "config.json", "--vocab", "vocab.txt", "-o", "third",
                      "--seed", "8"})
                .status,
            0);
  EXPECT_NE(bytes("first"), bytes("third"));
}

TEST_F(Commands, SelectWritesTextsWithReasons) {
  for (const char* method : {"tfidf", "random", "balanced", "herding", "reservoir"}) {
    const Outcome outcome =
        holdfast({"select", "--old", "old.csv", "--new", "new.csv", "--model", "runs/old/model",
                  "--fraction", "0.25", "--method", method, "-o", "kept.csv"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const auto lines = lines_of(read(folder_->path() / "kept.csv"));
    ASSERT_EQ(lines.size(), 17u) << method;
    EXPECT_EQ(lines[0], "task,line,label,score,reason,text,text_pair");
  }
}

TEST_F(Commands, SelectionsOfBytesAreAsLargeAsTheBudget) {
  for (const char* method : {"tfidf", "herding", "reservoir"}) {
    const Outcome outcome = holdfast({"select", "--old", "old.csv", "--new", "new.csv", "--model",
                                      "runs/old/model", "--budget", "1KiB", "--method", method,
                                      "--task", "news", "--json", "--quiet", "-o", "kept.csv"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    std::size_t bytes = 0;
    std::int64_t rows = 0;
    for (const std::string& line : lines_of(read(folder_->path() / "kept.csv"))) {
      if (!line.starts_with("news,")) continue;
      const std::size_t end = line.rfind(',');  // text_pair is empty, and written as ""
      bytes += end - line.rfind(',', end - 1) - 1;
      ++rows;
    }
    EXPECT_EQ(json(outcome.out).at("kept").as_int64(), rows) << method;
    EXPECT_LE(bytes, 1024U) << method;
    EXPECT_GT(bytes, 900U) << method;
  }
}

TEST_F(Commands, FisherWritesOneValueAWeight) {
  const Outcome outcome =
      holdfast({"fisher", "--model", "runs/old/model", "--data", "old.csv", "--samples", "20",
                "--json", "--quiet", "-o", "importance.safetensors"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json result = json(outcome.out);
  EXPECT_EQ(result.at("samples").as_int64(), 20);
  EXPECT_GT(result.at("mean_positive").as_double(), 0);
  const std::string file = read(folder_->path() / "importance.safetensors");
  EXPECT_NE(file.find("encoder.layer.0.attention.self.query.weight"), std::string::npos);
  EXPECT_NE(holdfast({"fisher", "--explain"}).out.find("Kirkpatrick"), std::string::npos);
}

TEST_F(Commands, InfoOfTheBuildAndOfAModel) {
  const Json build = json(holdfast({"info", "--json"}).out);
  EXPECT_GE(build.at("cpus").as_int64(), 1);
  EXPECT_NE(build.at("gemm").as_string().find("OpenBLAS"), std::string::npos);
  const Json card = json(holdfast({"info", "--model", "runs/old/model", "--json"}).out);
  EXPECT_EQ(card.at("layers").as_int64(), 1);
  EXPECT_EQ(card.at("heads").array()[0].at("labels"), Json::list({"money", "sport"}));
}

TEST_F(Commands, DryRunPlansAndWritesNothing) {
  const auto before = listing(folder_->path());
  const Outcome outcome = holdfast({"compare", "recipe.toml", "--dry-run", "--json", "--quiet"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json plan = json(outcome.out);
  EXPECT_EQ(plan.at("arms").as_int64(), 3);
  EXPECT_EQ(plan.at("steps").as_int64(), 16);
  EXPECT_GT(plan.at("memory_bytes").as_int64(), 0);
  EXPECT_GT(plan.at("smallest_detectable_drop").at("old").as_double(), 0);
  EXPECT_EQ(listing(folder_->path()), before);
}

TEST_F(Commands, TrainKeepsBothHeadsAndLeavesAReport) {
  const Outcome outcome =
      holdfast({"train", "recipe.toml", "--json", "--quiet", "--output", "runs/kept"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Json metrics = json(outcome.out);
  EXPECT_EQ(metrics.at("tasks").at("old").at("role").as_string(), "old");
  EXPECT_EQ(metrics.at("steps").as_int64(), 16);
  const auto files = listing(folder_->path() / "runs" / "kept");
  for (const char* name :
       {"metrics.json", "ledger.jsonl", "recipe.toml", "report.html", "model/config.json",
        "model/model.safetensors", "model/heads.safetensors", "model/holdfast.json"})
    EXPECT_TRUE(files.contains(name)) << name;
  const Outcome both =
      holdfast({"predict", "--model", "runs/kept/model", "--quiet", "--text", "the goal"});
  ASSERT_EQ(both.status, 0) << both.err;
  EXPECT_EQ(lines_of(both.out).size(), 2u);
  EXPECT_NE(both.out.find("old: "), std::string::npos);
  EXPECT_NE(both.out.find("new: "), std::string::npos);
}

TEST_F(Commands, CompareTellsWhatWasLostAndGained) {
  const Outcome outcome = holdfast(
      {"compare", "recipe.toml", "--leave-one-out", "--quiet", "--output", "runs/compared"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  for (const char* part :
       {"naive at 0.001", "naive at 0.005", "recipe", "loses", "reaches", "time:", "replay", "ewc"})
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << '\n' << outcome.out;
  const Json metrics = json(read(folder_->path() / "runs" / "compared" / "metrics.json"));
  for (const char* key : {"naive", "recipe", "overhead"})
    EXPECT_NE(metrics.find(key), nullptr) << key;
  EXPECT_TRUE(listing(folder_->path() / "runs" / "compared").contains("report.html"));
}

TEST_F(Commands, CtrlCSavesAModelThatLoads) {
  const Outcome outcome = run_and_interrupt(
      folder_->path(),
      {"train", "recipe.toml", "--output", "runs/stopped", "--set", "training.steps=1000000"},
      "train");
  EXPECT_EQ(outcome.status, 130) << outcome.err;
  EXPECT_NE(outcome.err.find("stopping after this step"), std::string::npos) << outcome.err;
  const Outcome card = holdfast({"info", "--model", "runs/stopped/model", "--json"});
  ASSERT_EQ(card.status, 0) << card.err;
  EXPECT_EQ(json(card.out).at("heads").array().size(), 2u);
  const Json metrics = json(read(folder_->path() / "runs" / "stopped" / "metrics.json"));
  EXPECT_TRUE(metrics.at("interrupted").as_bool());
}

}  // namespace
}  // namespace holdfast::test
