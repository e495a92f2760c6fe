// Measures against forgetting in whole runs: alone, in pairs, off, over a sequence of tasks.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>

#include "base/hash.h"
#include "tests/reference/expect_error.h"
#include "tests/train/run_fixture.h"
#include "train/importance_file.h"
#include "train/prepare.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

// A hash of all weights of a saved model.
std::string weights_of(const std::filesystem::path& output) {
  return to_hex(hash128(file_text(output / "model" / "model.safetensors") +
                        file_text(output / "model" / "heads.safetensors")));
}

// Every measure, switched on in a recipe.
const std::map<std::string, std::function<void(Recipe&)>>& measures() {
  static const std::map<std::string, std::function<void(Recipe&)>> all = {
      {"replay", [](Recipe& r) { r.replay.emplace(); }},
      {"ewc", [](Recipe& r) { r.ewc.emplace(); }},
      {"ewc decoupled",
       [](Recipe& r) {
         r.ewc.emplace();
         r.ewc->coupling = "decoupled";
         r.ewc->fisher = "sketch";
       }},
      {"layer-wise rates",
       [](Recipe& r) {
         r.learning_rate.bottom = 1e-4;
         r.learning_rate.top = 3e-3;
       }},
      {"protect", [](Recipe& r) { r.protect.emplace(); }},
      {"protect tensors",
       [](Recipe& r) {
         r.protect.emplace();
         r.protect->bound = "tensor";
       }},
      {"l2",
       [](Recipe& r) {
         r.l2 = L2Recipe{0.1, 0.01, "old"};
       }},
      {"recadam",
       [](Recipe& r) {
         r.recadam = RecAdamRecipe{100, 0.5, 1.0};
       }},
      {"mixout", [](Recipe& r) { r.mixout.emplace(); }},
      {"lwf",
       [](Recipe& r) {
         r.distill = DistillRecipe{"lwf", 1, 2};
       }},
      {"der++",
       [](Recipe& r) {
         r.replay.emplace();
         r.distill = DistillRecipe{"der++", 0.5, 2};
       }},
      {"a-gem",
       [](Recipe& r) {
         r.replay.emplace();
         r.gradient = GradientRecipe{"a-gem", 8};
       }},
      {"unfreeze",
       [](Recipe& r) {
         r.unfreeze = UnfreezeRecipe{"gradual", 1};
       }},
      {"lora",
       [](Recipe& r) {
         r.adapter = AdapterRecipe{"lora", 0, 2, 4};
       }},
      {"houlsby",
       [](Recipe& r) {
         r.adapter = AdapterRecipe{"houlsby", 4, 8, 16};
       }},
      {"merge",
       [](Recipe& r) {
         r.merge = MergeRecipe{"linear", std::nullopt, 1, 0.2};
       }},
      {"ties",
       [](Recipe& r) {
         r.merge = MergeRecipe{"ties", 0.7, 1, 0.5};
       }},
      {"augment",
       [](Recipe& r) {
         r.augment = AugmentRecipe{0.1, 0.1, 0.1, 0, ""};
       }},
      {"keep best", [](Recipe& r) { r.evaluation.keep_best = true; }},
      {"class scenario", [](Recipe& r) { r.heads.scenario = "class"; }},
      {"class weights", [](Recipe& r) { r.fresh.class_weights = "balanced"; }}};
  return all;
}

Recipe short_recipe(const RunFixture& files, const std::string& output = "out") {
  Recipe recipe = files.plain(output);
  recipe.training.steps = 4;
  recipe.training.batch_size = 8;
  recipe.learning_rate.warmup = 0;
  recipe.evaluation.every = 2;
  recipe.leave = {"none", 0, false};
  recipe.fresh.test.clear();
  recipe.old[0].test.clear();
  return recipe;
}

// As a file is read: with what makes no sense refused.
Recipe checked(const Recipe& recipe) { return parse_recipe(to_toml(recipe), "recipe.toml"); }

TEST(Measures, EachAloneChangesTheRunAndLeavesAModelThatLoads) {
  const RunFixture files;
  run_recipe(checked(short_recipe(files, "plain")));
  const std::string plain = weights_of(files.path("plain"));
  for (const auto& [name, on] : measures()) {
    Recipe recipe = short_recipe(files);
    on(recipe);
    run_recipe(checked(recipe));
    const bool same = weights_of(files.path("out")) == plain;
    // The fixture's classes are of one size, and its last evaluation may be the best.
    EXPECT_TRUE(!same || name == "class weights" || name == "keep best") << name;
    const Model model = Model::load(files.path("out") / "model", DType::f32);
    EXPECT_EQ(model.heads().size(), name == "class scenario" ? 1U : 2U) << name;
  }
}

