// The recipe: everything that decides a run, read from one TOML file. Each key has a default except
// model, output, [new] name and train, and [[old]] name. A measure against forgetting is on when
// its table is present and off, bit for bit, when it is absent. Tested by
// tests/train/recipe_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/toml.h"
#include "tensor/device.h"
#include "tensor/dtype.h"

namespace holdfast {

/// [new] and [[old]]: the files of one task. Paths are relative to the working directory.
struct DataRecipe {
  std::string name;                // the task's name, which is its head's
  std::string train, valid, test;  // CSV, TSV or JSON Lines; empty: there is none
  std::int64_t max_length = 128;   // tokens of a text, special tokens included; longer ones are cut
  std::string text = "text";       // column or key of the text
  std::string label = "label";     // column or key of the label
  std::string text_pair;           // column or key of a second text; empty: there is none
  bool header = true;              // the first line names the columns (CSV and TSV)
  std::string invalid_utf8 = "error";  // or "replace": invalid bytes become U+FFFD
  std::string class_weights = "none";  // or "balanced": N / (K N_k) on the training loss
};

/// [training]: AdamW and what is common to all arms of a comparison.
struct TrainingRecipe {
  double epochs =
      3;  // steps = ceil(epochs * new training texts / batch_size), whatever is replayed
  std::int64_t steps = 0;             // of the optimiser; 0: from epochs
  std::int64_t batch_size = 32;       // texts a step, of all tasks together
  double weight_decay = 0.01;         // per unit of learning rate; not on biases and layer norms
  double beta1 = 0.9, beta2 = 0.999;  // decay a step of the moments
  double epsilon = 1e-8;              // added to the root of the second moment
  double clip_norm = 1.0;             // largest norm of the task gradient; 0: not clipped
  double dropout = 0.1;               // probability, in all places where BERT has dropout
  double label_smoothing = 0.0;       // share of the target spread evenly over the classes
  std::int64_t memory_budget = 0;     // bytes that tensors may take together; 0: no limit
  std::int64_t early_stop = 0;        // evaluations without a better model; 0: never
  std::string encoder = "trained";    // or "frozen": heads alone learn
};

/// [learning_rate]: linear warm-up, then cosine annealing to minimum_ratio of each layer's own
/// rate.
struct RateRecipe {
  double rate = 1e-4;                 // of every layer, unless `bottom` and `top` are given
  std::optional<double> bottom;       // of the embeddings: layer-wise rates
  std::optional<double> top;          // of pooler and heads
  std::string spacing = "geometric";  // of the layers in between; or "linear"
  double minimum_ratio = 0.05;        // of the last step's rate to the highest
  double warmup = 0.06;               // share of the steps with a rising rate
  std::vector<double> naive = {3e-5, 1e-4, 3e-4};  // rates of the naive arm of `compare`

