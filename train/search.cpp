#include "train/search.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "base/file.h"
#include "base/parallel.h"
#include "train/metrics.h"
#include "train/replay.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMostSteps = 1'000'000'000;  // of a recipe whose texts are not counted yet

// What decides which files are read, and how; points that share it share their inputs.
std::string what_is_read(const Recipe& recipe) {
  Recipe read;
  read.model = recipe.model;
  read.seed = recipe.seed;
  read.precision = recipe.precision;
  read.fresh = recipe.fresh;
  read.old = recipe.old;
  read.heads = recipe.heads;
  read.augment = recipe.augment;
  read.training.memory_budget = recipe.training.memory_budget;
  if (recipe.replay) {
    read.replay.emplace().memory = recipe.replay->memory;
  }
  if (recipe.needs_importance()) {
    read.ewc.emplace();
    read.ewc->importance = recipe.ewc ? recipe.ewc->importance : "";
    read.ewc->fisher = recipe.ewc && recipe.ewc->fisher == "si" ? "si" : "true";
  }
  return recipe_hash(read);
}

void check(const Recipe& recipe) {
  if (recipe.old.empty()) {
    throw Refused("search needs an [[old]] task: it looks for what keeps enough of it");
  }
  const auto needs = [](const DataRecipe& data) {
    if (data.valid.empty()) {
      throw Refused(fmt::format("search needs valid of task {}: it decides by it", data.name));
    }
  };
  std::for_each(recipe.old.begin(), recipe.old.end(), needs);
  needs(recipe.fresh);
}

class Search {
 public:
  Search(const Recipe& recipe, const Hooks& hooks) : hooks_(hooks) {
    result_.recipe = recipe;
    result_.points = grid_points(recipe);
  }

  SearchResult operator()();

 private:
  void read_all();
  void check_memories(const SearchPoint& point) const;
  void open(const Recipe& point, bool with_tests = false);
  void climb();
  void run(std::size_t number, std::size_t rung);
  void fail(std::size_t number, const std::string& why);
  RunResult run_arm(const SearchPoint& point, std::size_t number);
  RunResult run_chosen();
  Recipe at_rung(const SearchPoint& point, std::int64_t divisor) const;
  void choose(const std::vector<std::size_t>& last);
  std::vector<PointOutcome> outcomes_of(const std::vector<std::size_t>& numbers) const;
  std::vector<std::size_t> best_of(const std::vector<std::size_t>& numbers,
                                   std::int64_t most) const;

  const Hooks& hooks_;
  SearchResult result_;
  std::vector<std::size_t> order_;  // of the points, as they run
  int threads_ = 0;                 // as measured when the first inputs were read
  std::string read_;                // what inputs_ are of
  std::unique_ptr<Inputs> inputs_;
  std::unique_ptr<Arms> arms_;
  std::unique_ptr<ArmsFolder> output_;
};

// All files of all points, before anything runs. Points that read the same stand together from here
// on, so that it is read once.
void Search::read_all() {
  std::map<std::string, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < result_.points.size(); ++i) {
    groups[what_is_read(result_.points[i].recipe)].push_back(i);
  }
  std::int64_t fewest = 0;
  for (const auto& [read, numbers] : groups) {
    for (const std::size_t number : numbers) {
      const SearchPoint& point = result_.points[number];
      open(point.recipe);
      check_memories(point);
      const std::int64_t steps = resolve(point.recipe, *inputs_).training.steps;
      fewest = fewest == 0 ? steps : std::min(fewest, steps);
      order_.push_back(number);
    }
  }
  result_.rungs = halving_plan(std::ssize(result_.points), result_.recipe.search->halving, fewest);
}

void Search::check_memories(const SearchPoint& point) const {
  for (const TaskData& task : inputs_->tasks) {
    if (!task.old || !point.recipe.replay || !task.kept.empty()) {
      continue;
    }
    try {
      texts_to_keep(*point.recipe.replay, task);
    } catch (const std::runtime_error& error) {
      throw Refused(fmt::format("search at {}: {}", point.text(), error.what()));
    }
  }
}

// What decides sees no test split; `with_tests` is for the chosen point.
void Search::open(const Recipe& point, bool with_tests) {
  const std::string read = what_is_read(point) + (with_tests ? " and tests" : "");
  if (inputs_ && read == read_) {
    return;
  }
  arms_.reset();
  inputs_.reset();
  Recipe recipe = point;
  recipe.threads = threads_ > 0 ? threads_ : recipe.threads;
  inputs_ = std::make_unique<Inputs>(open_inputs(recipe, hooks_));
  if (!with_tests) {
    inputs_->leave_out_tests();
  }
  threads_ = thread_count();
  read_ = read;
}

