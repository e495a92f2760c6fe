// The output folder of a run. Tested by tests/train/trainer_test.cpp.
#pragma once

#include <filesystem>

#include "base/file.h"

namespace holdfast {

/// Throws std::runtime_error when `output` may not be written into: it is not a folder or cannot
/// become one, it holds files but no earlier run's (ledger.jsonl, metrics.json or the lock), or
/// `model`, which is read, is in it. Leaves nothing behind.
void check_output(const std::filesystem::path& output, const std::filesystem::path& model);

/// Creates the folder. It belongs to the caller until the descriptor closes; throws Refused while it
/// is another's.
[[nodiscard]] Descriptor begin_output(const std::filesystem::path& output);

/// Takes an earlier run's results away, all but its model, which is replaced when a new one is
/// whole.
void clear_output(const std::filesystem::path& output);

}  // namespace holdfast
