// holdfast merge: one model from several, by arithmetic on their weights.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/utf8.h"
#include "cli/inputs.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "train/importance_file.h"
#include "train/merge_models.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string method, base, task, output, device = "cpu";
  std::vector<std::string> models, importance;
  std::vector<double> weights;
  std::optional<double> density, scale, floor;
  MergeOptions how;  // of the above
};

/// What the options mean together: which models are merged, on which base, with which weights.
struct Plan {
  std::string base;
  std::vector<std::string> models;
  std::vector<double> weights;
};

void require(bool holds, const std::string& otherwise) {
  if (!holds) throw std::runtime_error(otherwise);
}

/// One weight each; of two models the weight w of the second is enough: 1 - w and w.
std::vector<double> weights_of(const Options& options, std::size_t models) {
  const std::vector<double>& given = options.weights;
  const bool pair = models == 2 && !needs_base(options.how.method);
  for (const double weight : given)
    if (!(weight >= 0 && std::isfinite(weight)) || (pair && given.size() == 1 && weight > 1))
      throw std::runtime_error(fmt::format("--weight {}: must be at least 0{}", weight,
                                           pair && given.size() == 1 ? " and at most 1" : ""));
  if (given.empty()) return std::vector<double>(models, 1.0);
  if (pair && given.size() == 1) return {1 - given[0], given[0]};
  if (given.size() != models)
    throw std::runtime_error(fmt::format(
        "--weight: {} given, {} to merge{}; give one for each, or none for equal ones",
        given.size(), models, needs_base(options.how.method) ? " beside the base" : ""));
  if (std::all_of(given.begin(), given.end(), [](double weight) { return weight == 0; }))
    throw std::runtime_error("--weight: all are 0; give one above 0");
  return given;
}

/// Options that do not belong to the method are refused, as they would change nothing.
MergeOptions how_of(const Options& options) {
  MergeOptions how;
  how.seed = options.how.seed;
  how.method = parse_merge_method(options.method);
  require(!options.scale || needs_base(how.method),
          fmt::format("--scale: {} adds no task vectors to scale", options.method));
  require(
      !options.density || uses_density(how.method),
      fmt::format("--density: {} keeps whole task vectors; ties and dare use it", options.method));
  require(!options.floor || how.method == MergeMethod::fisher,
          fmt::format("--floor: {} uses no importance; fisher does", options.method));
  how.scale = options.scale.value_or(how.scale);
  how.density = options.density.value_or(how.density);
  how.floor = options.floor.value_or(how.floor);
  check_merge_options(how);
  return how;
}

Plan plan_of(const Options& options) {
  const MergeMethod method = options.how.method;
  const auto name = name_of(method);
  Plan plan{options.base, options.models, {}};
  if (needs_base(method) && plan.base.empty()) {
    plan.base = plan.models.front();
    plan.models.erase(plan.models.begin());
    require(!plan.models.empty(),
            fmt::format("{} needs a base and at least one model: give --model twice, the base "
                        "first, or --base",
                        name));
  }
  require(needs_base(method) || plan.base.empty(),
          fmt::format("--base: {} has no base; give the models alone", name));
  require(needs_base(method) || plan.models.size() >= 2,
          fmt::format("{} merges several models: give --model at least twice", name));
  require(method != MergeMethod::slerp || plan.models.size() == 2,
          fmt::format("slerp merges two models, not {}", plan.models.size()));
  const std::size_t files = method == MergeMethod::fisher ? plan.models.size() : 0;
  require(options.importance.size() == files,
          method == MergeMethod::fisher
              ? fmt::format("fisher needs one --importance for each of the {} models, in their "
                            "order; `holdfast fisher` makes them",
                            files)
              : fmt::format("--importance: {} does not use it; fisher does", name));
  plan.weights = weights_of(options, plan.models.size());
  return plan;
}