TEST(Measures, AllPairsRunOrAreRefusedWithAReason) {
  const RunFixture files;
  int ran = 0;
  for (const auto& [first, on_first] : measures()) {
    for (const auto& [second, on_second] : measures()) {
      if (second <= first) continue;
      Recipe recipe = short_recipe(files);
      recipe.old[0].valid = files.path("news_valid.csv");
      on_first(recipe);
      on_second(recipe);
      Recipe read;
      try {
        read = checked(recipe);
      } catch (const std::runtime_error& refused) {
        const std::string why = refused.what();
        EXPECT_TRUE(why.find("nothing to") != std::string::npos)
            << first << " + " << second << ": " << why;
        continue;
      }
      try {
        const RunResult result = run_recipe(read);
        EXPECT_EQ(result.steps, 4) << first << " + " << second;
        ++ran;
      } catch (const std::exception& error) {
        const std::string why = error.what();
        const bool refused = dynamic_cast<const Refused*>(&error) != nullptr;
        EXPECT_TRUE(refused && why.find("nothing to") != std::string::npos)
            << first << " + " << second << ": " << why;
      }
    }
  }
  EXPECT_GT(ran, 150);
}

TEST(Measures, OffMeansOff) {
  const RunFixture files;
  run_recipe(checked(short_recipe(files, "plain")));
  const std::string plain = weights_of(files.path("plain"));
  const std::map<std::string, std::function<void(Recipe&)>> off = {
      {"ewc",
       [](Recipe& r) {
         r.ewc.emplace();
         r.ewc->lambda = 0;
       }},
      {"ewc decoupled",
       [](Recipe& r) {
         r.ewc.emplace();
         r.ewc->lambda = 0;
         r.ewc->coupling = "decoupled";
       }},
      {"l2", [](Recipe& r) { r.l2.emplace(); }},
      {"mixout", [](Recipe& r) { r.mixout = MixoutRecipe{0}; }},
      {"lwf",
       [](Recipe& r) {
         r.distill = DistillRecipe{"lwf", 0, 2};
       }},
      {"merge",
       [](Recipe& r) {
         r.merge = MergeRecipe{"linear", 1.0, 1, 0.2};
       }},
      {"what is left", [](Recipe& r) {
         r.leave = {"true", 0.2, true};
       }}};
  for (const auto& [name, on] : off) {
    Recipe recipe = short_recipe(files);
    on(recipe);
    run_recipe(checked(recipe));
    EXPECT_EQ(weights_of(files.path("out")), plain) << name;
  }
}

TEST(Measures, SameBitsForAnyNumberOfThreads) {
  const RunFixture files;
  for (const char* name :
       {"der++", "a-gem", "mixout", "protect", "houlsby", "unfreeze", "augment"}) {
    std::string one;
    for (const int threads : {1, 3}) {
      Recipe recipe = short_recipe(files);
      recipe.threads = threads;
      measures().at(name)(recipe);
      run_recipe(checked(recipe));
      const std::string weights = weights_of(files.path("out"));
      one = one.empty() ? weights : one;
      EXPECT_EQ(weights, one) << name << ", " << threads << " threads";
    }
  }
}

// The shared weights of a saved model by name.
std::map<std::string, std::vector<double>> shared_weights(const std::filesystem::path& folder) {
  const Model model = Model::load(folder, DType::f32);
  std::map<std::string, std::vector<double>> weights;
  for (const NamedSlice& slice : model.arena().slices()) {
    if (slice.task.empty()) weights[slice.name] = model.arena().value(slice).to_vector();
  }
  return weights;
}

TEST(Measures, AnInfinitelyStrongDecoupledPenaltyKeepsEveryWeightThatMatters) {
  const RunFixture files;
  Recipe recipe = short_recipe(files);
  recipe.ewc.emplace();
  recipe.ewc->coupling = "decoupled";
  recipe.ewc->lambda = 1e9;
  recipe.ewc->normalize = "mean";
  run_recipe(checked(recipe));
  const Model start = Model::load(files.path("model"), DType::f32);
  const Model end = Model::load(files.path("out") / "model", DType::f32);
  const Importance importance =
      load_importance(files.path("out") / "importance.safetensors", end.arena());
  std::int64_t held = 0;
  for (const NamedSlice& slice : start.arena().slices()) {
    if (!slice.task.empty()) continue;
    const std::vector<double> before = start.arena().value(slice).to_vector();
    const NamedSlice& now = *end.arena().find(slice.name);
    const std::vector<double> after = end.arena().value(now).to_vector();
    const std::vector<double> F =
        importance.values.slice(0, now.offset, now.offset + now.size).to_vector();
    for (std::size_t i = 0; i < before.size(); ++i) {
      if (F[i] < importance.scale.mean_positive * 1e-3) continue;
      EXPECT_NEAR(after[i], before[i], 1e-6) << slice.name;
      ++held;
    }
  }
  EXPECT_GT(held, 1000);
}

