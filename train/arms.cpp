#include "train/arms.h"

#include <fmt/format.h>

#include <limits>

#include "base/file.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "base/version.h"
#include "train/measure_list.h"
#include "train/metrics.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxResultBytes = std::int64_t{1} << 30;
constexpr std::int64_t kMaxSynonymBytes = std::int64_t{1} << 30;

// All but the numbers: weights, importance and texts.
void remove_models(const fs::path& folder) {
  for (const char* name : {"model", "adapter", "replay.csv", "memory.csv"}) {
    fs::remove_all(folder / name);
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") {
      fs::remove(entry.path());
    }
  }
}

// Whether the ledger there has its last line.
bool has_ended(const fs::path& folder) {
  const LedgerReader ledger(folder / "ledger.jsonl");
  return ledger.size() > 0 && !ledger.broken() &&
         ledger.line(ledger.size() - 1).at("kind").as_string() == "end";
}

}  // namespace

ArmsFolder::ArmsFolder(const std::string& command, const Recipe& recipe)
    : path(recipe.output), folder(path), ledger((clear_output(path), path / "ledger.jsonl")) {
  ledger.write(command, Json::object({{"recipe", recipe_hash(recipe)}}));
  write_file(path / "recipe.toml", to_toml(recipe).dump());
}

Arms::Arms(const Inputs& inputs, fs::path folder, Ledger& ledger, const Hooks& hooks,
           const ArmsOptions& options)
    : inputs_(inputs),
      folder_(std::move(folder)),
      ledger_(ledger),
      hooks_(hooks),
      options_(options),
      digest_(inputs.digest()) {}

std::string Arms::key_of(const Recipe& recipe) const {
  const std::string synonyms = recipe.augment ? recipe.augment->synonyms : "";
  const std::string words =
      synonyms.empty() ? "" : '-' + to_hex(hash128(read_file(synonyms, kMaxSynonymBytes)));
  // Threads change no bit, but the times that are compared.
  return fmt::format("{}-{}-{}-{}{}", version(), recipe_hash(recipe), digest_, thread_count(),
                     words);
}

std::optional<RunResult> Arms::read_back(const Recipe& recipe) const {
  const fs::path folder = recipe.output;
  const fs::path file = folder / "result.json";
  const bool whole = !options_.keep_models || fs::exists(folder / "model/config.json");
  if (!fs::exists(file) || !whole) {
    return std::nullopt;
  }
  try {
    if (!has_ended(folder)) {
      return std::nullopt;
    }
    const Json json = Json::parse(read_file(file, kMaxResultBytes), file.string());
    if (json.at("key").as_string() == key_of(recipe)) {
      return result_from_json(json.at("result"));
    }
  } catch (const std::runtime_error&) {
    // A damaged result counts as none: the arm runs again.
  }
  return std::nullopt;
}

Hooks Arms::hooks_of(const std::string& name) const {
  Hooks hooks = hooks_;
  if (hooks_.progress) {
    hooks.progress = [this, name](Progress progress) {
      progress.detail = progress.detail.empty() ? name : name + ", " + progress.detail;
      hooks_.progress(progress);
    };
  }
  return hooks;
}

// What a later command reads back, and no more than is asked for: as the ledger's last line will
// have it.
void Arms::leave(const RunResult& result) const {
  if (result.interrupted) {
    return;
  }
  const fs::path folder = result.recipe.output;
  const Json json =
      Json::object({{"key", key_of(result.recipe)}, {"result", result_to_json(result)}});
  write_file(folder / "result.json", json.dump() + "\n");
  if (!options_.keep_models) {
    remove_models(folder);
  }
}

