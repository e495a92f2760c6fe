// The output folder of a run. Tested by tests/train/trainer_test.cpp.
#pragma once

#include <filesystem>

namespace holdfast {

/// Throws std::runtime_error when `output` may not be written into: it is not a folder, it holds
/// files but no earlier run's (ledger.jsonl or metrics.json), or `model`, which is read, is in it.
void check_output(const std::filesystem::path& output, const std::filesystem::path& model);

/// Creates the folder, or takes an earlier run's results away, all but its model.
void begin_output(const std::filesystem::path& output);

}  // namespace holdfast
