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
#include <vector>

#include "base/toml.h"
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
  std::string select = "tfidf";  // or "random", "balanced"
  std::string quota = "class";   // kept of each class in proportion; or "none"
  double diversity = 0.3;        // 0: the most similar ones; towards 1: unlike one another
  double share = 0.20;           // of every batch that comes from the old tasks
};

/// [ewc]: the penalty lambda * sum_i F_i (theta_i - theta_old,i)^2.
struct EwcRecipe {
  double lambda = 0.3;             // on F normalised as below
  std::string fisher = "true";     // or "empirical"
  std::int64_t samples = 0;        // old texts for F; 0: min(1000, 5% of the old training texts)
  std::string normalize = "mean";  // F over its mean where F > 0; or "none", "max"
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
};

struct Recipe {
  std::string model;      // directory: config.json, model.safetensors, vocabulary
  std::string output;     // directory of what the run leaves
  std::int64_t seed = 7;  // of everything random
  DType precision = DType::f32;
  int threads = 0;              // 0: measured ("auto")
  DataRecipe fresh;             // [new]
  std::vector<DataRecipe> old;  // [[old]]
  TrainingRecipe training;
  RateRecipe learning_rate;
  std::optional<ReplayRecipe> replay;
  std::optional<EwcRecipe> ewc;
  EvaluationRecipe evaluation;
};

/// One `--set key=value`: a dotted key (array members by number, from 0: old.0.train) and a TOML
/// value; what is no TOML value is a string. A key that may not stand beside the one that is set
/// (training.epochs when training.steps is) goes.
void set_key(Toml& document, std::string_view assignment);

/// Throws std::runtime_error, one line with file, line and column: unknown key (naming the nearest
/// one), wrong type, out of range (naming the range), missing or exclusive keys, and keys of
/// features that this version does not have.
Recipe parse_recipe(const Toml& document, std::string_view file);
/// The same from a file, after `assignments` in order.
Recipe load_recipe(const std::filesystem::path& file,
                   const std::vector<std::string>& assignments = {});

/// The recipe with every key written out; parses back to the same recipe.
Toml to_toml(const Recipe& recipe);
/// Of to_toml(): what tells whether two runs are the same computation. `output` and `threads` do
/// not count.
std::string recipe_hash(const Recipe& recipe);

}  // namespace holdfast
