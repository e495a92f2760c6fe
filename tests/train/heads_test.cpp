#include "train/heads.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/dataset.h"

namespace holdfast {
namespace {

using Labels = std::vector<std::string>;

// News, then medical, then law into one head, each model read back from its folder. Texts are
// generated; what they say is of no matter here.
class ClassScenario : public testing::Test {
 protected:
  /// The inputs of a run that adds `name` with these labels; the model is saved for the next.
  Inputs add(const std::string& name, const Labels& labels) {
    write(name, labels);
    Recipe recipe = files_.plain();
    recipe.model = model_;
    recipe.heads.scenario = "class";
    recipe.old.clear();
    for (const std::string& old : known_) recipe.old.push_back(data(old));
    recipe.fresh = data(name);
    known_.push_back(name);
    Inputs inputs = load_inputs(recipe);
    Model grown = inputs.model.clone();
    if (const TaskHeads& heads = inputs.tasks[0].heads; heads.start != heads.now) {
      grown.remove_head(heads.start);
    }
    model_ = files_.path("with " + name);
    grown.save(model_, inputs.fresh().heads.now);
    inputs.tokenizer.save(model_, 32);
    return inputs;
  }

  /// Starts from a head "news" with these labels.
  void start(const Labels& labels) {
    Model model = Model::load(model_, DType::f32);
    model.remove_head("news");
    model.add_head("news", labels, 3);
    model.save(model_, "news");
    write("news", labels);
  }

  /// The class of every label in the task's training texts.
  static std::map<std::string, int> classes(const TaskData& task) {
    std::map<std::string, int> classes;
    for (std::size_t n = 0; n < task.train.size(); ++n) {
      const auto [at, first] = classes.emplace(task.examples[n].label, task.train[n].label);
      EXPECT_TRUE(first || at->second == task.train[n].label) << at->first;
    }
    return classes;
  }

  DataRecipe data(const std::string& name) const {
    DataRecipe data;
    data.name = name;
    data.train = files_.path(name + ".csv");
    data.max_length = 16;
    return data;
  }

  void write(const std::string& name, const Labels& labels) const {
    std::string csv = "text,label\n";
    for (const std::string& label : labels)
      csv += "the goal," + label + "\nthe vote," + label + '\n';
    write_file(files_.path(name + ".csv"), csv);
  }

  using Classes = std::map<std::string, int>;
  RunFixture files_;
  std::filesystem::path model_ = files_.path("model");
  Labels known_ = {"news"};
};

TEST_F(ClassScenario, ATextHasItsOwnTasksClassWhenAnOlderOneHasTheLabel) {
  start({"sports", "world"});
  add("medical", {"cell", "heart"});
  const Inputs inputs = add("law", {"bill", "world"});
  EXPECT_EQ(classes(inputs.tasks[0]), (Classes{{"sports", 0}, {"world", 1}}));
  EXPECT_EQ(classes(inputs.tasks[1]), (Classes{{"cell", 2}, {"heart", 3}}));
  EXPECT_EQ(classes(inputs.tasks[2]), (Classes{{"bill", 4}, {"world", 5}}));
  EXPECT_EQ(inputs.fresh().labels, (Labels{"news:sports", "news:world", "medical:cell",
                                           "medical:heart", "law:bill", "law:world"}));
}

TEST_F(ClassScenario, OldTasksKeepTheirClassesWhenALaterOneHasTheLabelAgain) {
  start({"sports", "world"});
  add("medical", {"cell", "world"});
  const Inputs inputs = add("law", {"bill", "world"});
  EXPECT_EQ(classes(inputs.tasks[0]), (Classes{{"sports", 0}, {"world", 1}}));
  EXPECT_EQ(classes(inputs.tasks[1]), (Classes{{"cell", 2}, {"world", 3}}));
  EXPECT_EQ(classes(inputs.tasks[2]), (Classes{{"bill", 4}, {"world", 5}}));
  const Inputs fourth = add("tax", {"law:bill", "world"});  // looks like another's name
  EXPECT_EQ(classes(fourth.tasks[2]), (Classes{{"bill", 4}, {"world", 5}}));
  EXPECT_EQ(classes(fourth.tasks[3]), (Classes{{"law:bill", 6}, {"world", 7}}));
}

TEST_F(ClassScenario, LabelsThatAreUniqueKeepTheirNames) {
  start({"sports", "world"});
  const Inputs inputs = add("medical", {"cell", "heart"});
  EXPECT_EQ(inputs.fresh().labels, (Labels{"sports", "world", "cell", "heart"}));
  EXPECT_TRUE(inputs.notices.empty()) << inputs.notices.front();
}

TEST_F(ClassScenario, ALabelOfAnotherTaskIsRefused) {
  start({"sports", "world"});
  add("medical", {"cell", "heart"});
  write("medical", {"cell", "world"});
  expect_error<std::runtime_error>("foreign", "\"world\" is none of task medical's: cell, heart",
                                   [&] {
                                     add("law", {"bill", "act"});
                                   });
}

TEST_F(ClassScenario, TasksThatShareTheirClassesGoOnSharingThem) {
  start({"sports", "world"});
  Model model = Model::load(model_, DType::f32);
  model.rename_head("news", "news+blogs");  // as scenario "domain" does
  model.save(model_, "news+blogs");
  write("blogs", {"sports", "world"});
  known_ = {"news", "blogs"};
  const Inputs inputs = add("law", {"bill", "world"});
  EXPECT_EQ(classes(inputs.tasks[0]), classes(inputs.tasks[1]));
  EXPECT_EQ(classes(inputs.tasks[2]), (Classes{{"bill", 2}, {"world", 3}}));
  EXPECT_EQ(inputs.fresh().labels[1], "news+blogs:world");
}

}  // namespace
}  // namespace holdfast
