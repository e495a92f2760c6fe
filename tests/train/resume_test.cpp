// A run that ends at any moment goes on to the bits and the ledger of one that never stopped.
#include "train/resume.h"

#include <gtest/gtest.h>

#include "tensor/cpu.h"
#include "tests/reference/expect_error.h"
#include "tests/train/resume_fixture.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

TEST(Resume, GoesOnToTheSameBitsFromAnyMoment) {
  const RunFixture files;
  Recipe recipe = files.full();
  recipe.checkpoint.every = 3;
  recipe.ledger.hash_every = 2;
  for (const std::int64_t step : {1, 3, 5, 6, 10}) {  // before, at and after what happens
    expect_same_after(files, recipe, {{"train", step}}, "step" + std::to_string(step));
  }
  expect_same_after(files, recipe, {{"fisher", 1}, {"evaluate", 4}, {"train", 7}, {"train", 8}},
                    "often");
  expect_same_after(files, recipe, {{"evaluate", 3}, {"test", 2}, {"save", 1}}, "late");
}

TEST(Resume, GoesOnWithEveryMeasure) {
  struct Case {
    const char* name;
    std::function<void(Recipe&)> change;
  };
  const std::vector<Case> cases = {
      {"controller",
       [](Recipe& r) {
         r.ewc.reset();
         r.learning_rate.bottom = 3e-2;
         r.learning_rate.top = 3e-2;
         r.evaluation.max_drop = 0;
         r.evaluation.every = 2;
         r.replay->share = 0.1;
       }},
      {"best",
       [](Recipe& r) {
         r.evaluation.keep_best = true;
         r.evaluation.every = 2;
         r.training.early_stop = 3;
       }},
      {"si", [](Recipe& r) { r.leave = {.importance = "none", .memory = 0.1, .path = true}; }},
      {"agem", [](Recipe& r) { r.gradient = {.projection = "a-gem", .texts = 8}; }},
      {"mixout", [](Recipe& r) { r.mixout.emplace(); }},
      {"unfreeze", [](Recipe& r) { r.unfreeze = {.schedule = "gradual", .every = 3}; }},
      {"der", [](Recipe& r) { r.distill = {.method = "der++"}; }},
      {"lwf", [](Recipe& r) { r.distill = {.method = "lwf"}; }},
      {"protect", [](Recipe& r) { r.protect.emplace(); }},
      {"recadam", [](Recipe& r) { r.recadam.emplace(); }},
      {"lora", [](Recipe& r) { r.ewc.reset(), r.adapter = {.kind = "lora"}; }},
      {"frozen", [](Recipe& r) { r.ewc.reset(), r.training.encoder = "frozen"; }},
      {"merge", [](Recipe& r) { r.merge.emplace().method = "linear"; }},
      {"augment", [](Recipe& r) { r.augment.emplace().swap = 0.2; }},
      {"f64", [](Recipe& r) { r.precision = DType::f64; }}};
  for (const Case& c : cases) {
    const RunFixture files;
    Recipe recipe = files.full();
    recipe.checkpoint.every = 4;
    recipe.ledger.hash_every = 1;
    c.change(recipe);
    expect_same_after(files, recipe, {{"train", 5}, {"train", 9}}, c.name);
  }
}

TEST(Resume, AnInterruptedRunGoesOnFromItsLastStep) {
  const RunFixture files;
  Recipe recipe = files.full("stopped");
  recipe.ledger.hash_every = 1;
  Recipe whole = recipe;
  whole.output = files.path("whole");
  run_recipe(whole);
  for (const auto& [phase, steps] :
       {std::pair("train", 4), std::pair("evaluate", 5), std::pair("test", 10)}) {
    std::atomic<bool> stop = false;
    Hooks hooks;
    hooks.stop = &stop;
    hooks.progress = [&, steps = steps, phase = std::string(phase)](const Progress& progress) {
      stop = stop || (progress.phase == phase && (phase != "train" || progress.done == steps) &&
                      fs::exists(files.path("stopped") / "ledger.jsonl") &&
                      LedgerReader(files.path("stopped") / "ledger.jsonl").size() >
                          static_cast<std::size_t>(steps));
    };
    const RunResult first = run_recipe(recipe, hooks);
    EXPECT_TRUE(first.interrupted) << phase;
    EXPECT_EQ(first.steps, steps) << phase;
    EXPECT_EQ(resume_recipe(recipe).steps, 10) << phase;
    EXPECT_EQ(lines_of(recipe.output), lines_of(whole.output)) << phase;
    fs::remove_all(recipe.output);
  }
}