Recipe Search::at_rung(const SearchPoint& point, std::int64_t divisor) const {
  Recipe recipe = point.recipe;
  recipe.threads = threads_;
  recipe.training.steps =
      std::max<std::int64_t>(resolve(recipe, *inputs_).training.steps / divisor, 1);
  return resolve(recipe, *inputs_);
}

RunResult Search::run_arm(const SearchPoint& point, std::size_t number) {
  open(point.recipe);
  if (!arms_) {
    arms_ = std::make_unique<Arms>(*inputs_, output_->path, output_->ledger, hooks_,
                                   ArmsOptions{.keep_models = false});
  }
  const Recipe recipe = at_rung(point, result_.rungs[point.rung].divisor);
  return arms_->run(fmt::format("point-{}/steps-{}", number + 1, recipe.training.steps), recipe);
}

// The chosen point once more, bit for bit, with its test splits; its model stays.
RunResult Search::run_chosen() {
  const SearchPoint& point = result_.choice();
  open(point.recipe, true);
  Arms arms(*inputs_, output_->path, output_->ledger, hooks_);
  return arms.run("best", at_rung(point, 1));
}

void Search::run(std::size_t number, std::size_t rung) {
  SearchPoint& point = result_.points[number];
  point.rung = rung;
  if (hooks_.notice) {
    hooks_.notice(
        fmt::format("point {} of {}: {}", number + 1, result_.points.size(), point.text()));
  }
  try {
    const RunResult run = run_arm(point, number);
    point.steps = run.recipe.training.steps;
    point.outcome = outcome_of(run);
  } catch (const Refused&) {
    throw;
  } catch (const std::runtime_error& error) {
    fail(number, error.what());
  } catch (const std::invalid_argument& error) {
    fail(number, error.what());
  }
}

void Search::fail(std::size_t number, const std::string& why) {
  SearchPoint& point = result_.points[number];
  point.outcome = {.gained = 0, .retention = 0, .failed = true};
  point.failure = why;
  if (hooks_.notice) {
    hooks_.notice(fmt::format("point {} failed: {}", number + 1, why));
  }
}

std::vector<PointOutcome> Search::outcomes_of(const std::vector<std::size_t>& numbers) const {
  std::vector<PointOutcome> outcomes;
  for (const std::size_t number : numbers) {
    outcomes.push_back(result_.points[number].outcome);
  }
  return outcomes;
}

// The best of these points, in the order in which they run.
std::vector<std::size_t> Search::best_of(const std::vector<std::size_t>& numbers,
                                         std::int64_t most) const {
  std::set<std::size_t> best;
  for (const std::size_t i : ranked(outcomes_of(numbers), result_.recipe.search->retention)) {
    if (std::ssize(best) < most && !result_.points[numbers[i]].outcome.failed) {
      best.insert(numbers[i]);
    }
  }
  std::vector<std::size_t> out;
  std::copy_if(order_.begin(), order_.end(), std::back_inserter(out),
               [&](std::size_t number) { return best.contains(number); });
  return out;
}

void Search::climb() {
  std::vector<std::size_t> alive = order_;
  for (std::size_t rung = 0; rung < result_.rungs.size(); ++rung) {
    if (rung > 0) {
      std::sort(alive.begin(), alive.end());  // of equal ones the earlier goes on
      alive = best_of(alive, result_.rungs[rung].points);
    }
    for (const std::size_t number : alive) {
      run(number, rung);
    }
  }
  std::sort(alive.begin(), alive.end());
  choose(alive);
}

void Search::choose(const std::vector<std::size_t>& last) {
  const std::vector<PointOutcome> outcomes = outcomes_of(last);
  const double needed = result_.recipe.search->retention;
  const std::vector<std::size_t> order = ranked(outcomes, needed);
  if (order.empty() || outcomes[order.front()].failed) {
    const auto first = std::find_if(result_.points.begin(), result_.points.end(),
                                    [](const SearchPoint& point) { return point.outcome.failed; });
    throw std::runtime_error("search: every point failed; the first: " + first->failure);
  }
  const std::vector<bool> front = pareto_front(outcomes);
  for (std::size_t i = 0; i < last.size(); ++i) {
    result_.points[last[i]].front = front[i];
  }
  result_.chosen = last[order.front()];
  result_.satisfied = satisfies(result_.choice().outcome, needed);
  result_.best = run_chosen();
}

