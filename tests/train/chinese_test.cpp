// Texts in Chinese from the file to the choice: an ideograph is a word, and nothing needs a space.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "audit/reference/small_bert.h"
#include "base/file.h"
#include "base/utf8.h"
#include "tests/reference/temporary_folder.h"
#include "tests/train/chinese_texts.h"
#include "tokenizer/tokenizer.h"
#include "train/augment.h"
#include "train/replay.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

Tokenizer tokenizer() {
  std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (const std::string& character : chinese::characters()) vocabulary.push_back(character);
  return Tokenizer::from_vocab(vocabulary);
}

std::vector<Example> examples(const TemporaryFolder& folder, const std::string& csv) {
  write_file(folder / "texts.csv", csv);
  return read_examples(folder / "texts.csv", {});
}

// The task of these texts, tokenised.
TaskData task(const std::string& name, std::vector<Example> texts, const Tokenizer& tokens) {
  TaskData out;
  out.name = name;
  out.labels = sorted_labels(texts);
  DataRecipe data;
  data.name = name;
  out.train = to_samples(texts, data, name, out.labels, tokens);
  out.examples = std::move(texts);
  return out;
}

TEST(Chinese, EveryIdeographIsATokenThatIsKnown) {
  const Tokenizer tokens = tokenizer();
  EXPECT_EQ(tokens.words("今天心脏，说。"),
            (std::vector<std::string>{"今", "天", "心", "脏", "，", "说", "。"}));
  const TemporaryFolder folder;
  for (const Example& example : examples(folder, chinese::csv(chinese::news(), 50, 1))) {
    const Encoding encoding = tokens.encode(example.text);
    EXPECT_EQ(encoding.ids.size(), example.text.size() / 3 + 2);
    EXPECT_EQ(std::count(encoding.ids.begin(), encoding.ids.end(), tokens.unk_id()), 0);
  }
}

TEST(Chinese, SelectionKeepsWhatIsLikeTheNewTask) {
  const TemporaryFolder folder;
  const Tokenizer tokens = tokenizer();
  std::vector<Example> texts = examples(folder, chinese::csv(chinese::news(), 200, 1));
  for (const std::size_t i : {17U, 60U, 150U}) {
    texts[i].text = "心脏肿瘤细胞动脉" + texts[i].text;
  }
  const TaskData old = task("新闻", std::move(texts), tokens);
  const TaskData fresh =
      task("医学", examples(folder, chinese::csv(chinese::medical(), 60, 2)), tokens);
  ReplayRecipe replay;
  replay.count = 12;
  const Memory memory = select_memory(replay, old, fresh, tokens, 7);
  std::set<std::int64_t> kept;
  for (const Selected& selected : memory.selected) kept.insert(selected.index);
  EXPECT_EQ(kept.size(), 12U);
  for (const std::int64_t i : {17, 60, 150}) EXPECT_TRUE(kept.contains(i)) << i;

  write_replay(folder / "replay.csv", std::span(&memory, 1), std::span(&old, 1));
  const StoredMemory stored = read_memory(folder / "replay.csv", "新闻", old.labels, false);
  ASSERT_EQ(stored.examples.size(), memory.selected.size());
  for (std::size_t i = 0; i < stored.examples.size(); ++i) {
    const Example& example = old.examples[static_cast<std::size_t>(memory.selected[i].index)];
    EXPECT_EQ(stored.examples[i].text, example.text);
    EXPECT_EQ(stored.examples[i].label, example.label);
  }
}

TEST(Chinese, AugmentationExchangesIdeographsAndLeavesPunctuation) {
  const TemporaryFolder folder;
  const Augmenter augment({.swap = 0.3}, {}, 7);
  int changed = 0;
  for (const Example& example : examples(folder, chinese::csv(chinese::news(), 50, 1))) {
    const std::string text = augment(example.text, 0, example.line, 0);
    ASSERT_EQ(utf8::first_invalid(text), std::string::npos);
    EXPECT_EQ(text.size(), example.text.size());
    EXPECT_EQ(text.find("，"), example.text.find("，"));
    EXPECT_TRUE(text.ends_with("。"));
    const auto sorted = [](const std::string& all) {
      std::multiset<std::string> characters;
      for (std::size_t at = 0; at < all.size(); at += 3) characters.insert(all.substr(at, 3));
      return characters;
    };
    EXPECT_EQ(sorted(text), sorted(example.text));
    changed += text != example.text ? 1 : 0;
  }
  EXPECT_GT(changed, 30);
}

// A tiny model learns Chinese news from nothing, then medicine with every kind of help.
TEST(Chinese, TrainsFromNothingAndThenWithoutForgetting) {
  const TemporaryFolder folder;
  const auto path = [&](const std::string& name) { return (folder / name).string(); };
  BertConfig config = small_bert(tokenizer().size(), 32, 1, 0.1);
  config.intermediate_size = 64;
  std::filesystem::create_directory(path("fresh"));
  Model::create(config, DType::f32, 3).save(path("fresh"), "");
  tokenizer().save(path("fresh"), 64);
  const auto data = [&](const std::string& name, const chinese::Subject& subject) {
    DataRecipe recipe;
    recipe.name = name;
    recipe.max_length = 64;
    std::uint64_t seed = 1;
    for (const auto& [file, texts] :
         {std::pair(&recipe.train, 240), {&recipe.valid, 60}, {&recipe.test, 100}}) {
      *file = path(name + std::to_string(seed) + ".csv");
      write_file(*file, chinese::csv(subject, texts, seed++));
    }
    return recipe;
  };
  Recipe recipe;
  recipe.model = path("fresh");
  recipe.output = path("news");
  recipe.threads = 1;
  recipe.fresh = data("新闻", chinese::news());
  recipe.training.steps = 60;
  recipe.learning_rate.rate = 5e-3;
  EXPECT_GT(run_recipe(recipe).fresh().after->accuracy, 0.95);

  recipe.model = path("news/model");
  recipe.output = path("medical");
  recipe.old = {recipe.fresh};
  recipe.fresh = data("医学", chinese::medical());
  recipe.replay.emplace();
  recipe.ewc.emplace();
  recipe.augment = AugmentRecipe{0.1, 0.1, 0, 0, ""};
  const RunResult result = run_recipe(recipe);
  EXPECT_GT(result.tasks[0].after->accuracy, 0.95);
  EXPECT_GT(result.fresh().after->accuracy, 0.95);
  EXPECT_EQ(result.fresh().after->labels.front(), "心脏科");
}

}  // namespace
}  // namespace holdfast
