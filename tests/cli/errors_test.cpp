// Every bad input: exit status 2, one line that begins with "holdfast: ", and nothing written.
#include <gtest/gtest.h>

#include <fstream>

#include "tests/cli/program.h"

namespace holdfast::test {
namespace {

struct Case {
  const char* name;
  std::vector<std::string> arguments;
  const char* says;  // part of the message
};

class BadInput : public testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<Folder>();
    const auto& path = folder_->path();
    make_small_project(path);
    write(path / "ragged.csv", "text,label\n\"a\",b\n\"a\",b,c\n");
    write(path / "open_quote.csv", "text,label\n\"a,b\n");
    write(path / "wrong_label.csv", "text,label\na,sport\nb,weather\n");
    write(path / "invalid.csv", "text,label\na\xFF,sport\n");
    write(path / "no_column.csv", "words,label\na,sport\n");
    write(path / "header_only.csv", "text,label\n");
    write(path / "lines.txt", "good\nb\xC3(d\n");
    write(path / "bad.toml", "model = \n");
    write(path / "unknown.toml", read(path / "recipe.toml") + "evry = 3\n");
    std::filesystem::create_directory(path / "occupied");
    write(path / "occupied" / "letter.txt", "keep me");
    copy_model("truncated", [](std::string& bytes) { bytes.resize(bytes.size() / 2); });
    copy_model("lying", [](std::string& bytes) { bytes[5] = '\x7F'; });
    write(path / "empty.csv", "text,label\n\"\",cardio\n\" \",neuro\n");
    write(path / "empty_old.csv", "text,label\n\"\",sport\n");
    copy_model("importance", [](std::string&) {});
    const Outcome fisher =
        run(path, {"fisher", "--quiet", "--model", "runs/old/model", "--data", "old.csv",
                   "--samples", "4", "-o", "importance/model.safetensors"});
    ASSERT_EQ(fisher.status, 0) << fisher.err;
    const auto other = copy_model("contradicting", [](std::string&) {});
    std::string config = read(other / "config.json");
    const std::string width = "\"intermediate_size\": 64";
    ASSERT_NE(config.find(width), std::string::npos) << config;
    config.replace(config.find(width), width.size(), "\"intermediate_size\": 128");
    write(other / "config.json", config);
  }
  static void TearDownTestSuite() { folder_.reset(); }

  template <class Change>
  static std::filesystem::path copy_model(const std::string& name, const Change& change) {
    const auto target = folder_->path() / name;
    std::filesystem::copy(folder_->path() / "runs" / "old" / "model", target,
                          std::filesystem::copy_options::recursive);
    std::string bytes = read(target / "model.safetensors");
    change(bytes);
    write(target / "model.safetensors", bytes);
    return target;
  }

  static inline std::unique_ptr<Folder> folder_;
};

TEST_P(BadInput, IsRefusedInOneLine) {
  const auto before = listing(folder_->path());
  const Outcome outcome = run(folder_->path(), GetParam().arguments);
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
  const auto lines = lines_of(outcome.err);
  ASSERT_FALSE(lines.empty());
  EXPECT_TRUE(lines.back().starts_with("holdfast: ")) << outcome.err;
  EXPECT_NE(lines.back().find(GetParam().says), std::string::npos) << outcome.err;
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                          [](const std::string& line) { return line.starts_with("holdfast: "); }),
            1);
  EXPECT_EQ(listing(folder_->path()), before);
}

std::vector<std::string> train(const std::string& assignment) {
  return {"train", "recipe.toml", "--quiet", "--output", "out", "--set", assignment};
}

std::vector<std::string> evaluate(const std::string& data) {
  return {"evaluate", "--quiet", "--model", "runs/old/model", "--data", data};
}

