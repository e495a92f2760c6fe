// One batch laid open: every activation and every parameter's gradient, by Hugging Face's names,
// for another implementation to be compared with. Tested by tests/nn/trace_test.cpp.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "nn/model.h"

namespace holdfast {

struct BatchTrace {
  Tensor logits;                // (B, K)
  Tensor loss;                  // scalar
  ActivationTrace activations;  // "<module path>" -> output
  /// "<name in model.safetensors>" -> gradient, of whichever head "classifier.*"; views of the
  /// arena, until its next backward pass.
  std::vector<std::pair<std::string, Tensor>> gradients;
};

/// Forward and backward pass of loss = 1/B sum_b -log softmax(logits_b)[labels_b], dropout off.
/// Activations are named as named_modules() of transformers' BertForSequenceClassification names
/// the modules whose outputs they are, in the rows of `batch` (texts one after another, no
/// padding): (N, C) of tokens, (B, C) of what comes after the pooler. A module that hands on what
/// another computed has the same tensor. attention.self.dropout, the probabilities, is missing:
/// they never exist as a whole. What fused operations skip (rows of the tables, intermediate.dense
/// and pooler.dense before their activation) is computed beside them. Heads of other tasks and
/// frozen parameters have no gradient. labels (B) i32. Throws std::invalid_argument for a label
/// outside the head.
BatchTrace trace_batch(Model& model, const Head& head, const Batch& batch, const Tensor& labels);

}  // namespace holdfast
