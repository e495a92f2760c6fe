// holdfast train-tokenizer: a WordPiece vocabulary from texts.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "base/file.h"
#include "base/json.h"
#include "cli/inputs.h"
#include "cli/lines.h"
#include "cli/table.h"
#include "cli/usage.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::int64_t size = 30522;
  std::vector<std::string> files;
  std::string output;
  bool cased = false;
  TrainerOptions trainer;
  DataRecipe data;
};

/// All texts of all files, one after the other; one file's texts in memory at a time.
class Texts {
 public:
  explicit Texts(const Options& options) : options_(options) {}

  bool next(std::string& text) {
    while (at_ == texts_.size()) {
      if (!refill()) return false;
    }
    text = std::move(texts_[at_++]);
    return true;
  }

 private:
  bool refill() {
    texts_.clear();
    at_ = 0;
    if (lines_) {
      if (lines_->next(views_)) {
        texts_.assign(views_.begin(), views_.end());
        return true;
      }
      lines_.reset();
    }
    if (file_ == options_.files.size()) return false;
    const std::string& file = options_.files[file_++];
    if (!is_table(file)) {
      lines_ = std::make_unique<LineReader>(file);
      return true;
    }
    for (Example& example : read_examples(file, columns_of(options_.data, false))) {
      texts_.push_back(std::move(example.text));
      if (!example.pair.empty()) texts_.push_back(std::move(example.pair));
    }
    return true;
  }

  const Options& options_;
  std::size_t file_ = 0;  // of the next one
  std::unique_ptr<LineReader> lines_;
  std::vector<std::string_view> views_;
  std::vector<std::string> texts_;
  std::size_t at_ = 0;
};

int run(Options& options, const Common& common) {
  check_output_file(options.output, options.files);
  options.trainer.tokenizer.lowercase = !options.cased;
  Texts texts(options);
  const std::vector<std::string> vocabulary = train_vocabulary(
      [&](std::string& text) { return texts.next(text); }, options.size, options.trainer);
  std::string out;
  for (const std::string& token : vocabulary) out += token + '\n';
  return working([&] {
    make_parent(options.output);
    write_file(options.output, out);
    const auto size = static_cast<std::int64_t>(vocabulary.size());
    print(common.json ? Json::object({{"vocab", options.output}, {"size", size}}).dump() + '\n'
                      : fmt::format("{}: {} tokens\n", options.output, grouped(size)));
    return kDone;
  });
}

}  // namespace

Command add_train_tokenizer(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* sub =
      add_subcommand(app, common, "train-tokenizer", "Learns a WordPiece vocabulary from texts",
                     "  holdfast train-tokenizer --size 8000 news.csv medical.csv -o vocab.txt\n"
                     "  holdfast train-tokenizer --size 30000 corpus.txt -o vocab.txt --cased");
  sub->add_option("--size", options->size, "Tokens, special ones included")
      ->required()
      ->check(whole_number(5, std::numeric_limits<std::int32_t>::max()));
  sub->add_option("files", options->files,
                  "CSV, TSV, JSON Lines (also .gz, .zst), or plain text, a text a line")
      ->required();
  sub->add_option("-o,--output", options->output, "vocab.txt to write")->required();
  sub->add_option("--min-frequency", options->trainer.min_frequency,
                  "Merge only pairs that occur so often")
      ->check(whole_number(1))
      ->capture_default_str();
  sub->add_flag("--cased", options->cased, "Keep upper case and accents");
  add_column_options(*sub, options->data);
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
