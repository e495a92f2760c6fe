// What a run read, so that an auditor can tell whether it is still there as it was. Tested by
// tests/train/fingerprint_test.cpp.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

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
/// Of all files below `folder`, named as if it were called `name`; an absent one has none.
Fingerprints fingerprint_folder(const std::filesystem::path& folder, const std::string& name);
/// Of these files of `root`; those that are `known` are not read again.
Fingerprints fingerprint_files(const std::filesystem::path& root,
                               const std::vector<std::string>& names,
                               const Fingerprints& known = {});

/// {file: {"bytes", "sha256"}}, and back; throws std::runtime_error for what is no such object.
Json to_json(const Fingerprints& files);
Fingerprints fingerprints_from(const Json& json);

}  // namespace holdfast