/// Throws std::runtime_error naming the first difference.
void check_tokenizers(const std::string& a, const Tokenizer& x, const std::string& b,
                      const Tokenizer& y) {
  const auto refuse = [&](const std::string& fact) {
    return std::runtime_error(fmt::format("{} and {} cannot be merged: {}", a, b, fact));
  };
  for (std::int64_t id = 0; id < std::min(x.size(), y.size()); ++id) {
    const auto at = static_cast<std::int32_t>(id);
    if (x.token(at) != y.token(at))
      throw refuse(fmt::format("token {} is \"{}\" and \"{}\"", id, utf8::printable(x.token(at)),
                               utf8::printable(y.token(at))));
  }
  if (x.size() != y.size())
    throw refuse(fmt::format("the vocabularies have {} and {} tokens", x.size(), y.size()));
  if (!(x.options() == y.options()))
    throw refuse(
        "the tokenizers normalise differently (lower case, accents or Chinese characters)");
}

struct Loaded {
  std::deque<LoadedModel> models;  // the base first, if there is one
  std::vector<MergeModel> merged;
  std::unique_ptr<MergeModel> base;
};

/// Reads everything and checks that it belongs together.
Loaded load(const Options& options, const Plan& plan, const Common& common) {
  Loaded out;
  const auto add = [&](const std::string& directory, double weight) {
    out.models.push_back(load_model(directory, common));
    const LoadedModel& model = out.models.back();
    check_tokenizers(plan.base.empty() ? plan.models.front() : plan.base,
                     out.models.front().tokenizer, directory, model.tokenizer);
    return MergeModel{.name = directory, .model = &model.model, .weight = weight, .importance = {}};
  };
  std::vector<MergeModel> together;
  if (!plan.base.empty()) {
    out.base = std::make_unique<MergeModel>(add(plan.base, 1.0));
    together.push_back(*out.base);
  }
  for (std::size_t k = 0; k < plan.models.size(); ++k) {
    out.merged.push_back(add(plan.models[k], plan.weights[k]));
    together.push_back(out.merged.back());
  }
  check_mergeable(together);
  for (std::size_t k = 0; k < options.importance.size(); ++k) {
    const ParameterArena& arena = out.merged[k].model->arena();
    const Importance importance = load_importance(options.importance[k], arena);
    require(importance.weights.empty() || importance.weights == weights_digest(arena),
            fmt::format("--importance {}: was measured at another model than {}",
                        options.importance[k], out.merged[k].name));
    out.merged[k].importance = importance.values;
  }
  return out;
}

/// The task that model.safetensors shall show transformers: the chosen one, else the last head of
/// the last model.
std::string primary_task(const Options& options, const Loaded& loaded) {
  std::set<std::string> known;
  std::string last;
  for (const LoadedModel& each : loaded.models) {
    for (const Head& head : each.model.heads()) known.insert(last = head.task);
  }
  if (options.task.empty()) return last;
  if (known.contains(options.task)) return options.task;
  throw std::runtime_error(fmt::format("--task {}: no model has such a head, but: {}",
                                       utf8::printable(options.task),
                                       utf8::printable(fmt::format("{}", fmt::join(known, ", ")))));
}

Json to_json(const Options& options, const Plan& plan, const MergedModel& merged,
             const std::string& task) {
  Json models = Json::list(), weights = Json::list(), heads = Json::object();
  for (const std::string& model : plan.models) models.push_back(model);
  for (const double weight : plan.weights) weights.push_back(weight);
  for (const HeadOrigin& head : merged.heads)
    heads.add(head.task, head.from.empty() ? Json("merged") : Json(head.from));
  Json json = Json::object({{"method", name_of(options.how.method)},
                            {"base", plan.base.empty() ? Json() : Json(plan.base)},
                            {"models", std::move(models)},
                            {"weights", std::move(weights)}});
  if (needs_base(options.how.method)) json.add("scale", options.how.scale);
  if (uses_density(options.how.method)) json.add("density", options.how.density);
  if (options.how.method == MergeMethod::slerp) json.add("on_arc", merged.report.on_arc);
  json.add("tensors", merged.report.tensors);
  json.add("parameters", merged.report.parameters);
  json.add("heads", std::move(heads));
  json.add("task", task.empty() ? Json() : Json(task));
  json.add("output", options.output);
  return json;
}

