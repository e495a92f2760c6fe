// holdfast evaluate: how well a head does on a labelled file.
#include "train/evaluate.h"

#include <fmt/format.h>

#include <memory>

#include "base/utf8.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "train/dataset.h"
#include "train/numbers.h"
#include "train/threads.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string model, task, file, device = "cpu";
  DataRecipe data;
};

void print_evaluation(const Evaluation& result) {
  std::string out =
      fmt::format("{}: accuracy {}% [{}, {}] of {} texts, macro F1 {:.3f}, loss {:.4f}\n\n",
                  utf8::printable(result.task), percent(result.accuracy), percent(result.ci95.low),
                  percent(result.ci95.high), grouped(result.n), result.macro_f1, result.loss);
  Table classes({"class", "texts", "precision", "recall", "F1"});
  std::vector<std::string> header = {"true, as predicted"};
  header.insert(header.end(), result.labels.begin(), result.labels.end());
  Table confusion(std::move(header));
  for (std::size_t k = 0; k < result.labels.size(); ++k) {
    const ClassRates& rates = result.per_class[k];
    classes.add({result.labels[k], grouped(rates.support), fmt::format("{:.3f}", rates.precision),
                 fmt::format("{:.3f}", rates.recall), fmt::format("{:.3f}", rates.f1)});
    std::vector<std::string> row = {result.labels[k]};
    for (const std::int64_t count : result.confusion[k]) row.push_back(grouped(count));
    confusion.add(std::move(row));
  }
  print(out + classes.text() + '\n' + confusion.text());
}

int run(Options& options, const Common& common) {
  const OnDevice device(parse_device(options.device));
  LoadedModel loaded = load_model(options.model, common);
  const Head& head = head_of(loaded.model, options.task);
  options.data.name = options.task.empty() ? head.task : options.task;
  options.data.max_length = length_for(loaded.model, options.data.max_length);
  const std::vector<Sample> samples = read_samples(
      options.file, options.data, classes_of(head, options.data.name), loaded.tokenizer);
  return working([&] {
    use_threads(0);
    Progress progress(common.quiet);
    const auto total = static_cast<std::int64_t>(samples.size());
    const Evaluation result =
        evaluate(loaded.model, head, samples, [&](std::int64_t texts, std::int64_t) {
          progress.update({"evaluate", head.task, texts, total});
        });
    progress.clear();
    common.json ? print(to_json(result).dump() + '\n') : print_evaluation(result);
    return kDone;
  });
}

}  // namespace

Command add_evaluate(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  options->data.max_length = 0;
  CLI::App* sub = add_subcommand(
      app, common, "evaluate", "Measures a model on labelled texts",
      "  holdfast evaluate --model runs/medical/model --data news_test.csv --task news");
  sub->add_option("--model", options->model, "Model folder")->required();
  sub->add_option("--data", options->file, "Labelled texts: CSV, TSV or JSON Lines")->required();
  sub->add_option("--task", options->task, "Which head; needed when there are several");
  sub->add_option("--max-length", options->data.max_length,
                  "Cut texts to so many tokens; 0: what the model can")
      ->check(whole_number(0));
  add_device_option(*sub, options->device);
  add_column_options(*sub, options->data);
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