TEST(Resume, KeepsTheLatestCheckpointsAndNoneOfShortRuns) {
  const RunFixture files;
  Recipe recipe = files.plain();
  run_recipe(recipe);
  EXPECT_FALSE(fs::exists(files.path("out") / "checkpoints"));  // every 500
  recipe.checkpoint.every = 2;
  recipe.checkpoint.keep = 3;
  run_recipe(recipe);
  EXPECT_EQ(checkpoint_steps(files.path("out")), (std::vector<std::int64_t>{6, 8, 10}));
  recipe.checkpoint.every = 0;
  run_recipe(recipe);
  EXPECT_FALSE(fs::exists(files.path("out") / "checkpoints"));
}

TEST(Resume, RefusesAnotherRunNamingTheDifference) {
  const RunFixture files;
  Recipe recipe = files.full();
  recipe.checkpoint.every = 3;
  EXPECT_THROW(run_recipe(recipe, killing_at("train", 5)), Killed);
  const std::string ledger = file_text(files.path("out") / "ledger.jsonl");
  const auto refused = [&](const char* name, const std::string& message, const Recipe& other) {
    expect_error<Refused>(name, message, [&] { resume_recipe(other); });
    EXPECT_EQ(file_text(files.path("out") / "ledger.jsonl"), ledger) << name;
    EXPECT_EQ(checkpoint_steps(files.path("out")), (std::vector<std::int64_t>{3})) << name;
  };
  Recipe other = recipe;
  other.training.batch_size = 8;
  refused("recipe", "recipe.training.batch_size is 8, was 16", other);
  other = recipe;
  other.ewc.reset();
  refused("measure", "recipe.ewc is absent", other);
  other = recipe;
  other.ledger.hash_every = 77;
  refused("hashes", "hash_every is 77", other);
  const std::string texts = file_text(files.path("news_valid.csv"));
  std::string changed = texts;
  changed[changed.find("the")] = 'T';
  write_file(files.path("news_valid.csv"), changed);
  refused("data", "news_valid.csv.sha256 is", recipe);
  write_file(files.path("news_valid.csv"), texts);
  if (isa() != Isa::baseline) {
    const Isa best = isa();
    set_isa(Isa::baseline);
    refused("isa", "isa is \"baseline\", was", recipe);
    set_isa(best);
  }
  resume_recipe(recipe);
  expect_error<Refused>("whole", "holds the whole run", [&] { resume_recipe(recipe); });
}

TEST(Resume, PassesOverWhatIsBroken) {
  const RunFixture files;
  Recipe recipe = files.full("whole");
  recipe.checkpoint = {.every = 2, .keep = 9};
  run_recipe(recipe);
  const std::vector<std::string> expected = lines_of(recipe.output);
  recipe.output = files.path("out");
  EXPECT_THROW(run_recipe(recipe, killing_at("train", 7)), Killed);
  const fs::path out = recipe.output;
  const auto flip = [](const fs::path& file, std::size_t at) {
    std::string text = file_text(file);
    text[at % text.size()] = static_cast<char>(text[at % text.size()] ^ 4);
    write_file(file, text);
  };
  flip(checkpoint_folder(out, 6) / "state.safetensors", 70000);
  flip(checkpoint_folder(out, 4) / "state.json", 200);
  std::vector<std::string> notices;
  Hooks hooks;
  hooks.notice = [&](const std::string& line) { notices.push_back(line); };
  hooks.progress = killing_at("train", 3).progress;
  EXPECT_THROW(resume_recipe(recipe, hooks), Killed);
  EXPECT_EQ(std::ranges::count_if(
                notices, [](const auto& line) { return line.find("passed over") != line.npos; }),
            2);
  EXPECT_TRUE(std::ranges::any_of(
      notices, [](const auto& line) { return line.find("goes on after step 2") != line.npos; }));
  // A ledger that was cut short by a power cut: what was later than it is no use any more.
  const LedgerReader ledger(out / "ledger.jsonl");
  fs::resize_file(out / "ledger.jsonl", static_cast<std::uintmax_t>(ledger.place(1).bytes + 20));
  resume_recipe(recipe);
  EXPECT_EQ(lines_of(out), expected);
}

TEST(Resume, BeginsWhereThereIsNothing) {
  const RunFixture files;
  const Recipe recipe = files.plain();
  EXPECT_EQ(resume_recipe(recipe).steps, 10);
  write_file(files.path("out") / "ledger.jsonl", "");
  EXPECT_EQ(resume_recipe(recipe).steps, 10);
  fs::create_directories(checkpoint_folder(files.path("out"), 3));
  write_file(files.path("out") / "ledger.jsonl", "{\"kind\":\"run\"}\n");
  expect_error<Refused>("no first line", "ledger.jsonl:1: is not as it was written",
                        [&] { resume_recipe(recipe); });
}

}  // namespace
}  // namespace holdfast
