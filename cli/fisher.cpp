// holdfast fisher: how much each weight matters to a task.
#include "train/fisher.h"

#include <fmt/format.h>

#include <memory>

#include "base/json.h"
#include "base/utf8.h"
#include "cli/conversions.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "train/dataset.h"
#include "train/importance_file.h"
#include "train/numbers.h"
#include "train/threads.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string model, task, file, output, kind = "true", device = "cpu";
  std::int64_t samples = 1000, seed = 7, batch = 32;
  bool explain = false;
  DataRecipe data;
};

// The texts that importance is measured on. Labels are read where the file has them; the empirical
// kind alone needs them.
std::vector<Sample> chosen_samples(const Options& options, ImportanceKind kind, const Head& head,
                                   const Tokenizer& tokenizer) {
  const bool labelled = kind == ImportanceKind::empirical;
  const TaskClasses classes = classes_of(head, options.task);
  std::vector<Example> examples = read_examples(options.file, columns_of(options.data, labelled));
  std::vector<Example> chosen;
  for (const std::int64_t index :
       fisher_samples(static_cast<std::int64_t>(examples.size()), options.samples,
                      static_cast<std::uint64_t>(options.seed))) {
    chosen.push_back(std::move(examples[static_cast<std::size_t>(index)]));
    if (chosen.back().label.empty()) chosen.back().label = classes.labels.front();  // not used
  }
  return to_samples(chosen, options.data, options.file, classes.labels, tokenizer, classes.first);
}

void print_result(const Importance& result, const Options& options, bool json) {
  if (json) {
    Json object = Json::object({{"kind", name_of(result.kind)},
                                {"task", result.task},
                                {"samples", result.samples},
                                {"mean_positive", result.scale.mean_positive},
                                {"maximum", result.scale.maximum},
                                {"positive_share", result.scale.positive_share},
                                {"output", options.output}});
    if (options.explain) object.add("explanation", conversions_json(&result, options.batch));
    print(object.dump() + '\n');
    return;
  }
  print(fmt::format(
      "{}: {} importance of {} from {} texts; mean {:.4g} over the {}% of parameters with F > 0, "
      "largest {:.4g}\n",
      utf8::printable(options.output), name_of(result.kind), utf8::printable(result.task),
      grouped(result.samples), result.scale.mean_positive, percent(result.scale.positive_share),
      result.scale.maximum));
  if (options.explain) {
    print('\n' + explanation() + '\n' + conversion_table(result, options.batch));
  }
}

ImportanceKind kind_of(const Options& options) {
  const ImportanceKind kind = parse_importance_kind(options.kind);
  if (kind != ImportanceKind::si) return kind;
  throw std::runtime_error(
      "--kind si: it is measured along a training, not on texts; known here: true, empirical, "
      "sampled, sketch, mas");
}

int run(Options& options, const Common& common) {
  const ImportanceKind kind = kind_of(options);
  if (options.explain && options.model.empty()) {
    print(common.json ? conversions_json(nullptr, options.batch).dump() + '\n' : explanation());
    return kDone;
  }
  for (const auto& [value, name] :
       {std::pair{options.model, "--model"}, {options.file, "--data"}, {options.output, "-o"}})
    if (value.empty())
      throw std::runtime_error(fmt::format("{} is required; see `holdfast fisher --help`", name));
  const OnDevice device(parse_device(options.device));
  check_output_file(options.output, {options.model, options.file});
  LoadedModel loaded = load_model(options.model, common);
  const Head& head = head_of(loaded.model, options.task);
  options.data.name = head.task;
  options.data.max_length = length_for(loaded.model, options.data.max_length);
  const std::vector<Sample> samples = chosen_samples(options, kind, head, loaded.tokenizer);
  return working([&] {
    use_threads(0);
    ImportanceOptions how;
    how.kind = kind;
    how.seed = static_cast<std::uint64_t>(options.seed);
    Progress progress(common.quiet);
    Importance result = measure_importance(
        loaded.model, head, samples, how, [&](std::int64_t done, std::int64_t total) {
          const Step step{"fisher", head.task, done, total};
          done == total ? progress.finish(step) : progress.update(step);
        });
    if (!options.task.empty()) result.belongs_to(options.task, head.task);
    make_parent(options.output);
    save_importance(options.output, result, loaded.model.arena());
    progress.clear();
    print_result(result, options, common.json);
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
  sub->add_option("--kind", options->kind, "true, empirical, sampled, sketch or mas")
      ->capture_default_str();
  sub->add_option("--samples", options->samples, "Texts to use at most, drawn at random")
      ->check(whole_number(1))
      ->capture_default_str();
  sub->add_option("--seed", options->seed, "Of the draws of texts, labels and signs")
      ->check(whole_number(0))
      ->capture_default_str();
  sub->add_flag("--explain", options->explain,
                "Print the conventions, and other systems' lambdas in them");
  sub->add_option("--batch", options->batch, "Texts in a batch of the other system, for --explain")
      ->check(whole_number(1))
      ->capture_default_str();
  sub->add_option("--max-length", options->data.max_length,
                  "Cut texts to so many tokens; 0: what the model can")
      ->check(whole_number(0));
  sub->add_option("-o,--output", options->output, "safetensors file to write");
  add_device_option(*sub, options->device);
  add_column_options(*sub, options->data);
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
