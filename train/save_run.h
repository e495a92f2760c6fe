// What a run leaves in its output folder, at the end or when it is interrupted. Tested by
// tests/train/trainer_test.cpp.
#pragma once

#include "train/ledger.h"
#include "train/prepare.h"

namespace holdfast {

/// The model in the form in which it is saved (LoRA becomes part of the weights, with an adapter
/// beside), metrics.json and what Hooks::saved writes; through `line`, the ledger's line "save"
/// before the first and "end" after the last of them, with fingerprints of all. `prepared`: for
/// what later runs may need (train/leave.h); null: nothing is left for them. Throws
/// std::runtime_error, having saved nothing, when the weights are not finite.
void save_run(const RunContext& run, const Prepared* prepared, const LineWriter& line);

}  // namespace holdfast