TEST(Measures, ProtectedWeightsStayWithinTheirBound) {
  const RunFixture files;
  Recipe recipe = short_recipe(files);
  recipe.learning_rate.rate = 5e-2;
  recipe.protect.emplace();
  recipe.protect->key_fraction = 1;
  recipe.protect->max_drift = 0.1;
  const RunResult result = run_recipe(checked(recipe));
  EXPECT_GT(result.protected_weights, 1000);
  EXPECT_GT(result.ledger.back().at_bound, 100);
  recipe.protect->mode = "freeze";
  recipe.output = files.path("frozen");
  run_recipe(checked(recipe));
  const auto start = shared_weights(files.path("model"));
  const auto frozen = shared_weights(files.path("frozen") / "model");
  std::int64_t same = 0;
  std::int64_t all = 0;
  for (const auto& [name, weights] : start) {
    for (std::size_t i = 0; i < weights.size(); ++i, ++all)
      same += weights[i] == frozen.at(name)[i];
  }
  EXPECT_GE(same, result.protected_weights);
  EXPECT_LT(same, all);  // what no old text reaches (F = 0) is no key weight
}

TEST(Measures, AFrozenEncoderLearnsWithTheHeadAlone) {
  const RunFixture files;
  Recipe recipe = short_recipe(files);
  recipe.training.encoder = "frozen";
  run_recipe(checked(recipe));
  EXPECT_EQ(shared_weights(files.path("model")), shared_weights(files.path("out") / "model"));
}

TEST(Measures, KeepBestSavesTheBestModelAndEarlyStopEndsTheRun) {
  const RunFixture files;
  Recipe recipe = short_recipe(files);
  recipe.training.steps = 40;
  recipe.learning_rate.rate = 1e-9;  // nothing is learnt: the first evaluation stays the best
  recipe.training.early_stop = 2;
  const RunResult result = run_recipe(checked(recipe));
  EXPECT_TRUE(result.stopped_early);
  EXPECT_EQ(result.steps, 6);
  EXPECT_EQ(result.best_step, 2);
}

TEST(Measures, AMergeOfWeightZeroIsTheStartAndASearchTellsItsCurve) {
  const RunFixture files;
  Recipe recipe = short_recipe(files);
  recipe.merge = MergeRecipe{"slerp", 0.0, 1, 0.2};
  run_recipe(checked(recipe));
  EXPECT_EQ(shared_weights(files.path("model")), shared_weights(files.path("out") / "model"));
  recipe.merge->weight.reset();
  const RunResult result = run_recipe(checked(recipe));
  ASSERT_TRUE(result.merge.has_value());
  EXPECT_EQ(result.merge->curve.size(), 11U);
  EXPECT_FALSE(result.merge->why.empty());
}

TEST(Measures, TheClassScenarioHasOneHeadOverAllLabels) {
  const RunFixture files;
  Recipe recipe = short_recipe(files);
  recipe.heads.scenario = "class";
  recipe.ewc.emplace();
  recipe.old[0].test = files.path("news_test.csv");
  const RunResult result = run_recipe(checked(recipe));
  const Model model = Model::load(files.path("out") / "model", DType::f32);
  ASSERT_EQ(model.heads().size(), 1U);
  EXPECT_EQ(model.heads()[0].task, "news+medical");
  EXPECT_EQ(model.heads()[0].labels,
            (std::vector<std::string>{"sports", "business", "politics", "cardiology", "oncology"}));
  EXPECT_EQ(result.tasks[0].before->labels.size(), 3U);  // of the head that it had
  EXPECT_EQ(result.tasks[0].after->labels.size(), 5U);
  // The next run finds both tasks in the shared head.
  Recipe next = short_recipe(files, "next");
  next.model = files.path("out") / "model";
  next.heads.scenario = "class";
  next.fresh.name = "law";
  next.old[0].name = "medical";
  next.old[0].train = files.path("medical_train.csv");
  next.old[0].valid.clear();
  next.old[0].test = files.path("medical_test.csv");
  next.fresh.train = files.path("law.csv");
  next.fresh.valid.clear();
  write_file(files.path("law.csv"),
             task_csv({"vote", "law", "goal", "match"}, {"bill", "oncology"}, 40, 8));
  run_recipe(checked(next));
  const Model grown = Model::load(files.path("next") / "model", DType::f32);
  EXPECT_EQ(grown.heads()[0].task, "news+medical+law");
  EXPECT_EQ(grown.heads()[0].labels.back(), "law:oncology");  // told apart from medical's
}

