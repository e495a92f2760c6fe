// One training step of a BERT classifier (dropout 0.1, clipping, AdamW), as bench_step and bench_threads time it.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "nn/model.h"
#include "tokenizer/tokenizer.h"
#include "train/data.h"
#include "train/optimizer.h"
#include "train/sample.h"

namespace holdfast::bench {
using Clock = std::chrono::steady_clock;

inline double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

inline std::map<std::string, std::string> parse(int argc, char** argv) {
  std::map<std::string, std::string> options{{"steps", "6"}, {"threads", "2"}, {"batch", "32"}, {"max-length", "128"}};
  for (int i = 1; i + 1 < argc; i += 2) options[std::string(argv[i]).substr(2)] = argv[i + 1];
  return options;
}

inline std::vector<std::vector<Sample>> make_batches(const std::map<std::string, std::string>& options) {
  const std::size_t steps = std::stoul(options.at("steps")) + 1;
  std::vector<std::vector<Sample>> batches(steps);
  if (options.contains("full")) {
    const std::string& full = options.at("full");
    const std::size_t B = std::stoul(full), T = std::stoul(full.substr(full.find('x') + 1));
    for (auto& batch : batches) {
      for (std::size_t b = 0; b < B; ++b) {
        Sample sample;
        for (std::size_t t = 0; t < T; ++t) sample.ids.push_back(static_cast<std::int32_t>(1000 + (b * 7919 + t * 104729) % 19000));
        batch.push_back(std::move(sample));
      }
    }
    return batches;
  }
  const Tokenizer tokenizer = Tokenizer::load(options.at("model"));
  const std::vector<Example> examples = read_examples(options.at("data"), {});
  const std::size_t B = std::stoul(options.at("batch"));
  for (std::size_t s = 0; s < steps; ++s) {
    for (std::size_t b = s * B; b < std::min(examples.size(), (s + 1) * B); ++b) {
      Sample sample;
      sample.ids = tokenizer.encode(examples[b].text, std::stol(options.at("max-length"))).ids;
      batches[s].push_back(std::move(sample));
    }
  }
  return batches;
}

/// A model with a head for four classes, and the optimizer that trains it.
struct Step {
  Model model;
  AdamW optimizer;
  std::uint32_t number = 0;

  explicit Step(const std::string& directory)
      : model(with_head(Model::load(directory, DType::f32))),
        optimizer(model.arena().numel(), DType::f32,
                  update_ranges(model.arena(), std::vector(static_cast<std::size_t>(model.config().layers + 2), 1e-5), 0.01, {})) {}

  static Model with_head(Model model) {
    model.add_head("bench", {"a", "b", "c", "d"}, 7);
    return model;
  }

  /// Trains on one batch; returns its tokens.
  std::int64_t operator()(const std::vector<Sample>& samples) {
    std::vector<TokenSpan> spans;
    std::vector<std::int32_t> labels;
    for (const Sample& sample : samples) {
      labels.push_back(static_cast<std::int32_t>(spans.size() % 4));
      spans.push_back({sample.ids, {}, static_cast<std::int32_t>(spans.size())});
    }
    const auto B = static_cast<std::int64_t>(samples.size());
    const Batch batch = pack(spans);
    const DropoutPlan dropout{true, 7, number++};
    model.arena().zero_grad();
    {
      const Var pooled = model.pool(model.encode(batch, dropout), batch, dropout);
      const Var logits = model.logits(pooled, *model.head("bench"));
      const Tensor weights = Tensor::full({B}, model.dtype(), 1.0 / static_cast<double>(B));
      backward(softmax_cross_entropy(logits, Tensor::from(labels, {B}), weights));
    }
    model.arena().clear_unreached();
    const double norm = gradient_norm(model.arena().grads());
    optimizer.step(model.arena().values(), model.arena().grads(), 1.0, clip_factor(norm, 1.0));
    return batch.tokens();
  }
};

}  // namespace holdfast::bench
