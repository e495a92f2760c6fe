// Accuracy, macro F1, loss and confusion of a head on labelled texts, and the probabilities behind
// them. Dropout is off and nothing is recorded. Tested by tests/train/evaluate_test.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "nn/model.h"
#include "train/sample.h"
#include "train/statistics.h"

namespace holdfast {

struct Evaluation {
  std::string task;
  std::int64_t n = 0, correct = 0;
  double accuracy = 0;
  Interval ci95;                      // Wilson's, of the accuracy
  double macro_f1 = 0;                // mean of F1 over the classes that occur, true or predicted
  double loss = 0;                    // mean of -log p(label), in double
  std::vector<std::string> labels;    // the head's
  std::vector<ClassRates> per_class;  // in the order of labels
  std::vector<std::vector<std::int64_t>> confusion;  // [true][predicted]
  std::vector<std::int32_t> predictions;             // class of each text, in the given order
};

/// Called with texts and tokens done so far.
using EvaluationProgress = std::function<void(std::int64_t texts, std::int64_t tokens)>;

/// The head's logits, in double, (N, K) row-major in the order of `samples`; batched and failing as
/// probabilities().
std::vector<double> logits_of(Model& model, const Head& head, std::span<const Sample> samples,
                              const EvaluationProgress& progress = {},
                              std::int64_t batch_tokens = 4096);

/// softmax of the head's logits, (N, K) row-major in the order of `samples`. Texts are packed in
/// that order into batches of at most `batch_tokens` tokens (one text at least). Throws
/// std::runtime_error, naming the text, when a logit is not finite.
std::vector<double> probabilities(Model& model, const Head& head, std::span<const Sample> samples,
                                  const EvaluationProgress& progress = {},
                                  std::int64_t batch_tokens = 4096);

/// Evaluates `head` on samples whose labels are its classes, batched likewise. Throws
/// std::invalid_argument for no samples or a label outside the head.
Evaluation evaluate(Model& model, const Head& head, std::span<const Sample> samples,
                    const EvaluationProgress& progress = {}, std::int64_t batch_tokens = 4096);

/// The object that `holdfast evaluate --json` prints: task, n, accuracy, accuracy_ci95, macro_f1,
/// loss, per_class, confusion.
Json to_json(const Evaluation& evaluation);

}  // namespace holdfast
