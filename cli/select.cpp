// holdfast select: which old texts replay would keep, and why.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <unordered_map>

#include "base/file.h"
#include "base/json.h"
#include "base/parallel.h"
#include "base/utf8.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "train/dataset.h"
#include "train/features.h"
#include "train/replay.h"
#include "train/selection.h"
#include "train/threads.h"

namespace holdfast::cli {
namespace {

constexpr std::size_t kTextsAtOnce = 1024;  // of a block whose features are computed

struct Options {
  std::string old_file, new_file, output, model, task, method = "tfidf", quota = "class";
  std::string device = "cpu";
  double fraction = 0, diversity = 0.3;
  std::int64_t count = 0, budget = 0, seed = 7;
  DataRecipe data;
};

/// The words of a model's tokenizer, or those of BERT's uncased one: no vocabulary is needed.
Tokenizer word_splitter(const std::string& model) {
  if (!model.empty()) {
    check_model_folder(model);
    return Tokenizer::load(model);
  }
  return Tokenizer::from_vocab({"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"});
}

/// What is known of the old texts once they have been read; the texts themselves are not kept.
struct OldTexts {
  std::vector<std::int32_t> labels;  // by the order of a head's labels
  std::vector<std::int64_t> bytes;
  WordRows words;               // tfidf
  std::vector<float> features;  // herding
};

/// Reads a file once and hands on text by text.
template <class Use>
void read_each(const std::string& file, const DataColumns& columns, Progress& progress,
               const Use& use) {
  std::int64_t done = 0;
  for_each_example(file, columns, [&](Example&& example) {
    if (++done % 1000 == 0) progress.update({"read", file, done});
    use(example);
  });
}

/// Numbers labels as they come, then in the order of a head.
class Labels {
 public:
  void add(const std::string& label) {
    const auto [found, is_new] = numbers_.emplace(label, static_cast<std::int32_t>(names_.size()));
    if (is_new) names_.push_back({"", "", label, 0});
    labels_.push_back(found->second);
  }

  std::vector<std::int32_t> take() {
    const std::vector<std::string> sorted = sorted_labels(names_);
    std::vector<std::int32_t> rank(names_.size());
    for (std::size_t k = 0; k < sorted.size(); ++k)
      rank[static_cast<std::size_t>(numbers_.at(sorted[k]))] = static_cast<std::int32_t>(k);
    for (std::int32_t& label : labels_) label = rank[static_cast<std::size_t>(label)];
    return std::move(labels_);
  }

 private:
  std::unordered_map<std::string, std::int32_t> numbers_;
  std::vector<Example> names_;
  std::vector<std::int32_t> labels_;
};

/// Pooled outputs of a model for texts that come one by one.
class FeatureReader {
 public:
  FeatureReader(const Options& options, const Common& common)
      : device_(parse_device(options.device)),
        loaded_(load_model(options.model, common)),
        options_(options),
        data_(options.data) {
    data_.max_length = length_for(loaded_.model, data_.max_length);
    use_threads(0);
  }

  void add(const Example& example) {
    waiting_.push_back(example);
    if (waiting_.size() == kTextsAtOnce) flush();
  }

  std::vector<float> take() {
    flush();
    return std::move(features_);
  }

 private:
  void flush() {
    const std::vector<Sample> samples =
        to_samples(waiting_, data_, options_.old_file, sorted_labels(waiting_), loaded_.tokenizer);
    const std::vector<float> features = pooled_features(loaded_.model, samples);
    features_.insert(features_.end(), features.begin(), features.end());
    waiting_.clear();
  }

