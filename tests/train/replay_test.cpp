#include "train/replay.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"

namespace holdfast {
namespace {

TEST(Replay, KeepsAShareOrACount) {
  TaskData old;
  old.name = "news";
  old.train.resize(47);
  ReplayRecipe replay;
  EXPECT_EQ(texts_to_keep(replay, old), 5);  // 4.7
  replay.keep = 0.001;
  EXPECT_EQ(texts_to_keep(replay, old), 1);
  replay.count = 47;
  EXPECT_EQ(texts_to_keep(replay, old), 47);
  replay.count = 48;
  expect_error<std::runtime_error>("too many", "task news has 47",
                                   [&] { texts_to_keep(replay, old); });
}

TEST(Replay, EveryMethodKeepsDifferentTexts) {
  const RunFixture files;
  const Inputs inputs = load_inputs(files.full());
  for (const char* method : {"tfidf", "random", "balanced"}) {
    ReplayRecipe replay;
    replay.select = method;
    const Memory memory =
        select_memory(replay, inputs.tasks[0], inputs.fresh(), inputs.tokenizer, 7);
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

}  // namespace
}  // namespace holdfast
