// The methods of merge.h that add task vectors to a base.
#pragma once

#include <span>

#include "train/merge.h"

namespace holdfast {

/// merge() of the methods that need a base; the arguments have been checked.
void merge_task_vectors(std::span<const NamedSlice> slices, const Tensor& base,
                        std::span<const MergeInput> inputs, const MergeOptions& options,
                        const Tensor& target);

}  // namespace holdfast