  OnDevice device_;
  LoadedModel loaded_;
  const Options& options_;
  DataRecipe data_;
  std::vector<Example> waiting_;
  std::vector<float> features_;
};

OldTexts read_old(const Options& options, const Common& common, WordCounter* words,
                  Progress& progress) {
  std::unique_ptr<FeatureReader> features;
  if (options.method == "herding") features = std::make_unique<FeatureReader>(options, common);
  OldTexts old;
  Labels labels;
  read_each(
      options.old_file, columns_of(options.data, true), progress, [&](const Example& example) {
        labels.add(example.label);
        old.bytes.push_back(static_cast<std::int64_t>(example.text.size() + example.pair.size()));
        if (words) words->add(example.text, example.pair);
        if (features) features->add(example);
      });
  old.labels = labels.take();
  if (words) old.words = words->take();
  if (features) old.features = features->take();
  return old;
}

Budget budget_of(const Options& options, OldTexts& old) {
  if (options.budget > 0) return {options.budget, std::move(old.bytes)};
  const auto n = static_cast<std::int64_t>(old.labels.size());
  const std::int64_t count =
      options.count > 0 ? options.count : std::llround(options.fraction * static_cast<double>(n));
  if (count < 1 || count > n)
    throw std::runtime_error(
        fmt::format("{}: has {} texts, cannot keep {}; choose another --fraction or --count",
                    utf8::printable(options.old_file), n, count));
  return count;
}

struct Choice {
  std::vector<Selected> kept;
  std::int64_t of = 0;
};

/// What is kept; all that the choice needed is freed on return.
Choice choose(const Options& options, const Common& common, Progress& progress) {
  set_thread_count(available_cpus());
  const bool by_words = options.method == "tfidf";
  const Tokenizer tokenizer = word_splitter(by_words ? options.model : "");
  WordTable table;
  WordCounter counter(tokenizer, table);
  OldTexts old = read_old(options, common, by_words ? &counter : nullptr, progress);
  const Budget budget = budget_of(options, old);
  WordRows new_words;
  if (by_words) {
    read_each(options.new_file, columns_of(options.data, false), progress,
              [&](const Example& example) { counter.add(example.text, example.pair); });
    new_words = counter.take();
  }
  progress.update({"select", options.method, 0, static_cast<std::int64_t>(old.labels.size())});
  SelectionSources sources;
  sources.words = [&] { return std::pair(std::move(old.words), std::move(new_words)); };
  sources.features = [&] { return std::move(old.features); };
  return {select_texts(old.labels, budget,
                       {.method = parse_selection_method(options.method),
                        .quota_by_class = options.quota == "class",
                        .diversity = options.diversity,
                        .seed = static_cast<std::uint64_t>(options.seed)},
                       sources),
          static_cast<std::int64_t>(old.labels.size())};
}

/// Reads the old texts again and writes those that are kept, in order of choice.
void write_kept(const Options& options, const Choice& choice, Progress& progress) {
  std::unordered_map<std::int64_t, std::size_t> place;
  for (std::size_t i = 0; i < choice.kept.size(); ++i) place.emplace(choice.kept[i].index, i);
  std::vector<std::string> rows(choice.kept.size());
  std::int64_t index = 0;
  read_each(options.old_file, columns_of(options.data, true), progress,
            [&](const Example& example) {
              const auto found = place.find(index++);
              if (found != place.end())
                rows[found->second] = replay_row(options.task, example, choice.kept[found->second]);
            });
  if (index != choice.of)
    throw std::runtime_error(utf8::printable(options.old_file) + ": changed while it was read");
  make_parent(options.output);
  FileWriter writer(options.output);
  writer.append(kReplayHeader);
  for (const std::string& row : rows) writer.append(row);
  writer.commit();
}

void check(const Options& options) {
  check_output_file(options.output, {options.old_file, options.new_file, options.model});
  if (!std::isfinite(options.fraction))
    throw std::runtime_error("--fraction must be a number in (0, 1]");
  if (options.method == "tfidf" && options.new_file.empty())
    throw std::runtime_error("--new is required: tfidf keeps what is like the new task");
  if (options.method == "herding" && options.model.empty())
    throw std::runtime_error("--model is required: herding compares a model's outputs");
  if (options.method != "herding" && parse_device(options.device).is_cuda())
    throw std::runtime_error(
        fmt::format("--device: {} computes with no model; herding does", options.method));
}

int run(const Options& options, const Common& common) {
  check(options);
  Progress progress(common.quiet);
  const Choice choice = choose(options, common, progress);
  if (choice.kept.empty())
    throw std::runtime_error(
        fmt::format("--budget {}: holds none of the texts; give more", options.budget));
  return working([&] {
    write_kept(options, choice, progress);
    progress.clear();
    const auto kept = static_cast<std::int64_t>(choice.kept.size());
    print(common.json
              ? Json::object({{"kept", kept},
                              {"of", choice.of},
                              {"method", options.method},
                              {"output", options.output}})
                        .dump() +
                    '\n'
              : fmt::format("{}: {} of {} texts kept by {}\n", utf8::printable(options.output),
                            grouped(kept), grouped(choice.of), options.method));
    return kDone;
  });
}

}  // namespace

Command add_select(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  options->data.max_length = 0;
  CLI::App* sub = add_subcommand(
      app, common, "select", "Chooses the old texts that replay keeps",
      "  holdfast select --old news.csv --new medical.csv --fraction 0.1 -o replay.csv\n"
      "  holdfast select --old news.csv --method balanced --budget 16MiB -o replay.csv\n"
      "  holdfast select --old news.csv --method herding --model models/news --count 500 "
      "-o replay.csv");
  sub->add_option("--old", options->old_file, "Labelled texts of the old task")->required();
  sub->add_option("--new", options->new_file, "Texts of the new task, for tfidf");
  auto* amount = sub->add_option_group("amount");
  amount->add_option("--fraction", options->fraction, "Share of the old texts to keep")
      ->check(share());
  amount->add_option("--count", options->count, "Texts to keep")->check(whole_number(1));
  amount->add_option("--budget", options->budget, "Bytes of text to keep: 16MiB")
      ->transform(byte_size());
  amount->require_option(1);
  sub->add_option("--method", options->method, "tfidf, random, balanced, herding or reservoir")
      ->check(CLI::IsMember({"tfidf", "random", "balanced", "herding", "reservoir"}))
      ->capture_default_str();
  sub->add_option("--quota", options->quota,
                  "tfidf and herding: class for as many of each class, or none")
      ->check(CLI::IsMember({"class", "none"}))
      ->capture_default_str();
  sub->add_option("--diversity", options->diversity,
                  "tfidf: 0 the most similar; towards 1 unlike one another")
      ->check(share())
      ->capture_default_str();
  sub->add_option("--seed", options->seed, "Of random, balanced and reservoir")
      ->check(whole_number(0))
      ->capture_default_str();
  sub->add_option("--model", options->model,
                  "herding: whose outputs; tfidf: whose words, default those of BERT uncased");
  sub->add_option("--max-length", options->data.max_length,
                  "herding: cut texts to so many tokens; 0: what the model can")
      ->check(whole_number(0));
  add_device_option(*sub, options->device);
  sub->add_option("--task", options->task, "Name of the old task, written beside each text");
  sub->add_option("-o,--output", options->output,
                  "CSV to write: task, line, label, score, reason, text, text_pair")
      ->required();
  add_column_options(*sub, options->data);
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
