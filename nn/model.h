// A BERT with one classification head per task.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nn/batch.h"
#include "nn/config.h"
#include "nn/parameters.h"

namespace holdfast {

/// Dropout of one training step; inactive (evaluation) when default-constructed.
struct DropoutPlan {
  bool active = false;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  /// The key of one dropout site ("embeddings", "layer.3.attention.probabilities", ...) with drop probability p.
  DropoutKey at(std::string_view site, double p) const;
};

/// Named activations of a forward pass, "<module path>" -> value, filled when asked for (trace, audits).
using ActivationTrace = std::vector<std::pair<std::string, Tensor>>;

struct Head {
  std::string task;
  std::vector<std::string> labels;
  std::size_t weight = 0, bias = 0;  // indices into the arena
};

/// What loading noticed: converted types, ignored tensors, a fresh head. One line each.
using Notices = std::vector<std::string>;

class Model {
 public:
  /// Reads a Hugging Face directory: config.json, model.safetensors (or a sharded index), weights with or without "bert." prefix;
  /// and, if there, holdfast.json with heads.safetensors for further heads. The classifier in model.safetensors becomes the
  /// head of the task that holdfast.json names, else of task "default"; a directory without classifier has no head.
  /// Throws std::runtime_error naming every missing, unexpected or wrongly shaped tensor.
  static Model load(const std::filesystem::path& directory, DType dtype, Notices* notices = nullptr);
  /// A fresh model: weights normal(0, initializer_range), biases 0, norms 1, from the stream "init" of `seed`.
  static Model create(const BertConfig& config, DType dtype, std::uint64_t seed);

  /// Adds a fresh head (rebuilds the arena, values are kept). Throws std::invalid_argument if the task exists.
  void add_head(const std::string& task, const std::vector<std::string>& labels, std::uint64_t seed);
  void rename_head(const std::string& from, const std::string& to);

  /// Writes config.json and model.safetensors so that transformers loads them as the classifier of `task`; all heads are in
  /// heads.safetensors and holdfast.json. Files are written beside and renamed.
  void save(const std::filesystem::path& directory, std::string_view task) const;

  /// A deep copy (values only; gradients fresh).
  Model clone() const;

  const BertConfig& config() const { return config_; }
  void set_dropout(double p);  // hidden, attention and classifier dropout of the recipe
  DType dtype() const { return arena_->dtype(); }
  ParameterArena& arena() { return *arena_; }
  const ParameterArena& arena() const { return *arena_; }
  const std::vector<Head>& heads() const { return heads_; }
  const Head* head(std::string_view task) const;  // null if there is none

  /// Hidden states (N, C) of the last layer.
  Var encode(const Batch& batch, const DropoutPlan& dropout = {}, ActivationTrace* trace = nullptr);
  /// tanh(W h_[CLS] + b), (B, C), then the classifier's dropout.
  Var pool(const Var& hidden, const Batch& batch, const DropoutPlan& dropout = {}, ActivationTrace* trace = nullptr);
  /// Logits (M, K) of a head for rows `rows` of `pooled` (all rows when undefined).
  Var logits(const Var& pooled, const Head& head, const Tensor& rows = {});

 private:
  struct Layer;
  BertConfig config_;
  std::unique_ptr<ParameterArena> arena_;
  std::vector<Head> heads_;
};

}  // namespace holdfast
