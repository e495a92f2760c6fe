// holdfast select: which old texts replay would keep, and why.
#include <fmt/format.h>

#include <cmath>
#include <memory>

#include "base/csv.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/inputs.h"
#include "cli/table.h"
#include "train/dataset.h"
#include "train/selection.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string old_file, new_file, output, model, method = "tfidf";
  double fraction = 0, diversity = 0.3;
  std::int64_t count = 0, seed = 7;
  DataRecipe data;
};

/// The words of a model's tokenizer, or those of BERT's uncased one: no vocabulary is needed.
Tokenizer word_splitter(const std::string& model) {
  if (!model.empty()) return Tokenizer::load(model);
  return Tokenizer::from_vocab({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"});
}

std::vector<Document> documents_of(const std::vector<Example>& examples, const Tokenizer& tokenizer,
                                   WordTable& table) {
  std::vector<Document> out;
  for (const Example& example : examples) {
    Document document;
    for (const std::string* text : {&example.text, &example.pair})
      for (const std::string& word : tokenizer.words(*text)) document.push_back(table.id(word));
    out.push_back(std::move(document));
  }
  return out;
}

std::vector<std::int32_t> classes_of(const std::vector<Example>& examples) {
  const std::vector<std::string> labels = sorted_labels(examples);
  std::vector<std::int32_t> out;
  for (const Example& example : examples)
    out.push_back(
        static_cast<std::int32_t>(std::ranges::find(labels, example.label) - labels.begin()));
  return out;
}

std::vector<Selected> choose(const Options& options, const std::vector<Example>& old_examples,
                             const std::vector<Example>& new_examples, std::int64_t count) {
  const auto n = static_cast<std::int64_t>(old_examples.size());
  const auto seed = static_cast<std::uint64_t>(options.seed);
  if (options.method == "random") return select_random(n, count, seed);
  const std::vector<std::int32_t> classes = classes_of(old_examples);
  if (options.method == "balanced") return select_balanced(classes, count, seed);
  const Tokenizer tokenizer = word_splitter(options.model);
  WordTable table;
  const auto old_documents = documents_of(old_examples, tokenizer, table);
  const auto new_documents = documents_of(new_examples, tokenizer, table);
  return select_tfidf(old_documents, classes, new_documents, {count, true, options.diversity});
}

std::string csv_of(const std::vector<Selected>& kept, const std::vector<Example>& examples) {
  std::string out = "text,label,id,score,reason\n";
  for (const Selected& one : kept) {
    const Example& example = examples[static_cast<std::size_t>(one.index)];
    out += fmt::format("{},{},{},{:.6f},{}\n", csv_field(example.text), csv_field(example.label),
                       one.index, one.score, csv_field(one.reason));
  }
  return out;
}

int run(const Options& options, const Common& common) {
  refuse_overwriting(options.output, {options.old_file, options.new_file, options.model});
  if (!std::isfinite(options.fraction))
    throw std::runtime_error("--fraction must be a number in (0, 1]");
  const auto old_examples = read_examples(options.old_file, columns_of(options.data, true));
  const auto new_examples = read_examples(options.new_file, columns_of(options.data, false));
  const auto n = static_cast<std::int64_t>(old_examples.size());
  const std::int64_t count =
      options.count > 0 ? options.count : std::llround(options.fraction * static_cast<double>(n));
  if (count < 1 || count > n)
    throw std::runtime_error(
        fmt::format("{}: has {} texts, cannot keep {}; choose another --fraction or --count",
                    options.old_file, n, count));
  const std::vector<Selected> kept = choose(options, old_examples, new_examples, count);
  return working([&] {
    write_file(options.output, csv_of(kept, old_examples));
    print(common.json ? Json::object({{"kept", count},
                                      {"of", n},
                                      {"method", options.method},
                                      {"output", options.output}})
                                .dump() +
                            '\n'
                      : fmt::format("{}: {} of {} texts kept by {}\n", options.output,
                                    grouped(count), grouped(n), options.method));
    return kDone;
  });
}

}  // namespace

Command add_select(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = add_subcommand(
      app, common, "select", "Chooses the old texts that replay keeps",
      "  holdfast select --old news.csv --new medical.csv --fraction 0.1 -o replay.csv\n"
      "  holdfast select --old news.csv --new medical.csv --count 500 --method balanced "
      "-o replay.csv");
  sub->add_option("--old", options->old_file, "Labelled texts of the old task")->required();
  sub->add_option("--new", options->new_file, "Texts of the new task")->required();
  auto* amount = sub->add_option_group("amount");
  amount->add_option("--fraction", options->fraction, "Share of the old texts to keep")
      ->check(CLI::Range(0.0, 1.0));
  amount->add_option("--count", options->count, "Texts to keep")->check(CLI::PositiveNumber);
  amount->require_option(1);
  sub->add_option("--method", options->method, "tfidf, random or balanced")
      ->check(CLI::IsMember({"tfidf", "random", "balanced"}))
      ->capture_default_str();
  sub->add_option("--diversity", options->diversity,
                  "tfidf: 0 the most similar; towards 1 unlike one another")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  sub->add_option("--seed", options->seed, "Of random and balanced")->capture_default_str();
  sub->add_option("--model", options->model,
                  "Count words as this model's tokenizer does; default: BERT uncased");
  sub->add_option("-o,--output", options->output, "CSV to write: text, label, id, score, reason")
      ->required();
  add_column_options(*sub, options->data);
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
