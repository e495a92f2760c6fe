// A BERT with one classification head per task.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/adapter.h"
#include "nn/batch.h"
#include "nn/config.h"
#include "nn/parameters.h"

namespace holdfast {

/// Dropout of one training step; inactive (evaluation) when default-constructed.
struct DropoutPlan {
  bool active = false;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  /// The key of one dropout site ("embeddings", "layer.3.attention.probabilities", ...) with drop
  /// probability p.
  DropoutKey at(std::string_view site, double p) const;
};

/// Named activations of a forward pass, "<module path>" -> value, filled when asked for
/// (nn/trace.h).
using ActivationTrace = std::vector<std::pair<std::string, Tensor>>;

/// What one task has of a head that grew task by task.
struct LabelBlock {
  std::string task;                 // "news"; of tasks that share their classes "news+blogs"
  std::vector<std::string> labels;  // as its texts have them
};

struct Head {
  std::string task;
  std::vector<std::string> labels;  // unique
  /// Whose the labels are, in their order. None: every task of the head has all of them.
  std::vector<LabelBlock> blocks{};
  std::size_t weight = 0, bias = 0;  // indices into the arena
  bool blocks_fit() const;           // there are none, or they have as many labels
  std::string slice_name(std::string_view kind) const {
    return "heads." + task + '.' + std::string(kind);
  }
};

/// What loading noticed: converted types, ignored tensors, a fresh head. One line each.
using Notices = std::vector<std::string>;

class Model {
 public:
  /// Reads a Hugging Face directory: config.json, model.safetensors (or a sharded index), weights
  /// with or without "bert." prefix; and, if there, holdfast.json with heads.safetensors for
  /// further heads and adapters.safetensors for an adapter. The classifier in model.safetensors
  /// becomes the head of the task that holdfast.json names, else of task "default"; a directory
  /// without classifier has no head. Old names (LayerNorm.gamma, LayerNorm.beta) are understood and
  /// position_ids skipped; heads of other purposes (cls.*, qa_outputs.*) are ignored and a missing
  /// pooler starts fresh, each with a notice; floats of other types are converted, with a notice.
  /// Throws std::runtime_error naming every missing, unexpected or wrongly shaped tensor of the
  /// encoder, labels that contradict the classifier, and weights that are not finite.
  static Model load(const std::filesystem::path& directory, DType dtype,
                    Notices* notices = nullptr);
  /// The same for a few answers at once: weights of type `dtype` are used where they lie in the
  /// file (File::map: who asks must see to what is said there), so that starting takes neither time
  /// nor memory for copies. Such a model cannot be trained or changed.
  static Model map(const std::filesystem::path& directory, DType dtype, Notices* notices = nullptr);
  /// A fresh model: weights normal(0, initializer_range), biases 0, norms 1; each slice from its
  /// own stream "init/<name>" of `seed`.
  static Model create(const BertConfig& config, DType dtype, std::uint64_t seed);

  /// Adds a fresh head. The arena is rebuilt: values and what is frozen are kept, at their offsets,
  /// gradients and references into it are lost. Throws std::invalid_argument if the task exists or
  /// has no name, the labels are none or not unique, or the blocks have not as many.
  void add_head(const std::string& task, const std::vector<std::string>& labels, std::uint64_t seed,
                std::vector<LabelBlock> blocks = {});
  /// Rebuilds the arena as add_head() does. Throws std::invalid_argument if `from` is not there or
  /// `to` is.
  void rename_head(const std::string& from, const std::string& to);
  /// Rebuilds the arena as add_head() does. Throws std::invalid_argument if there is no such head.
  void remove_head(const std::string& task);

  /// Adds an adapter that all heads share. What it adds starts at zero, so that the model computes
  /// the same as before, bit for bit: U = e = 0 and D normal(0, initializer_range), d = 0; B = 0
  /// and A uniform(-1/sqrt C, 1/sqrt C), as in PEFT; each from its own stream "init/<name>" of
  /// `seed`. The arena is rebuilt; the slices of the encoder keep their offsets, those of the heads
  /// move behind the adapter's. All is trainable as before: see train_adapters_only(). Throws
  /// std::invalid_argument when there is an adapter already, or for an impossible size, rank or
  /// alpha.
  void add_adapter(const AdapterConfig& config, std::uint64_t seed);
  /// kind none if there is none; size is never 0 otherwise.
  const AdapterConfig& adapter() const { return adapter_; }
  /// Trains the adapter and the heads; embeddings, encoder and pooler are the frozen base, which
  /// costs no gradient of a weight. Throws std::invalid_argument if there is no adapter.
  void train_adapters_only();
  /// W += (alpha / rank) B A for every layer's query and value, in double, rounded once; the
  /// adapter is gone afterwards and the arena rebuilt. Throws std::invalid_argument if there is no
  /// lora.
  void merge_lora();

  /// Writes config.json and model.safetensors so that transformers loads them as the classifier of
  /// `task`; all heads are in heads.safetensors and holdfast.json. An adapter is in
  /// adapters.safetensors: transformers, which knows none of them, then shows the base without it
  /// (merge_lora() first, or write_peft()). Files are written beside and renamed; the bytes depend
  /// on nothing but the model. A model without heads is saved, with task "", as a BertModel. Throws
  /// std::invalid_argument if it has no such head.
  void save(const std::filesystem::path& directory, std::string_view task) const;

