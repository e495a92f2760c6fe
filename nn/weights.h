// The tensors of a model directory, in one file or in shards, by the names that the arena gives
// them.
#pragma once

#include <filesystem>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "nn/safetensors.h"

namespace holdfast {

/// Where a tensor lies.
struct StoredTensor {
  const SafetensorsFile* file = nullptr;
  const SafetensorsEntry* entry = nullptr;
};

class Weights {
 public:
  /// Opens model.safetensors, or the shards that model.safetensors.index.json names. Names lose
  /// their "bert." prefix and LayerNorm's old names gamma and beta become weight and bias;
  /// embeddings.position_ids is skipped. Throws std::runtime_error when a name is ambiguous and for
  /// shards that are not as the index says. What deserves a line to the user is appended to
  /// `notices`.
  Weights(const std::filesystem::path& directory, std::vector<std::string>& notices);

  /// Adds the tensors of a further file under their own names.
  void add_file(const std::filesystem::path& path);
  /// Null if there is none.
  const StoredTensor* find(const std::string& name) const;
  /// Gives a tensor another name, replacing what has that name.
  void rename(const std::string& from, const std::string& to);
  const std::map<std::string, StoredTensor>& tensors() const { return tensors_; }
  /// The file or folder that messages name.
  const std::filesystem::path& path() const { return path_; }

 private:
  void add_shards(const std::filesystem::path& index, std::vector<std::string>& notices);
  void add_model_file(const SafetensorsFile& file);
  [[noreturn]] void fail(const std::string& fact) const;

  std::filesystem::path path_;
  std::list<SafetensorsFile> files_;  // stable addresses
  std::map<std::string, StoredTensor> tensors_;
  bool prefixed_ = false, bare_ = false;  // encoder tensors with and without "bert." were seen
};

}  // namespace holdfast
