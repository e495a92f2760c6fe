// ledger.jsonl: what happened, a line of JSON each, on the disk as it happens. Lines of kind "step"
// (one a training step), "evaluation" and "action" after one of kind "run".
#pragma once

#include <filesystem>
#include <fstream>

#include "base/json.h"

namespace holdfast {

class Ledger {
 public:
  /// Starts an empty ledger; an earlier one is replaced. Throws std::runtime_error.
  explicit Ledger(const std::filesystem::path& path);
  /// Appends {"kind": kind, ...members}. Throws std::runtime_error when it cannot be written.
  void write(std::string_view kind, const Json& members);

 private:
  std::filesystem::path path_;
  std::ofstream out_;
};

}  // namespace holdfast
