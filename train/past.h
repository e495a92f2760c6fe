// What of the model that is trained was there before this run. Tested by tests/train/past_test.cpp.
#pragma once

#include <string>
#include <vector>

#include "train/dataset.h"
#include "train/spans.h"

namespace holdfast {

/// What has no past, so that nothing can hold it to the start: a new task's own head, the rows that
/// a head has grown by, an adapter that the run has added. `trained` is the run's model.
std::vector<ArenaSpan> without_past(const Model& trained, const Inputs& inputs);

/// The head that old tasks share with the new one; empty: there is none.
std::string shared_head(const Inputs& inputs);

/// The slices less `left_out`, which takes whole slices or the rows at their end.
std::vector<NamedSlice> slices_less(const ParameterArena& arena,
                                    const std::vector<ArenaSpan>& left_out);

}  // namespace holdfast