// The recipe with its [search], which is no part of a run.
Toml with_grid(const Recipe& recipe) {
  Toml::Table table;
  for (const auto& [key, values] : recipe.search->grid) {
    table.emplace_back(key, Toml::list(values));
  }
  table.emplace_back("retention", recipe.search->retention);
  table.emplace_back("halving", recipe.search->halving);
  Toml document = to_toml(recipe);
  document.set("search", Toml::table(std::move(table)));
  return document;
}

Json to_json(const Toml& value) {
  switch (value.type()) {
    case Toml::Type::boolean:
      return value.as_bool();
    case Toml::Type::integer:
      return value.as_int64();
    case Toml::Type::real:
      return value.as_double();
    case Toml::Type::string:
      return value.as_string();
    default:
      return value.dump();
  }
}

Json point_json(const SearchResult& result, std::size_t number) {
  const SearchPoint& point = result.points[number];
  Json values = Json::object();
  for (const auto& [key, value] : point.values) {
    values.add(key, to_json(value));
  }
  const bool measured = !point.outcome.failed;
  return Json::object({{"point", static_cast<std::int64_t>(number) + 1},
                       {"values", std::move(values)},
                       {"steps", point.steps},
                       {"rung", static_cast<std::int64_t>(point.rung) + 1},
                       {"new_accuracy", measured ? Json(point.outcome.gained) : Json()},
                       {"old_retention", measured ? Json(point.outcome.retention) : Json()},
                       {"satisfied", satisfies(point.outcome, result.recipe.search->retention)},
                       {"pareto", point.front},
                       {"chosen", number == result.chosen},
                       {"failed", point.failure.empty() ? Json() : Json(point.failure)}});
}

void write(const SearchResult& result) {
  const std::filesystem::path output = result.recipe.output;
  Json points = Json::list();
  for (std::size_t i = 0; i < result.points.size(); ++i) {
    points.push_back(point_json(result, i));
  }
  Json rungs = Json::list();
  for (const Rung& rung : result.rungs) {
    rungs.push_back(Json::object({{"points", rung.points}, {"divisor", rung.divisor}}));
  }
  const Json json = Json::object({{"retention", result.recipe.search->retention},
                                  {"halving", result.recipe.search->halving},
                                  {"rungs", std::move(rungs)},
                                  {"chosen", static_cast<std::int64_t>(result.chosen) + 1},
                                  {"satisfied", result.satisfied},
                                  {"points", std::move(points)},
                                  {"best", metrics_json(result.best)}});
  Recipe best = result.choice().recipe;
  best.output = (output / "best").string();
  write_file(output / "best.toml", to_toml(best).dump());
  write_file(output / "metrics.json", json.dump(2) + "\n");
}

SearchResult Search::operator()() {
  try {
    read_all();
    output_ = std::make_unique<ArmsFolder>("search", result_.recipe);
    write_file(output_->path / "recipe.toml", with_grid(result_.recipe).dump());
    climb();
    write(result_);
  } catch (const Stopped&) {
    result_.interrupted = true;
  }
  return std::move(result_);
}

}  // namespace

PointOutcome outcome_of(const RunResult& run) {
  PointOutcome outcome{.gained = new_valid_accuracy(run), .retention = 1, .failed = false};
  for (const CurvePoint::Task& before : run.curve.front().tasks) {
    for (const TaskResult& task : run.tasks) {
      if (task.old && task.name == before.name && before.accuracy > 0) {
        outcome.retention = std::min(outcome.retention, task.valid->accuracy / before.accuracy);
      }
    }
  }
  return outcome;
}

SearchResult search_recipe(const Recipe& recipe, const Hooks& hooks) {
  Search search(recipe, hooks);
  check(recipe);
  return search();
}

std::size_t count_arms(const Recipe& recipe) {
  const std::int64_t points = std::ssize(grid_points(recipe));
  check(recipe);
  const std::int64_t steps = recipe.training.steps > 0 ? recipe.training.steps : kMostSteps;
  std::int64_t runs = 0;
  for (const Rung& rung : halving_plan(points, recipe.search->halving, steps)) {
    runs += rung.points;
  }
  return static_cast<std::size_t>(runs) + 1;  // the chosen point, with its test splits
}

}  // namespace holdfast
