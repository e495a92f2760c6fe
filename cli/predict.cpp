// holdfast predict: labels and probabilities for texts, in their order.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <span>

#include "base/json.h"
#include "base/parallel.h"
#include "base/utf8.h"
#include "cli/inputs.h"
#include "cli/lines.h"
#include "cli/mapped_files.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "train/evaluate.h"
#include "train/threads.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string model, task, file, format, device = "cpu";
  std::vector<std::string> texts;
  DataRecipe data;
};

/// A text to answer for; views of what outlives the answer.
struct Text {
  std::string_view text, pair;
};

std::vector<const Head*> heads_to_ask(const Model& model, const std::string& task) {
  if (!task.empty() || model.heads().empty()) return {&head_of(model, task)};
  std::vector<const Head*> out;
  for (const Head& head : model.heads()) out.push_back(&head);
  return out;
}

class Predictor {
 public:
  Predictor(LoadedModel& loaded, const Options& options, bool json)
      : loaded_(loaded),
        heads_(heads_to_ask(loaded.model, options.task)),
        max_length_(length_for(loaded.model, options.data.max_length)),
        pairs_(!options.data.text_pair.empty()),
        json_(json) {}

  /// Answers in the order of `texts`, all heads for each.
  std::string answer(std::span<const Text> texts) {
    std::vector<Sample> samples(texts.size());
    parallel_for(
        static_cast<std::int64_t>(texts.size()), 16, [&](std::int64_t begin, std::int64_t end) {
          for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i)
            samples[i] = sample_of(texts[i]);
        });
    std::vector<std::vector<double>> scores;
    for (const Head* head : heads_) scores.push_back(probabilities(loaded_.model, *head, samples));
    std::string out;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      for (std::size_t h = 0; h < heads_.size(); ++h) {
        const std::size_t classes = heads_[h]->labels.size();
        line(out, texts[i].text, *heads_[h], std::span(scores[h]).subspan(i * classes, classes));
      }
    }
    return out;
  }

 private:
  Sample sample_of(const Text& text) const {
    Sample sample;
    Encoding encoding = pairs_ ? loaded_.tokenizer.encode(text.text, text.pair, max_length_)
                               : loaded_.tokenizer.encode(text.text, max_length_);
    sample.ids = std::move(encoding.ids);
    if (pairs_) sample.type_ids = std::move(encoding.type_ids);
    return sample;
  }

  void line(std::string& out, std::string_view text, const Head& head,
            std::span<const double> scores) const {
    const auto best = static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin());
    if (!json_) {
      if (heads_.size() > 1) out += utf8::printable(head.task) + ": ";
      out += fmt::format("{} {:5.1f}%  {}\n", utf8::printable(head.labels[best]),
                         100 * scores[best], utf8::printable(text));
      return;
    }
    Json by_label = Json::object();
    for (std::size_t k = 0; k < scores.size(); ++k) by_label.add(head.labels[k], scores[k]);
    out += Json::object({{"text", text},
                         {"task", head.task},
                         {"label", head.labels[best]},
                         {"scores", std::move(by_label)}})
               .dump() +
           '\n';
  }

  LoadedModel& loaded_;
  std::vector<const Head*> heads_;
  std::int64_t max_length_;
  bool pairs_, json_;
};

void check_texts(const std::vector<std::string>& texts) {
  for (const std::string& text : texts)
    if (utf8::first_invalid(text) != std::string::npos)
      throw std::runtime_error("--text: is not UTF-8");
}

constexpr std::size_t kTextsAtOnce = 4096;  // of a table, between two outputs

/// What is to be labelled beside --text: rows of a table, or lines.
struct Source {
  std::vector<Example> rows;
  std::unique_ptr<LineReader> lines;
};

const std::map<std::string, TableFormat> kFormats = {
    {"csv", TableFormat::csv}, {"tsv", TableFormat::tsv}, {"jsonl", TableFormat::json_lines}};

