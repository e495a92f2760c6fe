// holdfast init: a fresh BERT with random weights and a vocabulary.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "base/file.h"
#include "base/json.h"
#include "cli/inputs.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "nn/model.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string config, vocab, output;
  std::int64_t seed = 7;
  bool cased = false;
};

constexpr std::int64_t kLargestVocabulary = std::int64_t{256} << 20;  // bytes

bool is_preset(const std::string& name) {
  return name == "tiny" || name == "mini" || name == "small" || name == "base";
}

BertConfig config_of(const std::string& name) {
  if (is_preset(name)) return BertConfig::preset(name);
  if (!std::filesystem::exists(name))
    throw std::runtime_error(
        fmt::format("--config {}: is neither tiny, mini, small or base nor a file", name));
  return BertConfig::load(name);
}

Tokenizer tokenizer_of(const Options& options) {
  std::vector<std::string> notices;
  TokenizerOptions rules;
  rules.lowercase = !options.cased;
  return Tokenizer::from_vocab(
      parse_vocab_txt(read_file(options.vocab, kLargestVocabulary), options.vocab, notices), rules);
}

int run(const Options& options, const Common& common) {
  check_output_folder(options.output);
  BertConfig config = config_of(options.config);
  const Tokenizer tokenizer = tokenizer_of(options);
  config.vocab_size = tokenizer.size();
  return working([&] {
    make_parent(options.output);
    const Model model = Model::create(config, DType::f32, static_cast<std::uint64_t>(options.seed));
    DirectoryWriter folder(options.output);
    model.save(folder.temporary(), "");
    tokenizer.save(folder.temporary(), config.max_positions);
    folder.commit();
    const std::int64_t parameters = model.arena().parameter_count();
    if (common.json) {
      print(Json::object({{"model", options.output},
                          {"parameters", parameters},
                          {"vocab_size", config.vocab_size}})
                .dump() +
            '\n');
    } else {
      print(fmt::format("{}: {} layers of {} channels, {} tokens, {} parameters\n", options.output,
                        config.layers, config.hidden_size, grouped(config.vocab_size),
                        grouped(parameters)));
    }
    return kDone;
  });
}

}  // namespace

Command add_init(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = add_subcommand(
      app, common, "init", "Makes a fresh BERT with random weights",
      "  holdfast init --config tiny --vocab vocab.txt -o models/tiny\n"
      "  holdfast init --config config.json --vocab vocab.txt -o models/mine --seed 3");
  sub->add_option("--config", options->config,
                  "tiny (2x128), mini (4x256), small (4x512), base (12x768), or a config.json")
      ->required();
  sub->add_option("--vocab", options->vocab, "vocab.txt, as train-tokenizer writes it")->required();
  sub->add_option("-o,--output", options->output, "Folder to make")->required();
  sub->add_option("--seed", options->seed, "Of the random weights")
      ->check(whole_number(0))
      ->capture_default_str();
  sub->add_flag("--cased", options->cased, "Keep upper case and accents");
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
