// What the benchmark programs work on: a model, and batches of texts. The same options everywhere:
//   --model DIR | --config FILE.json|PRESET [--classes K]
//   --full BxT | --data FILE.csv [--batch B] [--max-length T]
//   --device cpu|cuda[:N] --precision f32|tf32|bf16, of bench_step and bench_infer
#pragma once

#include <string>
#include <vector>

#include "autograd/fused.h"
#include "bench/options.h"
#include "nn/model.h"
#include "tensor/device.h"
#include "tokenizer/tokenizer.h"
#include "train/data.h"
#include "train/sample.h"

namespace holdfast::bench {

inline const Options kWorkload{{"model", ""},         {"config", ""},      {"classes", "4"},
                               {"full", ""},          {"data", ""},        {"batch", "32"},
                               {"max-length", "128"}, {"steps", "6"},      {"threads", "2"},
                               {"device", "cpu"},     {"precision", "f32"}};

/// To the end of its scope: where tensors are made, and the precision of products.
struct Where {
  OnDevice device;
  Bf16Products bf16;
  Tf32Products tf32;

  explicit Where(const Options& options)
      : device(parse_device(options.at("device"))),
        bf16(options.at("precision") == "bf16"),
        tf32(options.at("precision") == "tf32") {}
};

/// Weights from --model, or fresh ones of the sizes that --config says; with a head "bench".
inline Model make_model(const Options& options) {
  const std::string& config = options.at("config");
  if (config.empty() == options.at("model").empty())
    throw std::invalid_argument("give --model or --config");
  Model model = config.empty() ? Model::load(options.at("model"), DType::f32)
                : config.ends_with(".json")
                    ? Model::create(BertConfig::load(config), DType::f32, 3)
                    : Model::create(BertConfig::preset(config), DType::f32, 3);
  std::vector<std::string> labels;
  for (int k = 0; k < std::stoi(options.at("classes")); ++k) labels.push_back(std::to_string(k));
  model.add_head("bench", labels, 7);
  return model;
}

/// `count` texts of T tokens each.
inline std::vector<Sample> full_texts(std::size_t count, std::size_t T, int classes) {
  std::vector<Sample> samples(count);
  for (std::size_t n = 0; n < count; ++n) {
    for (std::size_t t = 0; t < T; ++t)
      samples[n].ids.push_back(static_cast<std::int32_t>(1000 + (n * 7919 + t * 104729) % 19000));
    samples[n].label = static_cast<std::int32_t>(n % static_cast<std::size_t>(classes));
  }
  return samples;
}

/// The texts of a file, cut, in order; labels 0, 1, ... in turn. No more than `most`.
inline std::vector<Sample> file_texts(const Options& options, std::size_t most) {
  const Tokenizer tokenizer = Tokenizer::load(options.at("model"));
  const std::vector<Example> examples = read_examples(options.at("data"), {});
  std::vector<Sample> samples(std::min(most, examples.size()));
  const std::size_t classes = std::stoul(options.at("classes"));
  for (std::size_t n = 0; n < samples.size(); ++n) {
    samples[n].ids = tokenizer.encode(examples[n].text, std::stol(options.at("max-length"))).ids;
    samples[n].label = static_cast<std::int32_t>(n % classes);
  }
  return samples;
}

/// `count` batches: B texts of T tokens each, or those of a file in order. Throws
/// std::invalid_argument when the file has too few.
inline std::vector<std::vector<Sample>> make_batches(const Options& options, std::size_t count) {
  const std::string& full = options.at("full");
  const std::size_t B = std::stoul(full.empty() ? options.at("batch") : full);
  const std::vector<Sample> samples =
      full.empty() ? file_texts(options, count * B)
                   : full_texts(count * B, std::stoul(full.substr(full.find('x') + 1)),
                                std::stoi(options.at("classes")));
  if (samples.size() < count * B) throw std::invalid_argument("--data: has too few texts");
  std::vector<std::vector<Sample>> batches;
  for (auto first = samples.begin(); first != samples.end();
       first += static_cast<std::ptrdiff_t>(B))
    batches.emplace_back(first, first + static_cast<std::ptrdiff_t>(B));
  return batches;
}

inline std::int64_t tokens_of(const std::vector<Sample>& samples) {
  std::int64_t tokens = 0;
  for (const Sample& sample : samples) tokens += static_cast<std::int64_t>(sample.ids.size());
  return tokens;
}

}  // namespace holdfast::bench
