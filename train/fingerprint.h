// What a run read, so that an auditor can tell whether it is still there as it was. Tested by
// tests/train/fingerprint_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "base/json.h"
#include "train/recipe.h"

namespace holdfast {

struct Inputs;

struct Fingerprint {
  std::int64_t bytes = 0;
  std::string sha256;
  bool operator==(const Fingerprint&) const = default;
};
/// By file, named as the recipe does.
using Fingerprints = std::map<std::string, Fingerprint>;

/// Throws std::runtime_error when the file cannot be read.
Fingerprint fingerprint(const std::filesystem::path& file);
/// Of every file that the run reads: weights, configuration and vocabulary, all splits, memories
/// and importance of earlier runs, synonyms.
Fingerprints fingerprint_inputs(const Recipe& recipe, const Inputs& inputs);
/// Of all files below these folders of `root`, named from there; absent folders have none.
Fingerprints fingerprint_folders(const std::filesystem::path& root,
                                 std::initializer_list<const char*> folders);

/// {file: {"bytes", "sha256"}}, and back; throws std::runtime_error for what is no such object.
Json to_json(const Fingerprints& files);
Fingerprints fingerprints_from(const Json& json);

}  // namespace holdfast