  bool layer_wise() const { return bottom.has_value(); }
};

/// [replay]: texts of the old tasks that stay in training.
struct ReplayRecipe {
  double keep = 0.10;            // share of an old task's training texts kept
  std::int64_t count = 0;        // texts kept of each old task, instead of a share
  std::int64_t budget = 0;       // bytes of text kept of each old task, instead of a share
  std::string select = "tfidf";  // or "random", "balanced", "herding", "reservoir"
  std::string quota = "class";   // as many of each class, as far as it has them; or "none"
  double diversity = 0.3;        // 0: the most similar ones; towards 1: unlike one another
  double share = 0.20;           // of every batch that comes from the old tasks
  std::string memory;            // a replay.csv made earlier, for old tasks without `train`
};

/// [ewc]: the penalty lambda * sum_i F_i (theta_i - theta_old,i)^2.
struct EwcRecipe {
  double lambda = 0.3;               // on F normalised as below
  std::string fisher = "true";       // "empirical", "sampled", "sketch", "mas", "si"
  std::int64_t samples = 0;          // old texts for F; 0: min(1000, 5% of the old training texts)
  std::string normalize = "mean";    // F over its mean where F > 0; or "none", "max", "tensor"
  double online_decay = 1.0;         // on the F of each task, for every task learnt since
  std::string coupling = "coupled";  // in the gradient; or "decoupled": a proximal step after it
  std::string importance;            // a file made earlier, for an old task without `train`
};

/// [protect]: key weights, those of the highest importance, stay near where they were.
struct ProtectRecipe {
  double key_fraction = 0.2;     // of the shared weights
  double max_drift = 0.20;       // |theta - theta_old| <= max_drift |theta_old|
  std::string mode = "clamp";    // or "freeze": key weights keep their value
  std::string unit = "weight";   // or "neuron": rows of a matrix are key or not as a whole
  std::string bound = "weight";  // or "tensor": ||d|| <= max_drift ||theta_old|| of every tensor
};

/// [l2]: weight * sum (theta_i - target_i)^2, and head * sum theta_i^2 over what is new.
struct L2Recipe {
  double weight = 0;
  double head = 0;             // on the new task's head, towards zero (L2-SP)
  std::string toward = "old";  // or "zero"
};

/// [recadam]: the pull towards the old weights fades while the task's gradient grows.
struct RecAdamRecipe {
  double pull = 200;       // gamma; in the paper 5000 with rates of 2e-5
  double midpoint = 0.25;  // share of the steps where both weigh the same: t0
  double slope = 0.1;      // k, a step
};

/// [mixout]: in every step a random share of the weights is the old one.
struct MixoutRecipe {
  double probability = 0.5;
};

/// [distill]: the old model's answers stay in training.
struct DistillRecipe {
  std::string method;      // "lwf": on the new texts; "der++": on the memory's
  double alpha = 1.0;      // factor on the distillation loss
  double temperature = 2;  // of lwf
};

/// [gradient]: what may not be done to the old tasks' loss.
struct GradientRecipe {
  std::string projection;  // "a-gem"
  std::int64_t texts = 0;  // of the memory a step, for the reference gradient; 0: batch_size
};

/// [unfreeze]: the head first, then block by block from the top.
struct UnfreezeRecipe {
  std::string schedule;    // "gradual"
  std::int64_t every = 0;  // steps a stage; 0: an epoch
};

/// [adapter]: few new weights learn, the encoder's stay.
struct AdapterRecipe {
  std::string kind;       // "houlsby", "pfeiffer" or "lora"
  std::int64_t size = 0;  // of a bottleneck; 0: hidden size / 16
  std::int64_t rank = 8;  // of lora
  double alpha = 16;      // lora adds alpha / rank * B A
};

/// [heads]: "task": a head each; "class": one head over all labels; "domain": one head, same
/// labels.
struct HeadsRecipe {
  std::string scenario = "task";
};

/// [merge]: the trained model is merged with the one it started from.
struct MergeRecipe {
  std::string method;  // "linear", "fisher", "task-arithmetic", "ties", "dare-ties", "slerp"
  std::optional<double> weight;  // of the trained model; none: searched on the validation splits
  double scale = 1.0;            // of task vectors
  double density = 0.2;          // share of a task vector that is kept
};

/// [augment]: training texts are changed by words; probabilities a word.
struct AugmentRecipe {
  double swap = 0, remove = 0, insert = 0;
  double replace = 0.1;  // by a synonym, when there is a file of them
  std::string synonyms;  // file: word,synonym,... a line
};

/// [leave]: what a run leaves beside its model for later runs on top of it, when the texts may be
/// gone.
struct LeaveRecipe {
  std::string importance = "true";  // kind of the new task's importance; or "none"
  double memory = 0.10;             // share of the new task's training texts; 0: none
  bool path = false;                // record synaptic intelligence while training
};

/// [evaluation]: both tasks' validation splits, and the controller of the replay share.
struct EvaluationRecipe {
  std::int64_t every = 0;         // steps; 0: min(500, an eighth of the run)
  bool controller = false;        // raises `share`; on when the table is present and boost > 1
  double max_drop = 0.05;         // of old validation accuracy; more than this is an action
  std::string drop = "absolute";  // or "relative", to the accuracy before training
  double boost = 1.20;            // factor on the share at each action
  double max_share = 0.5;         // where the share stops rising
  std::string gate = "point";     // or "paired": only when the drop's lower confidence bound agrees
  bool keep_best = false;         // the model of the best evaluation is what is saved
  double retention = 0.95;        // of old accuracy, that "best" must keep
};

/// [checkpoint]: what a run that was killed can be resumed from; no bit of a result depends on it.
struct CheckpointRecipe {
  std::int64_t every = 500;  // steps; 0: none, not even after Ctrl-C
  std::int64_t keep = 2;     // the latest so many
};

/// [ledger]: how much each line tells.
struct LedgerRecipe {
  std::int64_t hash_every = 0;  // steps between hashes of weights and moments; 0: so many that they
                                // cost below a hundredth of a step (train/state_hash.h)
};

/// [search]: what `search` varies.
struct SearchRecipe {
  std::vector<std::pair<std::string, Toml::Array>> grid;  // dotted key, values
  double retention = 0.95;   // of old accuracy, that the best must keep
  std::int64_t halving = 0;  // successive halving keeps one of so many; 0: all run to the end
};

struct Recipe {
  std::string model;              // directory: config.json, model.safetensors, vocabulary
  std::string output;             // directory of what the run leaves
  std::int64_t seed = 7;          // of everything random
  DType precision = DType::f32;   // bf16: of training steps' matrix products, all else f32
  bool tf32 = false;              // precision = "tf32": f32, but TF32 in these products on a GPU
  std::string numerics = "fast";  // or "portable": the same bits on every machine, more slowly
  int threads = 0;                // 0: measured ("auto")
  Device device;                  // "cpu", "cuda" or "cuda:N": where all tensors of a run are
  DataRecipe fresh;               // [new]
  std::vector<DataRecipe> old;    // [[old]]
  TrainingRecipe training;
  RateRecipe learning_rate;
  std::optional<ReplayRecipe> replay;
  std::optional<EwcRecipe> ewc;
  std::optional<ProtectRecipe> protect;
  std::optional<L2Recipe> l2;
  std::optional<RecAdamRecipe> recadam;
  std::optional<MixoutRecipe> mixout;
  std::optional<DistillRecipe> distill;
  std::optional<GradientRecipe> gradient;
  std::optional<UnfreezeRecipe> unfreeze;
  std::optional<AdapterRecipe> adapter;
  std::optional<MergeRecipe> merge;
  std::optional<AugmentRecipe> augment;
  HeadsRecipe heads;
  EvaluationRecipe evaluation;
  LeaveRecipe leave;
  CheckpointRecipe checkpoint;
  LedgerRecipe ledger;
  std::optional<SearchRecipe> search;  // of the `search` command; no part of a run

