// Golden files in tests/golden: what a peer computed, with the script and the versions that made
// them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/json.h"

namespace holdfast {

inline Json golden_json(std::string_view name) {
  const std::filesystem::path path = std::filesystem::path(HOLDFAST_GOLDEN) / name;
  return Json::parse(read_file(path, 1 << 20), path.string());
}

inline std::vector<double> numbers(const Json& array) {
  std::vector<double> values;
  for (const Json& value : array.array()) values.push_back(value.as_double());
  return values;
}

}  // namespace holdfast
