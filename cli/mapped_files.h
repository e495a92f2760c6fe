// The files of a model while they are mapped: what others do to them must not crash the program nor
// pass unseen.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace holdfast::cli {

class MappedFiles {
 public:
  /// From here on a mapped file that is cut short ends the program with a message and kRefused.
  explicit MappedFiles(std::string directory);
  /// Throws std::runtime_error when a .safetensors file of the folder is not what it was at the
  /// start.
  void check_unchanged() const;

 private:
  /// Name, size and time of the last change of each.
  using Stamp = std::vector<std::pair<std::string, std::pair<std::uintmax_t, std::int64_t>>>;
  Stamp stamp() const;

  std::string directory_;
  Stamp start_;
};

}  // namespace holdfast::cli
