// Merging of whole models, which may have different heads. Tested by
// tests/train/merge_models_test.cpp.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "nn/model.h"
#include "train/merge.h"

namespace holdfast {

/// A model that goes into a merge.
struct MergeModel {
  std::string name;  // in messages
  const Model* model = nullptr;
  double weight = 1;
  Tensor importance{};  // in the model's own layout; "fisher" alone needs it
};

/// Where a head of a merged model comes from.
struct HeadOrigin {
  std::string task;
  std::string from;  // the model it was taken from as it is; empty: merged like the encoder
};

struct MergedModel {
  Model model;
  MergeReport report;
  std::vector<HeadOrigin> heads;
};

/// Throws std::invalid_argument naming the first difference of configurations, encoder tensors,
/// element types, or the labels of a head that two of the models share.
void check_mergeable(std::span<const MergeModel> models);

/// The merge of `models`, with task vectors from `base` when the method needs one (else null). The
/// result has the heads of all, in order of appearance (the base's first). Heads of different tasks
/// are never merged: a head that every model has, the base too, is merged like the encoder; any
/// other is taken as it is from the last model that has it. The factors of a LoRA are merged each
/// by itself, which is not the merge of what they add: Model::merge_lora() first. Throws as
/// check_mergeable() and merge() do.
MergedModel merge_models(const MergeModel* base, std::span<const MergeModel> models,
                         const MergeOptions& options);

}  // namespace holdfast
