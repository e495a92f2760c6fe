// Texts as the vectors that a model's heads see. Tested by tests/train/features_test.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "nn/model.h"
#include "train/sample.h"

namespace holdfast {

/// Calls `use` with the pooled outputs (n, C) of all samples, run by run, and the texts and tokens
/// done with it; dropout is off and nothing is recorded. Texts are packed in their order into
/// batches of at most `batch_tokens` tokens (one text at least).
using UsePooled = std::function<void(const Var& pooled, std::int64_t texts, std::int64_t tokens)>;
void for_each_pooled(Model& model, std::span<const Sample> samples, std::int64_t batch_tokens,
                     const UsePooled& use);

/// The pooled outputs tanh(W h_[CLS] + b) of all samples, (n, C) row-major in their order.
/// `progress` is called with the texts done so far.
std::vector<float> pooled_features(Model& model, std::span<const Sample> samples,
                                   const std::function<void(std::int64_t texts)>& progress = {},
                                   std::int64_t batch_tokens = 4096);

}  // namespace holdfast
