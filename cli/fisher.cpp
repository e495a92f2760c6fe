// holdfast fisher: how much each weight matters to a task.
#include "train/fisher.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "base/json.h"
#include "base/utf8.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "train/dataset.h"
#include "train/importance_file.h"
#include "train/selection.h"
#include "train/threads.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string model, task, file, output, kind = "true";
  std::int64_t samples = 1000, seed = 7;
  bool explain = false;
  DataRecipe data;
};

constexpr std::string_view kExplanation =
    R"(holdfast's penalty: lambda * sum_i F_i (theta_i - theta_old,i)^2, without 1/2, on
  true       F_i = 1/N sum_n sum_y p(y|x_n) (d log p(y|x_n) / d theta_i)^2
  empirical  F_i = 1/N sum_n (d log p(y_n|x_n) / d theta_i)^2 at the observed labels
each text's gradient squared by itself, dropout off. With normalize = "mean" F is then divided by
its mean over the parameters with F > 0, which `fisher` prints. Another system's lambda, on raw F:

whose lambda            its penalty    its F                                   lambda here
Kirkpatrick, van de Ven lam/2 F d^2    per text                                lam/2
Avalanche               lam F d^2      (gradient of the batch's mean)^2        about lam/B
FACIL, PyContinual      lam/2 F d^2    mean of (batch's mean gradient)^2       about lam/(2B)
mammoth ewc_on          lam F d^2      mean of p_y g^2                         lam sum(p g^2)/sum(g^2)
RecAdam                 (w-k) g/2 d^2  identity, decoupled                     not comparable
B: texts in a batch; with normalize = "mean" multiply the last column by the printed mean of F
)";

/// `count` of the samples at random, or all of them when there are fewer.
std::vector<Sample> drawn(std::vector<Sample> samples, std::int64_t count, std::int64_t seed) {
  const auto n = static_cast<std::int64_t>(samples.size());
  if (n <= count) return samples;
  std::vector<Sample> out;
  for (const Selected& one : select_random(n, count, static_cast<std::uint64_t>(seed)))
    out.push_back(std::move(samples[static_cast<std::size_t>(one.index)]));
  return out;
}

int run(Options& options, const Common& common) {
  if (options.explain && options.model.empty()) {
    print(kExplanation);
    return kDone;
  }
  for (const auto& [value, name] :
       {std::pair{options.model, "--model"}, {options.file, "--data"}, {options.output, "-o"}})
    if (value.empty())
      throw std::runtime_error(fmt::format("{} is required; see `holdfast fisher --help`", name));
  refuse_overwriting(options.output, {options.model, options.file});
  ImportanceOptions how;
  how.kind = parse_importance_kind(options.kind);
  LoadedModel loaded = load_model(options.model, common);
  const Head& head = head_of(loaded.model, options.task);
  options.data.max_length = length_for(loaded.model, options.data.max_length);
  const std::vector<Sample> samples =
      drawn(read_samples(options.file, options.data, head.labels, loaded.tokenizer),
            options.samples, options.seed);
  return working([&] {
    use_threads(0);
    Progress progress(common.quiet);
    const Importance result = measure_importance(
        loaded.model, head, samples, how, [&](std::int64_t done, std::int64_t total) {
          progress.update({"fisher", head.task, done, total});
        });
    save_importance(options.output, result, loaded.model.arena());
    progress.clear();
    if (common.json)
      print(Json::object({{"kind", name_of(result.kind)},
                          {"task", head.task},
                          {"samples", result.samples},
                          {"mean_positive", result.scale.mean_positive},
                          {"maximum", result.scale.maximum},
                          {"positive_share", result.scale.positive_share},
                          {"output", options.output}})
                .dump() +
            '\n');
    else
      print(fmt::format(
          "{}: {} Fisher of {} from {} texts; mean {:.4g} over the {}% of parameters with F > 0, "
          "largest {:.4g}\n",
          options.output, name_of(result.kind), utf8::printable(head.task), grouped(result.samples),
          result.scale.mean_positive, percent(result.scale.positive_share), result.scale.maximum));
    if (options.explain && !common.json) print(kExplanation);
    return kDone;
  });
}

}  // namespace

Command add_fisher(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  options->data.max_length = 0;
  CLI::App* sub = add_subcommand(
      app, common, "fisher", "Measures how much each weight matters to a task",
      "  holdfast fisher --model models/news --data news.csv -o importance.safetensors\n"
      "  holdfast fisher --explain");
  sub->add_option("--model", options->model, "Model folder");
  sub->add_option("--data", options->file, "Labelled texts of the task: CSV, TSV or JSON Lines");
  sub->add_option("--task", options->task, "Which head; needed when there are several");
  sub->add_option("--kind", options->kind, "true or empirical")->capture_default_str();
  sub->add_option("--samples", options->samples, "Texts to use at most, drawn at random")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  sub->add_option("--seed", options->seed, "Of the draw")->capture_default_str();
  sub->add_flag("--explain", options->explain,
                "Print the convention, and conversions from other systems");
  sub->add_option("--max-length", options->data.max_length,
                  "Cut texts to so many tokens; 0: what the model can")
      ->check(CLI::NonNegativeNumber);
  sub->add_option("-o,--output", options->output, "safetensors file to write");
  add_column_options(*sub, options->data);
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
