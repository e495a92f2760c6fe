// The test splits before and after training: what a run reports, and decides nothing by. Tested by
// tests/train/trainer_test.cpp.
#pragma once

#include "train/run_context.h"

namespace holdfast {

/// Every task's by its head at the start; `earlier` (null: none) is a result of the same inputs
/// that has them already. Throws Stopped.
void test_before(const RunContext& run, const RunResult* earlier);
/// By its head now, paired with what was before. Throws Stopped.
void test_after(const RunContext& run);

}  // namespace holdfast
