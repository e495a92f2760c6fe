// The output folder of a run. Tested by tests/train/output_test.cpp and
// tests/train/trainer_test.cpp.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"

namespace holdfast {

/// Throws std::runtime_error when `output` may not be written into: it is not a folder or cannot
/// become one, it holds files but no earlier run's (ledger.jsonl, metrics.json or the lock), or
/// `model`, which is read, is in it. Leaves nothing behind.
void check_output(const std::filesystem::path& output, const std::filesystem::path& model);

/// The output folder as its run holds it: locked against other runs until this goes. What began and
/// left nothing leaves no trace: a lock and folders that were made for it go, too.
class OutputFolder {
 public:
  /// Holds nothing.
  OutputFolder() = default;
  /// Makes the folder, with those above it, and locks it. Throws Refused while it is another's.
  explicit OutputFolder(std::filesystem::path path);
  OutputFolder(OutputFolder&& other) noexcept;
  OutputFolder& operator=(OutputFolder&& other) noexcept;
  ~OutputFolder();

 private:
  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // by this, the innermost first
  Descriptor lock_;
  bool made_lock_ = false;
};

/// The files below `folder`, by the name that leads to each from there, in order; none when it is
/// absent or a file. Throws std::runtime_error for what cannot be looked into.
std::vector<std::string> files_below(const std::filesystem::path& folder);
/// What a run leaves in its output folder and is there, in the same way: what is in model/,
/// adapter/ and checkpoints/, and files beside them; but for recipe.toml and the ledger, which say
/// themselves what they are, and whatever else people keep there.
std::vector<std::string> files_of_run(const std::filesystem::path& output);

/// Takes an earlier run's results away, all but its model, which is replaced when a new one is
/// whole.
void clear_output(const std::filesystem::path& output);
/// The same, of a run that goes on: its ledger, its checkpoints and recipe.toml stay.
void clear_results(const std::filesystem::path& output);

}  // namespace holdfast