  /// A deep copy (values and what is frozen; gradients fresh).
  Model clone() const;

  /// The name of a slice in model.safetensors when `task` is the primary: "bert.<name>",
  /// "classifier.weight" or "classifier.bias"; of another task's head: its name in
  /// heads.safetensors.
  static std::string file_name(const NamedSlice& slice, std::string_view task);

  const BertConfig& config() const { return config_; }
  void set_dropout(double p);  // hidden, attention and classifier dropout of the recipe
  DType dtype() const { return arena_->dtype(); }
  ParameterArena& arena() { return *arena_; }
  const ParameterArena& arena() const { return *arena_; }
  const std::vector<Head>& heads() const { return heads_; }
  const Head* head(std::string_view task) const;  // null if there is none

  /// Hidden states (N, C) of the last layer.
  Var encode(const Batch& batch, const DropoutPlan& dropout = {}, ActivationTrace* trace = nullptr);
  /// tanh(W h_[CLS] + b), (B, C), then the classifier's dropout. h is what encode() gives, but for
  /// rounding; unless there is a trace, the last layer computes keys and values for all tokens and
  /// the rest for the first of each text alone.
  Var pool(const Batch& batch, const DropoutPlan& dropout = {}, ActivationTrace* trace = nullptr);
  /// Logits (M, K) of a head for rows `rows` of `pooled` (all rows when undefined).
  Var logits(const Var& pooled, const Head& head, const Tensor& rows = {});

 private:
  static Model read(const std::filesystem::path& directory, DType dtype, bool mapped,
                    Notices& notices);
  struct Affine {
    std::size_t weight = 0, bias = 0;  // indices into the arena
  };
  struct Bottleneck {
    Affine down, up;
  };
  struct Lora {
    std::size_t a = 0, query_b = 0, value_b = 0;  // a: query's and value's A, one below the other
  };
  struct Layer {
    Affine qkv;               // all but the last layer: one product
    Affine query, key_value;  // the last layer, where not every token asks; where qkv would lie
    Affine attention_output, attention_norm, intermediate, output, output_norm;
    std::optional<Bottleneck> attention_adapter, output_adapter;
    std::optional<Lora> lora;
  };
  struct LoraTerms {
    Var query, key, value;  // (M, C), (N, C), (N, C)
  };
  /// Rows of a batch: all, or those that are numbered.
  struct Rows {
    Tensor numbers;  // (M) i32; undefined: all
    Packing packing;
    Var of(const Var& x) const { return numbers.defined() ? gather(x, numbers) : x; }
  };

  /// Declares all parameters; the arena is not yet allocated.
  Model(BertConfig config, std::vector<Head> heads, const AdapterConfig& adapter = {});
  void declare();
  void declare_layer(int layer);
  Affine declare_affine(const std::string& name, std::int64_t out, std::int64_t in, int layer,
                        bool adapter = false);
  Affine declare_norm(const std::string& name, int layer);
  void declare_adapters(int layer);
  Bottleneck declare_bottleneck(const std::string& name, int layer);
  /// Replaces the arena after a change of heads_ or adapter_; slices that were there keep values
  /// and flags.
  void rebuild();
  /// The values that a slice has in a fresh model.
  void initialize(const NamedSlice& slice, std::uint64_t seed);
  /// Hidden states (M, C) of these rows.
  Var encode_rows(const Rows& rows, const Batch& batch, const DropoutPlan& dropout,
                  ActivationTrace* trace);
  /// The layer's output (M, C) for these rows of `input` (N, C).
  Var encode_layer(std::size_t index, const Var& input, const Rows& rows, const Packing& packing,
                   const DropoutPlan& dropout, ActivationTrace* trace);
  /// What these rows of `input` attend to, (M, C); `asking` are the rows themselves.
  Var attend(std::size_t index, const Var& input, const Var& asking, const Rows& rows,
             const Packing& packing, const DropoutPlan& dropout, ActivationTrace* trace);
  Var apply(const Var& x, const Affine& affine, Activation activation = Activation::none);
  /// What a trace shows beside the fused operations: the rows of the embedding tables, and a
  /// product before its activation.
  void trace_tables(const Batch& batch, ActivationTrace& trace);
  void trace_product(const std::string& path, const Var& x, const Affine& affine,
                     ActivationTrace* trace);
  /// The end of a sub-layer: LN(residual + dropout(x)), with an adapter in its place.
  Var add_and_norm(const Var& x, const Var& residual, const Affine& norm, const DropoutKey& dropout,
                   const Packing& packing, const std::optional<Bottleneck>& adapter);
  /// What is added to the queries of these rows, (alpha / rank) B_q A_q x; to keys, 0; and to
  /// values, (alpha / rank) B_v A_v x.
  LoraTerms lora_terms(const Var& x, const Rows& rows, const Lora& lora);

  BertConfig config_;
  AdapterConfig adapter_;
  std::unique_ptr<ParameterArena> arena_;
  std::size_t words_ = 0, positions_ = 0, types_ = 0;
  Affine embedding_norm_, pooler_;
  std::vector<Layer> layers_;
  std::vector<Head> heads_;
};

}  // namespace holdfast
