// --dry-run: the steps, tokens and memory that a run would take, and the smallest drop that its
// test splits can show.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "base/text.h"
#include "cli/run.h"
#include "cli/table.h"
#include "train/memory.h"
#include "train/numbers.h"
#include "train/statistics.h"

namespace holdfast::cli {
namespace {

constexpr double kAssumedAccuracy = 0.9;  // of an old task before training, which is not measured

struct SmallestDrop {
  std::string task;
  std::int64_t texts = 0;
  double drop = 0;
};

struct Plan {
  std::int64_t steps = 0, batch_size = 0, parameters = 0, tokens = 0, memory_bytes = 0;
  std::vector<SmallestDrop> smallest_drops;
};

double mean_tokens(const std::vector<Sample>& samples) {
  double sum = 0;
  for (const Sample& sample : samples) sum += static_cast<double>(sample.ids.size());
  return samples.empty() ? 0 : sum / static_cast<double>(samples.size());
}

double tokens_per_step(const Recipe& recipe, const Inputs& inputs) {
  double old_tokens = 0, old_tasks = 0;
  for (const TaskData& task : inputs.tasks) {
    if (!task.old || task.train.empty()) continue;
    old_tokens += mean_tokens(task.train);
    ++old_tasks;
  }
  const double share = recipe.replay && old_tasks > 0 ? recipe.replay->share : 0;
  const double mean = (1 - share) * mean_tokens(inputs.fresh().train) +
                      (share > 0 ? share * old_tokens / old_tasks : 0);
  return mean * static_cast<double>(recipe.training.batch_size);
}

/// The model's buffers, and what the backward pass of one batch keeps: about 9 hidden and 2
/// intermediate rows a token and layer.
double memory_estimate(const Recipe& recipe, const Inputs& inputs) {
  const BertConfig& config = inputs.model.config();
  const auto row = static_cast<double>(9 * config.hidden_size + 2 * config.intermediate_size);
  const double element = recipe.precision == DType::f64 ? 8 : 4;
  return static_cast<double>(model_buffer_bytes(recipe, inputs.model)) +
         element * tokens_per_step(recipe, inputs) * static_cast<double>(config.layers) * row;
}

Plan plan_of(const Recipe& recipe, const Inputs& inputs) {
  Plan plan;
  plan.steps = recipe.training.steps;
  plan.batch_size = recipe.training.batch_size;
  plan.parameters = inputs.model.arena().parameter_count();
  plan.tokens = std::llround(tokens_per_step(recipe, inputs) * static_cast<double>(plan.steps));
  plan.memory_bytes = std::llround(memory_estimate(recipe, inputs));
  for (const TaskData& task : inputs.tasks) {
    if (!task.old || task.test.empty()) continue;
    const auto n = static_cast<std::int64_t>(task.test.size());
    const auto correct = std::llround(kAssumedAccuracy * static_cast<double>(n));
    plan.smallest_drops.push_back({task.name, n, smallest_detectable_drop(correct, n)});
  }
  return plan;
}

Json to_json(const Plan& plan, std::int64_t arms) {
  Json drops = Json::object();
  for (const SmallestDrop& one : plan.smallest_drops) drops.add(one.task, one.drop);
  return Json::object({{"arms", arms},
                       {"steps", plan.steps},
                       {"batch_size", plan.batch_size},
                       {"parameters", plan.parameters},
                       {"tokens", plan.tokens},
                       {"memory_bytes", plan.memory_bytes},
                       {"smallest_detectable_drop", std::move(drops)}});
}

std::string to_text(const Plan& plan, std::int64_t arms) {
  std::string out = arms == 1 ? "" : fmt::format("{} runs, each of\n", arms);
  out += fmt::format("{} steps of {} texts, about {} tokens\n{} parameters; about {} of memory\n",
                     grouped(plan.steps), plan.batch_size, grouped(plan.tokens),
                     grouped(plan.parameters), human_bytes(plan.memory_bytes));
  for (const SmallestDrop& one : plan.smallest_drops)
    out += fmt::format("{} test texts of {} can show a drop of {} points or more (from {:.0f}%)\n",
                       grouped(one.texts), one.task, percent(one.drop), 100 * kAssumedAccuracy);
  return out;
}

}  // namespace

int print_plan(const Recipe& recipe, std::size_t arms, const Common& common) {
  Watch watch(common);
  const Inputs inputs = open_inputs(recipe, watch.hooks());
  const Plan plan = plan_of(resolve(recipe, inputs), inputs);
  watch.clear();
  const auto runs = static_cast<std::int64_t>(arms);
  print(common.json ? to_json(plan, runs).dump() + '\n' : to_text(plan, runs));
  return kDone;
}

}  // namespace holdfast::cli