/// How a stream of lines is to be read: as --format says, else standard input as its first line
/// shows.
std::optional<TableFormat> format_of(LineReader& lines, const Options& options,
                                     const Common& common) {
  if (options.format == "text") return {};
  if (!options.format.empty()) return kFormats.at(options.format);
  if (!options.file.empty() && options.file != "-") return {};
  const std::optional<TableFormat> shown =
      format_shown_by(lines.first_line_text(), columns_of(options.data, false));
  if (shown)
    Progress(common.quiet)
        .notice(
            fmt::format("{}: the first line names \"{}\", so it is read as a table; --format text "
                        "takes it as a text",
                        lines.name(), options.data.text));
  return shown;
}

Source open_source(const Options& options, const Common& common) {
  Source source;
  const DataColumns columns = columns_of(options.data, false);
  if (options.format.empty() && is_table(options.file)) {
    source.rows = read_examples(options.file, columns);
    return source;
  }
  if (!options.file.empty() || options.texts.empty()) {
    source.lines = std::make_unique<LineReader>(options.file.empty() ? "-" : options.file);
    if (const auto format = format_of(*source.lines, options, common)) {
      const std::string& where = source.lines->name();
      source.rows = examples_of(
          checked_table(*format, source.lines->take_all(), where, columns.invalid_utf8_replace),
          where, columns);
      source.lines.reset();
      return source;
    }
  }
  if (!options.data.text_pair.empty())
    throw std::runtime_error("--pair-column: needs a CSV, TSV or JSON Lines table");
  return source;
}

int run(const Options& options, const Common& common) {
  check_texts(options.texts);
  const OnDevice device(parse_device(options.device));
  set_thread_count(available_cpus());
  // For a text or two the copy of the weights would take most of the time; a GPU needs it.
  std::optional<MappedFiles> files;
  if (options.file.empty() && !options.texts.empty() && !current_device().is_cuda())
    files.emplace(options.model);
  LoadedModel loaded = files ? map_model(options.model, common) : load_model(options.model, common);
  Predictor predictor(loaded, options, common.json);
  const Source source = open_source(options, common);
  std::vector<Text> texts;
  const auto answer = [&] {
    if (texts.empty()) return;
    working([&] {
      const std::string answers = predictor.answer(texts);
      if (files) files->check_unchanged();
      print(answers);
    });
    texts.clear();
  };
  for (const std::string& text : options.texts) texts.push_back({text, ""});
  answer();
  if (source.lines || !source.rows.empty()) use_threads(0);  // measures: not for a text or two
  for (const Example& row : source.rows) {
    texts.push_back({row.text, row.pair});
    if (texts.size() == kTextsAtOnce) answer();
  }
  answer();
  std::vector<std::string_view> lines;
  while (source.lines && source.lines->next(lines)) {
    for (const std::string_view line : lines) texts.push_back({line, ""});
    answer();
  }
  return kDone;
}

}  // namespace

Command add_predict(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  options->data.max_length = 0;
  CLI::App* sub = add_subcommand(
      app, common, "predict", "Labels texts: those of a table, or one a line",
      "  holdfast predict --model runs/medical/model --text 'Stocks rose on Friday.'\n"
      "  holdfast predict --model runs/medical/model --task news --json texts.txt\n"
      "  zcat news.csv.gz | holdfast predict --model runs/medical/model -");
  sub->add_option("--model", options->model, "Model folder")->required();
  sub->add_option("--task", options->task, "Which head; without it all of them answer");
  sub->add_option("--text", options->texts, "A text (repeatable)")->allow_extra_args(false);
  sub->add_option(
      "file", options->file,
      "CSV, TSV or JSON Lines by its name (also .gz, .zst); else texts, one a line; - is "
      "standard input, a table when its first line names the text column");
  sub->add_option("--format", options->format, "csv, tsv, jsonl or text, whatever the name says")
      ->check(CLI::IsMember({"csv", "tsv", "jsonl", "text"}));
  sub->add_option("--max-length", options->data.max_length,
                  "Cut texts to so many tokens; 0: what the model can")
      ->check(whole_number(0));
  add_device_option(*sub, options->device);
  add_column_options(*sub, options->data);
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