TEST(Measures, TheDomainScenarioGoesOnWithTheSameHead) {
  const RunFixture files;
  Recipe recipe = short_recipe(files);
  recipe.heads.scenario = "domain";
  expect_error<Refused>("labels", "needs the old labels", [&] { run_recipe(checked(recipe)); });
  recipe.fresh.train = files.path("news_valid.csv");
  recipe.fresh.valid = files.path("news_test.csv");
  run_recipe(checked(recipe));
  const Model model = Model::load(files.path("out") / "model", DType::f32);
  ASSERT_EQ(model.heads().size(), 1U);
  EXPECT_EQ(model.heads()[0].task, "news+medical");
}

TEST(Measures, OldDataThatAreGoneComeFromTheEarlierRun) {
  const RunFixture files;
  Recipe first = short_recipe(files, "first");
  first.leave = {"true", 0.2, false};
  run_recipe(checked(first));  // medical, which leaves importance and memory.csv beside its model

  Recipe gone = short_recipe(files, "second");
  gone.model = files.path("first") / "model";
  gone.fresh.name = "law";
  gone.fresh.train = files.path("news_train.csv");
  gone.fresh.valid = files.path("news_valid.csv");
  gone.old[0].name = "medical";
  gone.old[0].train.clear();
  gone.old[0].valid = files.path("medical_valid.csv");
  gone.replay.emplace();
  gone.ewc.emplace();
  gone.protect.emplace();
  const RunResult result = run_recipe(checked(gone));
  EXPECT_EQ(result.replayed, 18);  // a fifth of 90
  EXPECT_GT(result.max_penalty_share, 0);
  EXPECT_GT(result.ledger.back().task_loss.size(), 1U);
  const ImportanceCard card = read_importance_card(files.path("second") / "importance.safetensors");
  EXPECT_EQ(card.age, 1);  // one task has been learnt since

  // Without what was left, each measure says what it lacks.
  std::filesystem::remove(files.path("first") / "memory.csv");
  expect_error<Refused>("memory", "replay: task medical has no train",
                        [&] { run_recipe(checked(gone)); });
  gone.replay.reset();
  std::filesystem::remove(files.path("first") / "importance.medical.safetensors");
  expect_error<Refused>("importance", "ewc: task medical has no train",
                        [&] { run_recipe(checked(gone)); });
}

// Texts of a skewed task that is gone: their weights are those of the memory itself.
TEST(Measures, ClassWeightsOfAMemoryAreItsOwn) {
  const RunFixture files;
  std::string memory = "task,line,label,score,reason,text,text_pair\n";
  for (int n = 0; n < 12; ++n) {
    memory += std::string("news,0,") + (n < 4 ? "sports" : "politics") + ",0,,the match,\n";
  }
  write_file(files.path("kept.csv"), memory);
  Recipe recipe = short_recipe(files);
  recipe.old[0].train.clear();
  recipe.old[0].class_weights = "balanced";
  recipe.replay.emplace();
  recipe.replay->memory = files.path("kept.csv");
  recipe.replay->share = 0.5;
  const Inputs inputs = open_inputs(checked(recipe), {});
  Model model = inputs.model.clone();
  RunResult result;
  const Hooks hooks;
  const Recipe resolved = resolve(checked(recipe), inputs);
  const RunContext run{model, inputs, resolved, hooks, result};
  const Prepared prepared = prepare(run);
  const std::vector<double> weights = make_pools(run, prepared).at(1).class_weights;
  ASSERT_EQ(weights.size(), 3U);
  EXPECT_DOUBLE_EQ(weights[0], 12.0 / (2 * 4));  // sports
  EXPECT_DOUBLE_EQ(weights[1], 0);               // business: no text
  EXPECT_DOUBLE_EQ(weights[2], 12.0 / (2 * 8));  // politics
}

TEST(Measures, AGemTakesNoMoreTextsThanTheMemoryHolds) {
  const RunFixture files;
  Recipe recipe = short_recipe(files);
  recipe.replay.emplace();
  recipe.replay->count = 6;
  recipe.gradient = GradientRecipe{"a-gem", 6};
  run_recipe(checked(recipe));
  recipe.gradient->texts = 7;
  expect_error<Refused>("texts", "gradient: texts = 7, and the memory holds 6: take fewer",
                        [&] { run_recipe(checked(recipe)); });
}