std::string to_text(const Options& options, const Plan& plan, const MergedModel& merged) {
  std::string out =
      fmt::format("{}: {} of {} model{}{}, {} parameters in {} tensors\n", options.output,
                  name_of(options.how.method), plan.models.size(),
                  plan.models.size() == 1 ? "" : "s", plan.base.empty() ? "" : " on " + plan.base,
                  grouped(merged.report.parameters), merged.report.tensors);
  if (options.how.method == MergeMethod::slerp)
    out += fmt::format("  {} tensors on the arc; the others are almost parallel: linear\n",
                       merged.report.on_arc);
  for (const HeadOrigin& head : merged.heads)
    out += fmt::format("  head {}: {}\n", utf8::printable(head.task),
                       head.from.empty() ? "merged" : "of " + head.from);
  return out;
}

int run(Options& options, const Common& common) {
  options.how = how_of(options);
  const Plan plan = plan_of(options);
  const OnDevice device(parse_device(options.device));
  check_output_folder(options.output);
  const Loaded loaded = load(options, plan, common);
  const std::string task = primary_task(options, loaded);
  return working([&] {
    set_thread_count(available_cpus());
    const MergedModel merged = merge_models(loaded.base.get(), loaded.merged, options.how);
    make_parent(options.output);
    DirectoryWriter folder(options.output);
    merged.model.save(folder.temporary(), task);
    loaded.models.front().tokenizer.save(folder.temporary(), merged.model.config().max_positions);
    folder.commit();
    print(common.json ? to_json(options, plan, merged, task).dump() + '\n'
                      : to_text(options, plan, merged));
    return kDone;
  });
}

}  // namespace

Command add_merge(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = add_subcommand(
      app, common, "merge", "Makes one model of several",
      "  holdfast merge --method linear --model models/news --model runs/medical/model "
      "--weight 0.6 -o merged\n"
      "  holdfast merge --method ties --base models/news --model runs/medical/model "
      "--model runs/law/model --density 0.2 -o merged\n"
      "  holdfast merge --method fisher --model a --importance a.safetensors "
      "--model b --importance b.safetensors -o merged\n"
      "\nThe encoder is merged, and heads that every model has; every other head is kept from the "
      "last model that has it.");
  const auto several = CLI::MultiOptionPolicy::TakeAll;
  sub->add_option("--method", options->method,
                  "linear, slerp, fisher; of task vectors: task-arithmetic, ties, dare-linear, "
                  "dare-ties")
      ->required();
  sub->add_option("--model", options->models,
                  "Model folder; several. For task vectors the first is the base, unless --base")
      ->required()
      ->expected(1)
      ->multi_option_policy(several);
  sub->add_option(
         "--weight", options->weights,
         "One for each model but the base (default: equal); of two, the second's is enough")
      ->expected(1)
      ->multi_option_policy(several);
  sub->add_option("--base", options->base, "Model folder that task vectors start from");
  sub->add_option("--importance", options->importance,
                  "fisher: for each model a file of `holdfast fisher`")
      ->expected(1)
      ->multi_option_policy(several);
  sub->add_option("--density", options->density,
                  "Share of each task vector that ties (the largest) or dare (at random) keeps "
                  "(default 0.2)");
  sub->add_option("--scale", options->scale, "Factor on the merged task vector (default 1)");
  sub->add_option("--floor", options->floor,
                  "fisher: the smallest importance, in means (default 1e-6)");
  sub->add_option("--seed", options->how.seed, "Of dare's masks")
      ->check(whole_number(0))
      ->capture_default_str();
  sub->add_option("--task", options->task,
                  "Whose head model.safetensors shows other programs (default: the last model's "
                  "last)");
  add_device_option(*sub, options->device);
  sub->add_option("-o,--output", options->output, "Folder to make")->required();
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