  bool portable() const { return numerics == "portable"; }
  /// What the key `precision` says: "f32", "tf32", "bf16" or "f64".
  std::string_view precision_name() const { return tf32 ? "tf32" : name_of(precision); }
  /// Type of weights, gradients and all arithmetic that is not a matrix product.
  DType storage() const { return precision == DType::bf16 ? DType::f32 : precision; }

  /// Whether a measure asks how much each weight matters to the old tasks.
  bool needs_importance() const {
    return ewc || (protect && protect->bound == "weight") || (merge && merge->method == "fisher");
  }
};

/// One `--set key=value`: a dotted key (array members by number, from 0: old.0.train) and a TOML
/// value; what is no TOML value is a string. A key that may not stand beside the one that is set
/// (training.epochs when training.steps is) goes.
void set_key(Toml& document, std::string_view assignment);

/// Throws std::runtime_error, one line with file, line and column: unknown key (naming the nearest
/// one), wrong type, out of range (naming the range), missing or exclusive keys, keys of features
/// that this version does not have, and measures that make no sense together.
Recipe parse_recipe(const Toml& document, std::string_view file);
/// The same from a file, after `assignments` in order.
Recipe load_recipe(const std::filesystem::path& file,
                   const std::vector<std::string>& assignments = {});

/// The recipe with every key written out; parses back to the same recipe.
Toml to_toml(const Recipe& recipe);
/// The recipe less what no bit of a result depends on: output, threads, [checkpoint], [ledger].
/// What tells whether two runs are the same computation.
Toml computation(const Recipe& recipe);
/// Of computation().
std::string recipe_hash(const Recipe& recipe);

}  // namespace holdfast