TEST(Measures, WhatIsRefusedLeavesAnEarlierRunAsItWas) {
  const RunFixture files;
  run_recipe(checked(short_recipe(files)));
  const std::string metrics = file_text(files.path("out") / "metrics.json");
  const std::string weights = weights_of(files.path("out"));
  Recipe recipe = short_recipe(files);
  recipe.replay.emplace();
  recipe.replay->keep = 0.1;
  recipe.replay->budget = 1;  // no text is so short
  expect_error<Refused>("budget", "holds none of the texts", [&] { run_recipe(checked(recipe)); });
  std::atomic<bool> stop{true};  // Ctrl-C before the first step
  Hooks hooks;
  hooks.stop = &stop;
  const RunResult stopped = run_recipe(checked(short_recipe(files)), hooks);
  EXPECT_TRUE(stopped.interrupted);
  EXPECT_EQ(stopped.steps, 0);
  EXPECT_EQ(file_text(files.path("out") / "metrics.json"), metrics);
  EXPECT_EQ(weights_of(files.path("out")), weights);
}

TEST(Measures, AModelIsSavedWhateverBecomesOfWhatIsLeft) {
  const RunFixture files;
  Recipe recipe = short_recipe(files);
  recipe.leave = {"true", 0.2, false};
  std::atomic<bool> stop{false};
  Hooks hooks;
  hooks.progress = [&](const Progress& progress) { stop = stop || progress.phase == "fisher"; };
  hooks.stop = &stop;
  EXPECT_TRUE(run_recipe(checked(recipe), hooks).interrupted);  // while the importance is measured
  EXPECT_EQ(Model::load(files.path("out") / "model", DType::f32).heads().size(), 2U);
  EXPECT_TRUE(std::filesystem::exists(files.path("out") / "metrics.json"));
}

TEST(Measures, ThreeTasksInARowHandOnHeadsMemoriesAndImportance) {
  const RunFixture files;
  Recipe second = short_recipe(files, "second");
  second.replay.emplace();
  second.ewc.emplace();
  second.leave = {"empirical", 0.1, false};
  run_recipe(checked(second));  // news -> medical

  Recipe third = short_recipe(files, "third");
  third.model = files.path("second") / "model";
  third.fresh.name = "law";
  third.fresh.train = files.path("law.csv");
  third.fresh.valid.clear();
  write_file(files.path("law.csv"),
             task_csv({"vote", "law", "goal", "match"}, {"bill", "tort"}, 60, 8));
  DataRecipe medical = third.old[0];
  medical.name = "medical";
  medical.valid = files.path("medical_valid.csv");
  third.old.push_back(medical);
  for (DataRecipe& old : third.old) old.train.clear();
  third.replay.emplace();
  third.replay->share = 0.5;
  third.ewc.emplace();
  third.ewc->online_decay = 0.9;
  const RunResult result = run_recipe(checked(third));
  EXPECT_EQ(result.replayed,
            20 + 9);  // news from the second run's replay.csv, medical from its memory.csv
  const Model model = Model::load(files.path("third") / "model", DType::f32);
  EXPECT_EQ(model.heads().size(), 3U);
  EXPECT_EQ(read_importance_card(files.path("third") / "importance.news.safetensors").age, 2);
  EXPECT_EQ(read_importance_card(files.path("third") / "importance.medical.safetensors").age, 1);
}

TEST(Measures, ImportanceOfAModelThatWasTrainedFurtherIsRefused) {
  const RunFixture files;
  Recipe first = short_recipe(files, "first");
  first.leave = {"true", 0, false};
  run_recipe(checked(first));
  Recipe further = short_recipe(files, "further");  // the same head, trained on
  further.model = files.path("first") / "model";
  run_recipe(checked(further));
  Recipe again = short_recipe(files, "again");
  again.model = files.path("further") / "model";
  again.fresh.name = "law";
  again.old[0].name = "medical";
  again.old[0].train = files.path("medical_train.csv");
  again.old[0].valid.clear();
  again.ewc.emplace();
  again.ewc->importance = files.path("first") / "importance.medical.safetensors";
  expect_error<Refused>("weights", "was measured at other weights",
                        [&] { run_recipe(checked(again)); });
  EXPECT_FALSE(std::filesystem::exists(files.path("again")));
  again.model = files.path("first") / "model";
  EXPECT_EQ(run_recipe(checked(again)).steps, 4);
}

}  // namespace
}  // namespace holdfast
