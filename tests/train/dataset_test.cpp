#include "train/dataset.h"

#include <gtest/gtest.h>

#include "base/parallel.h"
#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"

namespace holdfast {
namespace {

std::vector<Example> labelled(const std::vector<std::string>& labels) {
  std::vector<Example> examples;
  for (const std::string& label : labels) examples.push_back({"the goal", "", label, 2});
  return examples;
}

TEST(Dataset, SortsLabelsAsIntegersWhenAllAre) {
  EXPECT_EQ(sorted_labels(labelled({"10", "9", "-1", "9"})),
            (std::vector<std::string>{"-1", "9", "10"}));
  EXPECT_EQ(sorted_labels(labelled({"10", "9", "x"})), (std::vector<std::string>{"10", "9", "x"}));
}

TEST(Dataset, ReadsBothTasks) {
  const RunFixture files;
  const Inputs inputs = load_inputs(files.plain());
  ASSERT_EQ(inputs.tasks.size(), 2U);
  const TaskData& news = inputs.tasks[0];
  EXPECT_TRUE(news.old);
  EXPECT_EQ(news.labels, files.kNewsLabels);  // the head's order, not sorted
  EXPECT_EQ(news.train.size(), 200U);
  EXPECT_EQ(news.valid.size(), 40U);
  EXPECT_EQ(news.test.size(), 60U);
  EXPECT_EQ(inputs.fresh().labels, files.kMedicalLabels);
  EXPECT_EQ(inputs.fresh().train.size(), inputs.fresh().examples.size());
  ASSERT_NE(inputs.model.head("medical"), nullptr);
  const Sample& first = news.train[0];
  EXPECT_EQ(first.ids.front(), inputs.tokenizer.cls_id());
  EXPECT_EQ(first.ids.back(), inputs.tokenizer.sep_id());
  EXPECT_EQ(first.id, 2);  // the first line is the header
  EXPECT_EQ(news.labels[static_cast<std::size_t>(first.label)], news.examples[0].label);
}

TEST(Dataset, IsTheSameForAnyNumberOfThreads) {
  const RunFixture files;
  const std::string one = load_inputs(files.plain()).digest();
  set_thread_count(4);
  EXPECT_EQ(load_inputs(files.plain()).digest(), one);
  set_thread_count(1);
  write_file(files.path("news_test.csv"), "text,label\nthe goal,sports\n");
  EXPECT_NE(load_inputs(files.plain()).digest(), one);
}

TEST(Dataset, TakesTheOnlyHeadNamedDefault) {
  const RunFixture files;
  std::filesystem::remove(files.path("model") / "holdfast.json");
  std::filesystem::remove(files.path("model") / "heads.safetensors");
  const Inputs inputs = load_inputs(files.plain());
  EXPECT_EQ(inputs.tasks[0].labels, files.kNewsLabels);
  EXPECT_EQ(inputs.model.head("default"), nullptr);
  EXPECT_NE(inputs.notices.size(), 0U);
}

TEST(Dataset, TakesNumbersForNamelessClasses) {
  const RunFixture files;
  const Inputs inputs = load_inputs(files.plain());
  const std::vector<Sample> samples =
      to_samples(labelled({"1", "LABEL_0"}), {}, "f.csv", {"LABEL_0", "LABEL_1"}, inputs.tokenizer);
  EXPECT_EQ(samples[0].label, 1);
  EXPECT_EQ(samples[1].label, 0);
}

TEST(Dataset, CutsTextsAtMaxLength) {
  const RunFixture files;
  Recipe recipe = files.plain();
  recipe.fresh.max_length = 5;
  const Inputs inputs = load_inputs(recipe);
  for (const Sample& sample : inputs.fresh().train) EXPECT_LE(sample.ids.size(), 5U);
}

TEST(Dataset, GivesPairsTwoTypes) {
  const RunFixture files;
  write_file(files.path("medical_train.csv"),
             "text,second,label\nthe heart,a cell,cardiology\nthe tumor,a,oncology\n");
  Recipe recipe = files.plain();
  recipe.fresh.text_pair = "second";
  recipe.fresh.valid.clear();
  recipe.fresh.test.clear();
  const Inputs inputs = load_inputs(recipe);
  EXPECT_EQ(inputs.fresh().train[0].type_ids, (std::vector<std::int32_t>{0, 0, 0, 0, 1, 1, 1}));
}

TEST(Dataset, NamesAClassWithoutTexts) {
  const RunFixture files;
  write_file(files.path("medical_test.csv"), "text,label\nthe heart,cardiology\n");
  const Inputs inputs = load_inputs(files.plain());
  ASSERT_EQ(inputs.notices.size(), 1U);
  EXPECT_NE(inputs.notices[0].find("no text has the label oncology"), std::string::npos);
}

TEST(Dataset, RefusesWhatDoesNotFit) {
  struct Case {
    const char* name;
    const char* message;
    std::function<void(const RunFixture&, Recipe&)> spoil;
  };
  const std::vector<Case> cases = {
      {"wrong label", "medical_valid.csv:3: the label \"surgery\" is none of task medical's",
       [](const RunFixture& files, Recipe&) {
         write_file(files.path("medical_valid.csv"),
                    "text,label\nthe heart,cardiology\na cell,surgery\n");
       }},
      {"old label", "is none of task news's: sports, business, politics",
       [](const RunFixture& files, Recipe&) {
         write_file(files.path("news_train.csv"), "text,label\nthe goal,weather\n");
       }},
      {"one class", "a task needs two",
       [](const RunFixture& files, Recipe&) {
         write_file(files.path("medical_train.csv"), "text,label\nthe heart,cardiology\n");
       }},
      {"no texts", "news_test.csv",
       [](const RunFixture& files, Recipe&) {
         write_file(files.path("news_test.csv"), "text,label\n");
       }},
      {"no file", "nowhere.csv",
       [](const RunFixture& files, Recipe& recipe) {
         recipe.fresh.test = files.path("nowhere.csv");
       }},
      {"no model", "nowhere",
       [](const RunFixture& files, Recipe& recipe) { recipe.model = files.path("nowhere"); }},
      {"no column", "body", [](const RunFixture&, Recipe& recipe) { recipe.fresh.text = "body"; }},
      {"bad utf-8", "news_train.csv:2",
       [](const RunFixture& files, Recipe&) {
         write_file(files.path("news_train.csv"), "text,label\nthe \xFF goal,sports\n");
       }},
      {"malformed", "news_train.csv:2",
       [](const RunFixture& files, Recipe&) {
         write_file(files.path("news_train.csv"), "text,label\n\"the goal,sports\n");
       }},
      {"no head", "has no head for the old task law",
       [](const RunFixture&, Recipe& recipe) { recipe.old[0].name = "law"; }},
      {"other labels", "give the new task another name",
       [](const RunFixture&, Recipe& recipe) {
         recipe.fresh.name = "news";
         recipe.old.clear();
       }},
      {"too long", "max_length is 33",
       [](const RunFixture&, Recipe& recipe) { recipe.fresh.max_length = 33; }},
      {"other vocabulary", "do not belong together",
       [](const RunFixture& files, Recipe&) {
         std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
         for (int i = 0; i < 100; ++i) vocabulary.push_back(std::to_string(i));
         Tokenizer::from_vocab(vocabulary).save(files.path("model"), 32);
       }},
      {"truncated weights", "model.safetensors", [](const RunFixture& files, Recipe&) {
         const std::filesystem::path file = files.path("model") / "model.safetensors";
         std::filesystem::resize_file(file, std::filesystem::file_size(file) - 8);
       }}};
  for (const Case& c : cases) {
    const RunFixture files;
    Recipe recipe = files.plain();
    c.spoil(files, recipe);
    expect_error<std::runtime_error>(c.name, c.message, [&] { load_inputs(recipe); });
  }
}

}  // namespace
}  // namespace holdfast
