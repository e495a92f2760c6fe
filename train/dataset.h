// The files of a recipe as samples: read, checked against labels and limits, tokenised once.
// Tested by tests/train/dataset_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"
#include "nn/model.h"
#include "tokenizer/tokenizer.h"
#include "train/augment.h"
#include "train/data.h"
#include "train/fingerprint.h"
#include "train/heads.h"
#include "train/recipe.h"
#include "train/sample.h"
#include "train/selection.h"

namespace holdfast {

/// A task's texts. `examples` are those of `train`, as read: selection counts their words.
struct TaskData {
  std::string name;
  bool old = false;
  TaskHeads heads;
  std::vector<std::string> labels;  // of its head, in order
  TaskClasses classes;              // which of them its texts have
  std::vector<Sample> train, valid, test;
  std::vector<Example> examples;
  // Of an old task, what an earlier run left (train/inherit.h). For training texts that are gone:
  std::vector<Selected> kept;  // the examples, each with score and reason
  std::vector<Sample> kept_samples;
  std::filesystem::path importance;  // the file that is used instead of measuring; empty: none
  // Beside the model, whether used or not, and handed on; empty: none.
  std::filesystem::path left_memory, left_importance;
};

/// Everything that a run reads.
struct Inputs {
  Model model;  // at the start: a head for every task
  Tokenizer tokenizer;
  std::vector<TaskData> tasks;  // old ones in the recipe's order, then the new one
  Notices notices;
  std::string new_head;                // the new task's, when it has no past
  std::optional<Augmenter> augmenter;  // of training texts
  Fingerprints files{};                // that were read; of open_inputs() alone
  bool tested = true;                  // false: without the test splits

  const TaskData& fresh() const { return tasks.back(); }
  /// Of weights, labels, tokens, training texts and importance that is read: equal inputs, equal
  /// digest.
  std::string digest() const;
  /// For runs that are chosen by what comes out: no test split is seen.
  void leave_out_tests();
};

/// Called before each file with its name, files done and files in all.
using ReadProgress =
    std::function<void(const std::string& file, std::int64_t done, std::int64_t total)>;

/// Reads model, tokenizer and all splits. The new task's labels are those of its training texts,
/// sorted (as integers if all are); an old task's are those of its head, which is found by name, or
/// is the only one, "default". A head of the new task that is there already is trained further if
/// its labels are the same. Throws std::runtime_error, one line with file and line, for whatever
/// cannot be used: a file without texts, a label that its task does not have, one class only,
/// max_length above the model's, a tokenizer of more tokens than the model has, a missing head.
Inputs load_inputs(const Recipe& recipe, const ReadProgress& progress = {});

/// The labels in the order of a head: ascending as integers if all are integers, else as bytes.
std::vector<std::string> sorted_labels(std::span<const Example> examples);

/// Tokenises one text (with its pair, where the data have pairs) into the sample's ids.
void encode(std::string_view text, std::string_view pair, const DataRecipe& data,
            const Tokenizer& tokenizer, Sample& sample);

/// Tokenises examples whose labels are among `labels`, the first of which is class `first`; in
/// parallel, in order.
std::vector<Sample> to_samples(std::span<const Example> examples, const DataRecipe& data,
                               const std::string& file, const std::vector<std::string>& labels,
                               const Tokenizer& tokenizer, std::int32_t first = 0);

/// One file for a task: read, checked and tokenised.
std::vector<Sample> read_samples(const std::filesystem::path& file, const DataRecipe& data,
                                 const TaskClasses& classes, const Tokenizer& tokenizer);

}  // namespace holdfast
