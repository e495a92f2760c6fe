#include "train/trainer.h"

#include <gtest/gtest.h>

#include "base/parallel.h"
#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/compare.h"
#include "train/metrics.h"
#include "train/output.h"

namespace holdfast {
namespace {

std::string weights_of(const std::filesystem::path& output) {
  return file_text(output / "model" / "model.safetensors") +
         file_text(output / "model" / "heads.safetensors");
}

TEST(Trainer, LeavesWhatTheInterfaceSays) {
  const RunFixture files;
  const RunResult result = run_recipe(files.full());
  const std::filesystem::path output = files.path("out");
  for (const char* name :
       {"metrics.json", "ledger.jsonl", "recipe.toml", "replay.csv", "importance.safetensors"}) {
    EXPECT_TRUE(std::filesystem::exists(output / name)) << name;
  }
  EXPECT_EQ(result.steps, 10);
  EXPECT_EQ(result.replayed, 20);
  EXPECT_EQ(result.ledger.size(), 10U);
  ASSERT_EQ(result.curve.size(), 3U);  // before, at 5, at 10
  EXPECT_EQ(result.curve[1].step, 5);
  EXPECT_EQ(result.curve[1].tasks.size(), 2U);
  EXPECT_GT(result.mean_fisher, 0);
  EXPECT_GT(result.max_penalty_share, 0);
  EXPECT_EQ(result.drift.size(), 4U);
  const std::string ledger = file_text(output / "ledger.jsonl");
  EXPECT_GE(std::count(ledger.begin(), ledger.end(), '\n'), 1 + 3 + 10);

  const Json metrics = Json::parse(file_text(output / "metrics.json"), "metrics.json");
  EXPECT_EQ(metrics.at("scenario").as_string(), "task");
  EXPECT_EQ(metrics.at("steps").as_int64(), 10);
  const Json& news = metrics.at("tasks").at("news");
  EXPECT_EQ(news.at("role").as_string(), "old");
  EXPECT_EQ(news.at("after").at("n").as_int64(), 60);
  EXPECT_NEAR(
      news.at("drop").as_double(),
      news.at("before").at("accuracy").as_double() - news.at("after").at("accuracy").as_double(),
      1e-15);
  EXPECT_EQ(metrics.at("tasks").at("medical").at("role").as_string(), "new");
  for (const char* key : {"forgetting", "retention", "penalty_share", "drift", "actions",
                          "peak_bytes", "train_seconds", "seconds"}) {
    EXPECT_NE(metrics.find(key), nullptr) << key;
  }
}

TEST(Trainer, SavesAModelOfAllHeadsThatPredictsAsMeasured) {
  const RunFixture files;
  const RunResult result = run_recipe(files.full());
  Model model = Model::load(files.path("out") / "model", DType::f32);
  const Tokenizer tokenizer = Tokenizer::load(files.path("out") / "model");
  for (const TaskResult& task : result.tasks) {
    const DataRecipe& data = task.old ? result.recipe.old[0] : result.recipe.fresh;
    const Head* head = model.head(task.name);
    ASSERT_NE(head, nullptr) << task.name;
    const std::vector<Sample> test =
        read_samples(data.test, data, classes_of(*head, task.name), tokenizer);
    EXPECT_EQ(evaluate(model, *head, test).predictions, task.after->predictions);
  }
}

TEST(Trainer, SameBitsTwiceForAnyThreadsAndFromTheResolvedRecipe) {
  const RunFixture files;
  run_recipe(files.full("a"));
  const std::string weights = weights_of(files.path("a"));
  for (const int threads : {1, 2, 4}) {
    Recipe recipe = files.full("b");
    recipe.threads = threads;
    run_recipe(recipe);
    EXPECT_EQ(weights_of(files.path("b")), weights) << threads << " threads";
  }
  set_thread_count(1);
  run_recipe(load_recipe(files.path("a") / "recipe.toml", {"output=" + files.path("c").string()}));
  EXPECT_EQ(weights_of(files.path("c")), weights);
}

TEST(Trainer, MeasuresThatAreOffChangeNoBit) {
  const RunFixture files;
  run_recipe(files.plain("plain"));
  Recipe no_old = files.plain("alone");
  no_old.old.clear();
  run_recipe(no_old);
  EXPECT_EQ(file_text(files.path("alone") / "model" / "model.safetensors"),
            file_text(files.path("plain") / "model" / "model.safetensors"));
  Recipe watched = files.plain("watched");  // other evaluations, a controller with nothing to raise
  watched.evaluation.controller = true;
  watched.evaluation.every = 3;
  run_recipe(watched);
  EXPECT_EQ(weights_of(files.path("watched")), weights_of(files.path("plain")));
  Recipe held = files.plain("held");
  held.ewc.emplace().lambda = 0;
  run_recipe(held);
  EXPECT_EQ(weights_of(files.path("held")), weights_of(files.path("plain")));
}

TEST(Trainer, LearnsFromAModelWithoutHeads) {
  const RunFixture files;
  Model model = Model::create(BertConfig::load(files.path("model") / "config.json"), DType::f32, 3);
  model.save(files.path("model"), "");
  Recipe recipe = files.plain();
  recipe.fresh.name = "news";
  recipe.fresh.train = files.path("news_train.csv");
  recipe.fresh.valid = files.path("news_valid.csv");
  recipe.fresh.test = files.path("news_test.csv");
  recipe.old.clear();
  recipe.training.steps = 120;
  recipe.training.dropout = 0;
  recipe.learning_rate.rate = 5e-3;
  const RunResult result = run_recipe(recipe);
  EXPECT_GT(result.fresh().after->accuracy, 0.9);  // one word tells the label
  EXPECT_LT(result.fresh().before->accuracy, 0.7);
}

TEST(Trainer, MeasuresAnOldTaskWithoutTrainingTexts) {
  const RunFixture files;
  Recipe recipe = files.plain();
  recipe.old[0].train.clear();
  const RunResult result = run_recipe(recipe);
  EXPECT_TRUE(result.tasks[0].after.has_value());
}

TEST(Trainer, WorksInDouble) {
  const RunFixture files;
  Recipe recipe = files.full();
  recipe.precision = DType::f64;
  EXPECT_EQ(run_recipe(recipe).steps, 10);
}

TEST(Trainer, StopsAfterAStepAndLeavesAModelThatLoads) {
  const RunFixture files;
  std::atomic<bool> stop = false;
  Hooks hooks;
  hooks.stop = &stop;
  hooks.progress = [&](const Progress& progress) {
    stop = stop || (progress.phase == "train" && progress.done == 4);
  };
  const RunResult result = run_recipe(files.full(), hooks);
  EXPECT_TRUE(result.interrupted);
  EXPECT_EQ(result.steps, 4);
  const Model model = Model::load(files.path("out") / "model", DType::f32);
  EXPECT_NE(model.head("medical"), nullptr);
  EXPECT_NE(model.head("news"), nullptr);
  const Json metrics = Json::parse(file_text(files.path("out") / "metrics.json"), "metrics.json");
  EXPECT_TRUE(metrics.at("interrupted").as_bool());
  EXPECT_TRUE(metrics.at("tasks").at("news").at("after").is_null());
}

TEST(Trainer, StopsInEveryPhase) {
  for (const char* phase : {"evaluate", "test", "fisher"}) {
    const RunFixture files;
    std::atomic<bool> stop = false;
    Hooks hooks;
    hooks.stop = &stop;
    hooks.progress = [&](const Progress& progress) { stop = stop || progress.phase == phase; };
    const RunResult result = run_recipe(files.full(), hooks);
    EXPECT_TRUE(result.interrupted) << phase;
    EXPECT_EQ(result.steps, 0) << phase;
    EXPECT_NO_THROW(Model::load(files.path("out") / "model", DType::f32)) << phase;
  }
}

TEST(Trainer, RaisesTheShareWhenTheOldTaskDrops) {
  const RunFixture files;
  Recipe first = files.plain("start");  // a news classifier first
  first.old.clear();
  first.fresh.name = "news";
  first.fresh.train = files.path("news_train.csv");
  first.fresh.valid = files.path("news_valid.csv");
  first.fresh.test = files.path("news_test.csv");
  first.training.steps = 120;
  first.training.dropout = 0;
  first.learning_rate.rate = 5e-3;
  run_recipe(first);
  Recipe recipe = files.full();
  recipe.model = files.path("start") / "model";
  recipe.ewc.reset();
  recipe.replay->share = 0.1;
  recipe.learning_rate.bottom = 3e-2;  // destroys what was learned
  recipe.learning_rate.top = 3e-2;
  std::vector<Action> told;
  Hooks hooks;
  hooks.acted = [&](const Action& action) { told.push_back(action); };
  const RunResult result = run_recipe(recipe, hooks);
  ASSERT_EQ(result.actions.size(), 1U);  // at step 5; the last evaluation decides nothing
  EXPECT_EQ(told.size(), 1U);
  EXPECT_EQ(result.actions[0].step, 5);
  EXPECT_NEAR(result.actions[0].share, 0.12, 1e-12);
  EXPECT_NEAR(result.ledger[4].share, 0.10, 1e-12);
  EXPECT_NEAR(result.ledger[5].share, 0.12, 1e-12);
  EXPECT_NEAR(result.curve[1].share, 0.10, 1e-12);
}

TEST(Trainer, KeepsTheModelOfAnEarlierRunWhenTrainingFails) {
  const RunFixture files;
  run_recipe(files.plain());
  const std::string weights = weights_of(files.path("out"));
  Recipe recipe = files.plain();
  recipe.learning_rate.rate = 1;
  recipe.training.weight_decay = 10;
  recipe.training.clip_norm = 0;
  recipe.training.steps = 400;
  expect_error<std::runtime_error>("diverges", "not finite", [&] { run_recipe(recipe); });
  EXPECT_EQ(weights_of(files.path("out")), weights);
  EXPECT_FALSE(std::filesystem::exists(files.path("out") / "metrics.json"));
}

TEST(Trainer, RefusesBadInputBeforeItWritesAnything) {
  struct Case {
    const char* name;
    std::function<void(const RunFixture&, Recipe&)> spoil;
  };
  const std::vector<Case> cases = {
      {"no model", [](const RunFixture& f, Recipe& r) { r.model = f.path("nowhere"); }},
      {"no data", [](const RunFixture& f, Recipe& r) { r.fresh.test = f.path("nowhere"); }},
      {"wrong label",
       [](const RunFixture& f, Recipe&) {
         write_file(f.path("medical_test.csv"), "text,label\nthe heart,law\n");
       }},
      {"malformed",
       [](const RunFixture& f, Recipe&) {
         write_file(f.path("news_valid.csv"), "text,label\n\"the,law\n");
       }},
      {"truncated",
       [](const RunFixture& f, Recipe&) {
         std::filesystem::resize_file(f.path("model") / "model.safetensors", 100);
       }},
      {"config",
       [](const RunFixture& f, Recipe&) {
         std::string config = file_text(f.path("model") / "config.json");
         config.replace(config.find("\"hidden_size\": 16"), 17, "\"hidden_size\": 32");
         write_file(f.path("model") / "config.json", config);
       }},
      {"too many kept", [](const RunFixture&, Recipe& r) { r.replay->count = 201; }}};
  for (const Case& c : cases) {
    const RunFixture files;
    Recipe recipe = files.full();
    c.spoil(files, recipe);
    const long before = files.folder().entries();
    expect_error<Refused>(c.name, "", [&] { run_recipe(recipe); });
    EXPECT_EQ(files.folder().entries(), before) << c.name;
  }
}

TEST(Trainer, RefusesOutputsThatAreNotItsOwn) {
  const RunFixture files;
  Recipe recipe = files.plain();
  recipe.output = files.path("model");
  expect_error<Refused>("the model", "would overwrite", [&] { run_recipe(recipe); });
  recipe.output = files.path("news_test.csv");
  expect_error<Refused>("a file", "is not a folder", [&] { run_recipe(recipe); });
  recipe.output = files.path("theirs");
  std::filesystem::create_directory(recipe.output);
  write_file(std::filesystem::path(recipe.output) / "thesis.txt", "mine");
  expect_error<Refused>("theirs", "holds no earlier run", [&] { run_recipe(recipe); });
  recipe.output = files.path("empty");
  std::filesystem::create_directory(recipe.output);
  EXPECT_EQ(run_recipe(recipe).steps, 10);
  EXPECT_EQ(run_recipe(recipe).steps, 10);  // its own may be replaced
}

TEST(Trainer, RefusesOutputsThatCannotBeMade) {
  const RunFixture files;
  const long before = files.folder().entries();
  Recipe recipe = files.full();
  recipe.model = files.path("nowhere");  // not looked at: the output is checked first
  recipe.output = files.path("news_test.csv") / "out";
  expect_error<Refused>("below a file", "is not a folder", [&] { run_recipe(recipe); });
  expect_error<Refused>("below a file", "is not a folder", [&] { compare_recipe(recipe); });
  recipe.output = "/proc/holdfast/out";
  expect_error<Refused>("no files here", "cannot create", [&] { run_recipe(recipe); });
  EXPECT_EQ(files.folder().entries(), before);
}

TEST(Trainer, RefusesAFolderThatAnotherRunIsWriting) {
  const RunFixture files;
  Recipe recipe = files.plain();
  run_recipe(recipe);
  const std::string weights = weights_of(files.path("out"));
  {
    const OutputFolder other(recipe.output);
    expect_error<Refused>("run", "in use by another run", [&] { run_recipe(recipe); });
    expect_error<Refused>("compare", "in use by another run", [&] { compare_recipe(recipe); });
  }
  EXPECT_EQ(weights_of(files.path("out")), weights);
  EXPECT_EQ(run_recipe(recipe).steps, 10);  // what a run leaves holds nobody off
  const std::filesystem::path fresh = files.path("stopped");
  std::filesystem::create_directory(fresh);
  { const Descriptor stopped_at_once = try_lock(fresh / ".holdfast.lock"); }
  recipe.output = fresh;
  EXPECT_EQ(run_recipe(recipe).steps, 10);
}

TEST(Trainer, ChecksWithoutWriting) {
  const RunFixture files;
  Recipe recipe = files.full();
  recipe.training.steps = 0;
  recipe.training.epochs = 2;
  recipe.evaluation.every = 0;
  const RunResult result = check_recipe(recipe);
  EXPECT_EQ(result.recipe.training.steps, 12);  // 2 * 90 / 16 = 11.25
  EXPECT_EQ(result.recipe.evaluation.every, 2);
  EXPECT_FALSE(std::filesystem::exists(files.path("out")));
}

TEST(Metrics, AResultReadsBackTheSame) {
  const RunFixture files;
  const RunResult result = run_recipe(files.full());
  const std::string text = result_to_json(result).dump();
  EXPECT_EQ(result_to_json(result_from_json(Json::parse(text, "result.json"))).dump(), text);
  EXPECT_EQ(metrics_json(result_from_json(Json::parse(text, "result.json"))).dump(),
            metrics_json(result).dump());
}

}  // namespace
}  // namespace holdfast