INSTANTIATE_TEST_SUITE_P(
    Cli, BadInput,
    testing::Values(
        Case{"UnknownCommand", {"trian"}, "there is no command trian; did you mean train?"},
        Case{"UnknownCommandAndHelp", {"trian", "--help"}, "no command trian; did you mean train?"},
        Case{"HelpForUnknownCommand", {"help", "nonsense"}, "there is no command nonsense; see"},
        Case{"UnknownCommandBeforeAnother", {"trian", "train", "recipe.toml"}, "no command trian"},
        Case{
            "UnknownOption", {"train", "recipe.toml", "--fast"}, "train has no option --fast; see"},
        Case{"UnknownOptionInsteadOfTheRecipe", {"train", "--nonsense"}, "no option --nonsense"},
        Case{"MistypedOption",
             {"train", "recipe.toml", "--ouput", "x"},
             "train has no option --ouput; did you mean --output?"},
        Case{"MistypedOptionWithItsValue",
             {"select", "--old", "old.csv", "--cuont=3"},
             "no option --cuont; did you mean --count?"},
        Case{"OptionBeforeTheCommand",
             {"--quiet", "train", "recipe.toml"},
             "--quiet belongs after the command: holdfast train --quiet"},
        Case{"OptionBehindTheEndOfOptions",
             {"train", "--", "recipe.toml", "--dry-run"},
             "--dry-run must stand before --"},
        Case{"OneWordTooMany", {"train", "recipe.toml", "again"}, "train takes no \"again\""},
        Case{"CountOfNone",
             {"select", "--old", "old.csv", "--count", "0", "-o", "s.csv"},
             "--count: must be at least 1, found 0; see `holdfast select --help`"},
        Case{"FractionAboveOne",
             {"select", "--old", "old.csv", "--fraction", "1.5", "-o", "s.csv"},
             "--fraction: must be a number from 0 to 1, found 1.5"},
        Case{"BudgetInAnUnknownUnit",
             {"select", "--old", "old.csv", "--budget", "3pounds", "-o", "s.csv"},
             "--budget: must be at least 1 byte, as in 4096, 512KiB, 16MiB or 2GiB, found 3pounds"},
        Case{"NegativeLength",
             {"predict", "--model", "fresh", "--max-length", "-1"},
             "--max-length: must be at least 0, found -1"},
        Case{"SeedsInWords",
             {"compare", "recipe.toml", "--seeds", "few"},
             "--seeds: must be from 1 to 1000, a whole number, found few"},
        Case{"NoThreads",
             {"train", "recipe.toml", "--threads", "0"},
             "--threads: must be auto or from 1 to 1024, found 0"},
        Case{"MissingArgument", {"train"}, "recipe"},
        Case{"NoRecipe", {"train", "nothing.toml"}, "nothing.toml"},
        Case{"RecipeIsNoToml", {"train", "bad.toml"}, "bad.toml:1"},
        Case{"UnknownKey", {"train", "unknown.toml", "--output", "out"}, "every"},
        Case{"UnknownKeyInSet", train("training.stpes=3"),
             "unknown key training.stpes (did you mean training.steps?)"},
        Case{"OldWithoutItsNumber", train("old.train=x.csv"),
             "--set old.train=x.csv: there is no old.train: old is a list, whose entries are "
             "numbered "
             "from 0"},
        Case{"OutOfRange", train("training.batch_size=0"),
             "--set training.batch_size=0: training.batch_size must be"},
        Case{"WrongTypeInSet", train("training.batch_size=many"),
             "--set training.batch_size=many: batch_size must be an integer"},
        Case{"NoKeyInSet", train("training..x=1"), "--set training..x=1: what stands before ="},
        Case{"EmptyOutput", {"train", "recipe.toml", "--output", ""}, "names no folder"},
        Case{"OutputBelowAFile",
             {"train", "recipe.toml", "--quiet", "--output", "old.csv/out"},
             "'old.csv' is not a folder"},
        Case{"BudgetBelowTheModel", train("training.memory_budget=\"1KiB\""),
             "and activations come on top"},
        Case{"NoModel", train("model=\"nowhere\""), "nowhere: there is no such folder"},
        Case{"ImportanceAsWeights", train("model=\"importance\""),
             "holds no weights but importance"},
        Case{"OnlyEmptyTexts", train("new.train=\"empty.csv\""), "every text is empty"},
        Case{"TruncatedWeights", train("model=\"truncated\""), "model.safetensors"},
        Case{"LyingWeights", train("model=\"lying\""), "model.safetensors"},
        Case{"ContradictingConfig", train("model=\"contradicting\""), "contradicting"},
        Case{"NoData", train("new.train=\"nothing.csv\""), "nothing.csv"},
        Case{"RaggedCsv", train("new.train=\"ragged.csv\""), "ragged.csv:3"},
        Case{"OpenQuote", train("new.train=\"open_quote.csv\""), "open_quote.csv:2"},
        Case{"WrongLabel", train("old.0.valid=\"wrong_label.csv\""), "weather"},
        Case{"InvalidUtf8", train("new.valid=\"invalid.csv\""), "invalid.csv:2"},
        Case{"NoSuchColumn", train("new.text=\"words\""), "words"},
        Case{"OccupiedOutput",
             {"train", "recipe.toml", "--quiet", "--output", "occupied"},
             "occupied"},
        Case{"CompareNoModel",
             {"compare", "recipe.toml", "--quiet", "--output", "out", "--set", "model=\"nowhere\""},
             "nowhere"},
        Case{"DryRunNoData",
             {"train", "recipe.toml", "--quiet", "--dry-run", "--set", "new.test=\"nothing.csv\""},
             "nothing.csv"},
        Case{"EvaluateNoModel",
             {"evaluate", "--quiet", "--model", "nowhere", "--data", "old.csv"},
             "nowhere"},
        Case{"EvaluateAtTheRunOfAModel",
             {"evaluate", "--quiet", "--model", "runs/old", "--data", "old.csv"},
             "runs/old: is the folder of a run, not of a model; give runs/old/model"},
        Case{"TrainAtTheRunOfAModel", train("model=runs/old"), "give runs/old/model"},
        Case{"EvaluateWrongLabel", evaluate("wrong_label.csv"), "is none of task old's"},
        Case{"EvaluateOnlyEmptyTexts", evaluate("empty_old.csv"), "every text is empty"},
        Case{"EvaluateNoColumn", evaluate("no_column.csv"), "text"},
        Case{"EvaluateNoRows", evaluate("header_only.csv"), "header_only.csv"},
        Case{"EvaluateNoTask",
             {"evaluate", "--quiet", "--model", "runs/old/model", "--data", "old.csv", "--task",
              "sports"},
             "sports"},
        Case{"EvaluateTooLong",
             {"evaluate", "--quiet", "--model", "runs/old/model", "--data", "old.csv",
              "--max-length", "64"},
             "32"},
        Case{"PredictWithoutHead",
             {"predict", "--quiet", "--model", "fresh", "--text", "a"},
             "head"},
        Case{"PredictInvalidText",
             {"predict", "--quiet", "--model", "runs/old/model", "--text", "a\xFF"},
             "--text"},
        Case{"PredictNoFile",
             {"predict", "--quiet", "--model", "runs/old/model", "nothing.txt"},
             "nothing.txt"},
        Case{"PredictNoColumn",
             {"predict", "--quiet", "--model", "runs/old/model", "no_column.csv"},
             "there is no column \"text\""},
        Case{"PredictEndlessLine",
             {"predict", "--quiet", "--model", "runs/old/model", "/dev/zero"},
             "longer than 16 MiB"},
        Case{"TokenizeNoModel",
             {"tokenize", "--model", "nowhere", "old.csv"},
             "there is no such folder"},
        Case{"TokenizeNoTokenizer", {"tokenize", "--model", "occupied", "old.csv"}, "occupied"},
        Case{"TokenizeInvalidUtf8", {"tokenize", "--model", "fresh", "lines.txt"}, "lines.txt:2"},
        Case{"TokenizeFolder", {"tokenize", "--model", "fresh", "occupied"}, "occupied"},
        Case{"TokenizerNoFile",
             {"train-tokenizer", "--size", "50", "nothing.txt", "-o", "v.txt"},
             "nothing.txt"},
        Case{
            "TokenizerTooSmall", {"train-tokenizer", "--size", "2", "old.csv", "-o", "v.txt"}, "5"},
        Case{"TokenizerNegativeSize",
             {"train-tokenizer", "--size", "-5", "old.csv", "-o", "v.txt"},
             "size"},
        Case{"TokenizerSizeOverflows",
             {"train-tokenizer", "--size", "99999999999999999999", "old.csv", "-o", "v.txt"},
             "size"},
        Case{"TokenizerOverItsTexts",
             {"train-tokenizer", "--size", "50", "old.csv", "-o", "old.csv"},
             "would overwrite old.csv"},
        Case{"TokenizerOutputBelowAFile",
             {"train-tokenizer", "--size", "50", "nothing.txt", "-o", "old.csv/v.txt"},
             "'old.csv' is not a folder"},
        Case{"TokenizerNoOutput",
             {"train-tokenizer", "--size", "50", "old.csv", "-o", ""},
             "names no file"},
        Case{"InitOutputBelowAFile",
             {"init", "--config", "tiny", "--vocab", "vocab.txt", "-o", "old.csv/m"},
             "'old.csv' is not a folder"},
        Case{"InitOverAFile",
             {"init", "--config", "tiny", "--vocab", "vocab.txt", "-o", "old.csv"},
             "is there already"},
        Case{"InitUnknownConfig",
             {"init", "--config", "huge", "--vocab", "vocab.txt", "-o", "m"},
             "huge"},
        Case{"InitNoVocab",
             {"init", "--config", "tiny", "--vocab", "nothing.txt", "-o", "m"},
             "nothing.txt"},
        Case{"InitVocabWithoutSpecials",
             {"init", "--config", "tiny", "--vocab", "old.csv", "-o", "m"},
             "[PAD]"},
        Case{"InitOccupied",
             {"init", "--config", "tiny", "--vocab", "vocab.txt", "-o", "occupied"},
             "occupied"},
        Case{"SelectTooMany",
             {"select", "--old", "old.csv", "--new", "new.csv", "--count", "65", "-o", "s.csv"},
             "64"},
        Case{"SelectNoAmount",
             {"select", "--old", "old.csv", "--new", "new.csv", "-o", "s.csv"},
             "fraction"},
        Case{"SelectUnknownMethod",
             {"select", "--old", "old.csv", "--new", "new.csv", "--count", "5", "--method", "best",
              "-o", "s.csv"},
             "best"},
        Case{"SelectOverItsTexts",
             {"select", "--old", "old.csv", "--new", "new.csv", "--count", "5", "-o", "./new.csv"},
             "would overwrite new.csv"},
        Case{"SelectOutputIsAFolder",
             {"select", "--old", "old.csv", "--new", "new.csv", "--count", "5", "-o", "occupied"},
             "is not a file"},
        Case{"FisherIntoItsModel",
             {"fisher", "--quiet", "--model", "runs/old/model", "--data", "old.csv", "-o",
              "runs/old/model/model.safetensors"},
             "would overwrite runs/old/model"},
        Case{"FisherOutputBelowAFile",
             {"fisher", "--quiet", "--model", "nowhere", "--data", "old.csv", "-o", "new.csv/f"},
             "'new.csv' is not a folder"},
        Case{"SelectHerdingWithoutModel",
             {"select", "--old", "old.csv", "--count", "5", "--method", "herding", "-o", "s.csv"},
             "--model"},
        Case{"SelectTfidfWithoutNew",
             {"select", "--old", "old.csv", "--count", "5", "-o", "s.csv"},
             "--new"},
        Case{"SelectBudgetTooSmall",
             {"select", "--quiet", "--old", "old.csv", "--budget", "1", "--method", "random", "-o",
              "s.csv"},
             "none of the texts"},
        Case{"FisherUnknownKind",
             {"fisher", "--quiet", "--model", "runs/old/model", "--data", "old.csv", "--kind",
              "exact", "-o", "f"},
             "exact"},
        Case{"FisherNoData",
             {"fisher", "--quiet", "--model", "runs/old/model", "-o", "f"},
             "--data"},
        Case{"TraceUnknownLabel",
             {"trace", "--quiet", "--model", "runs/old/model", "--text", "a", "--label", "weather",
              "-o", "t"},
             "--label weather: is none of task old's: money, sport; nor an index from 0 to 1"},
        Case{"TraceIndexTooLarge",
             {"trace", "--quiet", "--model", "runs/old/model", "--text", "a", "--label", "2", "-o",
              "t"},
             "--label 2: is none"},
        Case{"TraceFewerLabelsThanTexts",
             {"trace", "--quiet", "--model", "runs/old/model", "--text", "a", "b", "--label",
              "sport", "-o", "t"},
             "--label: 1 given, --text 2; give one for each text"},
        Case{"TraceFewerPairsThanTexts",
             {"trace", "--quiet", "--model", "runs/old/model", "--text", "a", "b", "--pair", "c",
              "--label", "0", "1", "-o", "t"},
             "--pair: 1 given, --text 2"},
        Case{"TraceInvalidText",
             {"trace", "--quiet", "--model", "runs/old/model", "--text", "a\xFF", "--label", "0",
              "-o", "t"},
             "--text: is not UTF-8"},
        Case{"TraceInHalf",
             {"trace", "--model", "runs/old/model", "--text", "a", "--label", "0", "--precision",
              "f16", "-o", "t"},
             "f16"},
        Case{"TraceWithoutHead",
             {"trace", "--quiet", "--model", "fresh", "--text", "a", "--label", "0", "-o", "t"},
             "head"},
        Case{"TraceIntoItsModel",
             {"trace", "--quiet", "--model", "runs/old/model", "--text", "a", "--label", "0", "-o",
              "runs/old/model/t"},
             "would overwrite runs/old/model"},
        Case{"InfoNoModel", {"info", "--model", "nowhere"}, "nowhere"}),
    [](const auto& one) { return one.param.name; });

}  // namespace
}  // namespace holdfast::test
