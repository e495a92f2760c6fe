// From which of its checkpoints a run goes on. Tested by tests/train/resume_test.cpp.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "train/checkpoint.h"

namespace holdfast {

/// The latest whole checkpoint in `output` of the run that `run_line` describes, without its
/// tensors; none when the folder has none, or no run: it then begins at its first step. What is
/// passed over is told to `notice`. Throws Refused, one line that names the first difference, when
/// the ledger there is of another run (recipe, files, instruction set, libraries), and when that
/// run is complete.
std::optional<Checkpoint> find_checkpoint(const std::filesystem::path& output, const Json& run_line,
                                          const std::function<void(const std::string&)>& notice);

}  // namespace holdfast
