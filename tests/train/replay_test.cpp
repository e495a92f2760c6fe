#include "train/replay.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/features.h"

namespace holdfast {
namespace {

TEST(Replay, KeepsAShareOrACount) {
  TaskData old;
  old.name = "news";
  old.train.resize(47);
  ReplayRecipe replay;
  EXPECT_EQ(texts_to_keep(replay, old).amount, 5);  // 4.7
  replay.keep = 0.001;
  EXPECT_EQ(texts_to_keep(replay, old).amount, 1);
  replay.count = 47;
  EXPECT_EQ(texts_to_keep(replay, old).amount, 47);
  replay.count = 48;
  expect_error<std::runtime_error>("too many", "task news has 47",
                                   [&] { texts_to_keep(replay, old); });
}

TEST(Replay, EveryMethodKeepsDifferentTexts) {
  const RunFixture files;
  const Inputs inputs = load_inputs(files.full());
  Model model = inputs.model.clone();
  const auto features = [&] { return pooled_features(model, inputs.tasks[0].train); };
  for (const char* method : {"tfidf", "random", "balanced", "herding", "reservoir"}) {
    ReplayRecipe replay;
    replay.select = method;
    const Memory memory =
        select_memory(replay, inputs.tasks[0], inputs.fresh(), inputs.tokenizer, 7, features);
    ASSERT_EQ(memory.samples.size(), 20U) << method;
    std::set<std::int64_t> lines;
    for (const Sample& sample : memory.samples) lines.insert(sample.id);
    EXPECT_EQ(lines.size(), 20U) << method;
  }
}

TEST(Replay, ReplayCsvReadsBackAsExamples) {
  const RunFixture files;
  write_file(files.path("news_train.csv"),
             "text,label\n\"the goal, a \"\"match\"\"\",sports\nthe law,politics\n");
  const Inputs inputs = load_inputs(files.full());
  ReplayRecipe replay;
  replay.count = 2;
  const Memory memory = select_memory(replay, inputs.tasks[0], inputs.fresh(), inputs.tokenizer, 7);
  write_replay(files.path("replay.csv"), std::span(&memory, 1), inputs.tasks);
  const std::vector<Example> examples = read_examples(files.path("replay.csv"), {});
  ASSERT_EQ(examples.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const Example& kept =
        inputs.tasks[0].examples[static_cast<std::size_t>(memory.selected[i].index)];
    EXPECT_EQ(examples[i].text, kept.text);
    EXPECT_EQ(examples[i].label, kept.label);
  }
}

TEST(Replay, ABudgetOfBytes) {
  const RunFixture files;
  const Inputs inputs = load_inputs(files.full());
  ReplayRecipe replay;
  replay.budget = 500;
  const TaskData& old = inputs.tasks[0];
  const Memory memory = select_memory(replay, old, inputs.fresh(), inputs.tokenizer, 7);
  std::int64_t bytes = 0;
  for (const Selected& selected : memory.selected) {
    bytes += static_cast<std::int64_t>(
        old.examples[static_cast<std::size_t>(selected.index)].text.size());
  }
  EXPECT_LE(bytes, 500);
  EXPECT_GT(bytes, 400);
  replay.budget = 2;
  expect_error<std::runtime_error>("too small", "holds none of the texts of task news", [&] {
    select_memory(replay, old, inputs.fresh(), inputs.tokenizer, 7);
  });
}

// A memory as an earlier run left it.
std::filesystem::path memory_file(const RunFixture& files, const std::string& text) {
  write_file(files.path("replay.csv"), text);
  return files.path("replay.csv");
}

TEST(Replay, AMemoryComesBackAsItWasWritten) {
  const RunFixture files;
  write_file(files.path("news_train.csv"),
             "text,label\n\"the goal, a \"\"match\"\"\",sports\n\"the\nlaw\",politics\n");
  const Inputs inputs = load_inputs(files.full());
  ReplayRecipe replay;
  replay.count = 2;
  const Memory memory = select_memory(replay, inputs.tasks[0], inputs.fresh(), inputs.tokenizer, 7);
  write_replay(files.path("replay.csv"), std::span(&memory, 1), inputs.tasks);
  const StoredMemory stored =
      read_memory(files.path("replay.csv"), "news", inputs.tasks[0].labels, false);
  ASSERT_EQ(stored.examples.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const Selected& kept = memory.selected[i];
    const Example& example = inputs.tasks[0].examples[static_cast<std::size_t>(kept.index)];
    EXPECT_EQ(stored.examples[i].text, example.text);
    EXPECT_EQ(stored.examples[i].label, example.label);
    EXPECT_EQ(stored.examples[i].line, example.line);
    EXPECT_EQ(stored.selected[i].index, static_cast<std::int64_t>(i));
    EXPECT_NEAR(stored.selected[i].score, kept.score, 1e-6);
    EXPECT_EQ(stored.selected[i].reason, kept.reason);
  }
}

TEST(Replay, TasksInOneFileAreToldApart) {
  const RunFixture files;
  const auto path = memory_file(files,
                                "task,label,text,text_pair\nnews,a,one,\nother,x,two,\n"
                                "news,b,three,pair\n,a,four,\n");
  const StoredMemory stored = read_memory(path, "news", {"a", "b"}, true);
  ASSERT_EQ(stored.examples.size(), 3U);
  EXPECT_EQ(stored.examples[1].text, "three");
  EXPECT_EQ(stored.examples[1].pair, "pair");
  EXPECT_EQ(stored.examples[2].text, "four");
  expect_error<std::runtime_error>("whose", "replay.csv:5: the row names no task", [&] {
    read_memory(path, "news", {"a", "b"}, false);
  });
}

TEST(Replay, AFileOfTextsAndLabelsIsAMemory) {
  const RunFixture files;
  const auto path = memory_file(files, "text,label\none,1\n");
  EXPECT_EQ(read_memory(path, "news", {"LABEL_0", "LABEL_1"}, true).examples.size(), 1U);
  EXPECT_EQ(read_memory(path, "news", {"1", "2"}, true).examples.size(), 1U);
}

TEST(Replay, RefusesABrokenMemory) {
  const RunFixture files;
  struct {
    const char *name, *text, *error;
  } cases[] = {
      {"no text", "task,label\n", "replay.csv:1: there is no column \"text\""},
      {"no label", "task,text\n", "replay.csv:1: there is no column \"label\""},
      {"label", "text,label\nx,a\ny,c\n", "replay.csv:3: the label \"c\" is none of task news's"},
      {"score", "text,label,score\nx,a,high\n", "replay.csv:2: the score \"high\""},
      {"line", "text,label,line\nx,a,1.5\n", "replay.csv:2: the line \"1.5\""},
      {"width", "text,label\nx,a,1\n", "replay.csv:2: the row has 3 fields"},
      {"other", "text,label,task\nx,a,law\ny,a,art\n",
       "has no texts of task news; it has those of art, law"},
      {"empty", "text,label\n", "has no texts of task news"},
  };
  for (const auto& c : cases) {
    const auto path = memory_file(files, c.text);
    expect_error<std::runtime_error>(c.name, c.error, [&] {
      read_memory(path, "news", {"a", "b"}, true);
    });
  }
}

}  // namespace
}  // namespace holdfast
