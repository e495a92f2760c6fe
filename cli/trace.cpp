// holdfast trace: one batch laid open, for another implementation to be compared with.
#include "nn/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>

#include "base/json.h"
#include "base/utf8.h"
#include "base/version.h"
#include "cli/inputs.h"
#include "cli/table.h"
#include "cli/usage.h"
#include "nn/safetensors.h"
#include "train/heads.h"
#include "train/threads.h"

namespace holdfast::cli {
namespace {

struct Options {
  std::string model, task, precision = "f32", device = "cpu", output;
  std::vector<std::string> texts, pairs, labels;
  std::int64_t max_length = 0;
};

void check(const Options& options) {
  const auto as_many = [&](const char* name, const std::vector<std::string>& given) {
    if (given.size() != options.texts.size())
      throw std::runtime_error(fmt::format("{}: {} given, --text {}; give one for each text", name,
                                           given.size(), options.texts.size()));
  };
  as_many("--label", options.labels);
  if (!options.pairs.empty()) as_many("--pair", options.pairs);
  for (const auto& [name, texts] :
       {std::pair{"--text", &options.texts}, {"--pair", &options.pairs}})
    for (const std::string& text : *texts)
      if (utf8::first_invalid(text) != std::string::npos)
        throw std::runtime_error(fmt::format("{}: is not UTF-8", name));
}

// The class that a name or, where no class has that name, an index means.
std::int32_t class_of(const std::string& label, const TaskClasses& classes,
                      const std::string& task) {
  const auto found = std::ranges::find(classes.labels, label);
  const auto count = static_cast<std::int32_t>(classes.labels.size());
  auto index = static_cast<std::int32_t>(found - classes.labels.begin());
  if (index == count) {
    const auto [end, code] = std::from_chars(label.data(), label.data() + label.size(), index);
    if (code != std::errc() || end != label.data() + label.size()) index = -1;
  }
  if (index >= 0 && index < count) return classes.first + index;
  throw std::runtime_error(
      fmt::format("--label {}: is none of task {}'s: {}; nor an index from 0 to {}",
                  utf8::printable(label), task, fmt::join(classes.labels, ", "), count - 1));
}

struct Texts {
  Batch batch;
  Tensor labels;  // (B) i32
};

Texts texts_of(const Options& options, const LoadedModel& loaded, const Head& head) {
  const std::string& task = options.task.empty() ? head.task : options.task;
  const TaskClasses classes = classes_of(head, task);
  const std::int64_t most = length_for(loaded.model, options.max_length);
  std::vector<Encoding> encodings;
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < options.texts.size(); ++i) {
    labels.push_back(class_of(options.labels[i], classes, task));
    encodings.push_back(options.pairs.empty()
                            ? loaded.tokenizer.encode(options.texts[i], most)
                            : loaded.tokenizer.encode(options.texts[i], options.pairs[i], most));
  }
  std::vector<TokenSpan> spans;
  for (const Encoding& one : encodings)
    spans.push_back({.ids = one.ids,
                     .type_ids = one.type_ids,
                     .slot = static_cast<std::int32_t>(spans.size())});
  const auto B = static_cast<std::int64_t>(labels.size());
  return {pack(spans), Tensor::from(labels, {B})};
}

void save(const Options& options, const Texts& texts, const Head& head, const BatchTrace& trace) {
  std::vector<std::pair<std::string, Tensor>> tensors = {{"input_ids", texts.batch.ids},
                                                         {"token_type_ids", texts.batch.type_ids},
                                                         {"offsets", texts.batch.packing.offsets},
                                                         {"labels", texts.labels},
                                                         {"logits", trace.logits},
                                                         {"loss", trace.loss}};
  for (const auto& [path, value] : trace.activations) tensors.emplace_back("act." + path, value);
  for (const auto& [name, value] : trace.gradients) tensors.emplace_back("grad." + name, value);
  Json labels = Json::list();
  for (const std::string& label : head.labels) labels.push_back(label);
  make_parent(options.output);
  write_safetensors(options.output, tensors,
                    {{"format", "holdfast trace"},
                     {"version", std::string(version())},
                     {"task", head.task},
                     {"labels", labels.dump()},
                     {"precision", options.precision}});
}

void print_result(const Options& options, const Texts& texts, const BatchTrace& trace, bool json) {
  const auto activations = static_cast<std::int64_t>(trace.activations.size()),
             gradients = static_cast<std::int64_t>(trace.gradients.size());
  const double loss = trace.loss.item();
  print(json ? Json::object({{"output", options.output},
                             {"precision", options.precision},
                             {"texts", texts.batch.texts()},
                             {"tokens", texts.batch.tokens()},
                             {"loss", loss},
                             {"activations", activations},
                             {"gradients", gradients}})
                       .dump() +
                   '\n'
             : fmt::format("{}: {} activations and {} gradients of {} texts, {} tokens, in {}; "
                           "loss {:.6f}\n",
                           utf8::printable(options.output), activations, gradients,
                           texts.batch.texts(), grouped(texts.batch.tokens()), options.precision,
                           loss));
}

int run(const Options& options, const Common& common) {
  check(options);
  const OnDevice device(parse_device(options.device));
  check_output_file(options.output, {options.model});
  LoadedModel loaded =
      load_model(options.model, common, options.precision == "f64" ? DType::f64 : DType::f32);
  const Head& head = head_of(loaded.model, options.task);
  const Texts texts = texts_of(options, loaded, head);
  return working([&] {
    use_threads(0);
    const BatchTrace trace = trace_batch(loaded.model, head, texts.batch, texts.labels);
    save(options, texts, head, trace);
    print_result(options, texts, trace, common.json);
    return kDone;
  });
}

}  // namespace

Command add_trace(CLI::App& app, Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* sub = add_subcommand(
      app, common, "trace", "Writes every activation and gradient of a batch, to compare with",
      "  holdfast trace --model runs/news/model --text 'Stocks rose on Friday.' --label business "
      "\\\n"
      "    --text 'The goalkeeper met the coach.' --label 1 --precision f64 -o trace.safetensors");
  sub->add_option("--model", options->model, "Model folder")->required();
  sub->add_option("--text", options->texts, "A text (repeatable)")->required();
  sub->add_option("--pair", options->pairs, "A second text for each --text");
  sub->add_option("--label", options->labels, "The class of each --text, by name or index")
      ->required();
  sub->add_option("--task", options->task, "Which head; needed when there are several");
  sub->add_option("--precision", options->precision,
                  "f32, or f64: weights and arithmetic in double")
      ->check(CLI::IsMember({"f32", "f64"}))
      ->capture_default_str();
  sub->add_option("--max-length", options->max_length,
                  "Cut texts to so many tokens; 0: what the model can")
      ->check(whole_number(0));
  add_device_option(*sub, options->device);
  sub->add_option("-o,--output", options->output, "safetensors file to write")->required();
  return {sub, [options, &common] { return run(*options, common); }};
}

}  // namespace holdfast::cli