RunResult Arms::run(const std::string& name, Recipe recipe) {
  stop_if_asked(hooks_);
  recipe.output = (folder_ / name).string();
  recipe.learning_rate.naive = RateRecipe{}.naive;  // of the comparison, not of an arm
  recipe.leave = {.importance = "none", .memory = 0, .path = false};
  recipe.checkpoint.every = 0;  // a comparison goes on from its arms
  std::optional<RunResult> earlier = read_back(recipe);
  if (hooks_.notice) {
    hooks_.notice(earlier ? fmt::format("arm {}: read back from {}", name, recipe.output)
                          : fmt::format("arm {}", name));
  }
  ledger_.write("arm", Json::object({{"name", name}, {"read_back", earlier.has_value()}}));
  if (!earlier) {
    Hooks hooks = hooks_of(name);
    hooks.saved = [this](const RunResult& result) { leave(result); };
    try {
      earlier = run_on(inputs_, recipe, hooks, {.earlier = first_ ? &*first_ : nullptr});
    } catch (const Refused&) {
      throw;
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(fmt::format("arm {}: {}", name, error.what()));
    }
    if (earlier->interrupted) {
      throw Stopped();
    }
  }
  if (!first_) {
    first_ = earlier;
  }
  return *earlier;
}

NaiveArms run_naive(Arms& arms, const Recipe& recipe, const std::string& name,
                    const std::function<void(Recipe&)>& change) {
  NaiveArms naive;
  for (const double rate : recipe.learning_rate.naive) {
    Recipe one = naive_recipe(recipe, rate);
    if (change) {
      change(one);
    }
    naive.runs.push_back(arms.run(fmt::format("{}-{}", name, rate), one));
  }
  naive.chosen = choose_naive(naive.runs);
  return naive;
}

std::size_t choose_naive(const std::vector<RunResult>& runs) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < runs.size(); ++i) {
    const double gain = new_valid_accuracy(runs[i]) - new_valid_accuracy(runs[best]);
    const bool lower = runs[i].recipe.learning_rate.rate < runs[best].recipe.learning_rate.rate;
    if (gain > 0 || (gain == 0 && lower)) {
      best = i;
    }
  }
  return best;
}

double new_valid_accuracy(const RunResult& run) {
  return run.fresh().valid ? run.fresh().valid->accuracy : 0;
}

double mean_test_accuracy(const RunResult& run, bool old) {
  double sum = 0;
  double tasks = 0;
  for (const TaskResult& task : run.tasks) {
    if (task.old == old && task.after) {
      sum += task.after->accuracy;
      ++tasks;
    }
  }
  return tasks > 0 ? sum / tasks : 0;
}

double overhead_of(const RunResult& run, const RunResult& naive) {
  return run.seconds.computing() / naive.seconds.computing() - 1;
}

void check_arms(const Recipe& recipe, std::int64_t seeds) {
  if (seeds < 1 || recipe.seed > std::numeric_limits<std::int64_t>::max() - seeds) {
    throw Refused(
        fmt::format("{} seeds from {} on: there must be at least one", seeds, recipe.seed));
  }
  if (recipe.learning_rate.naive.size() > 1 && recipe.fresh.valid.empty()) {
    throw Refused("learning_rate.naive is a list: the new task needs valid, to choose the rate by");
  }
}

bool for_each_seed(const std::string& command, const Recipe& recipe, std::int64_t seeds,
                   const Hooks& hooks,
                   const std::function<void(const Recipe&, const Inputs&, ArmsFolder&)>& body) {
  check_arms(recipe, seeds);
  std::unique_ptr<ArmsFolder> folder;
  Recipe seeded = recipe;
  try {
    for (std::int64_t i = 0; i < seeds; ++i) {
      seeded.seed = recipe.seed + i;
      const Inputs inputs = open_inputs(seeded, hooks);
      seeded.threads = thread_count();
      if (!folder) {
        folder = std::make_unique<ArmsFolder>(command, resolve(recipe, inputs));
      }
      body(resolve(seeded, inputs), inputs, *folder);
    }
  } catch (const Stopped&) {
    return false;
  }
  return true;
}

}  // namespace holdfast
