// What needs more than one key of a recipe to be seen: missing tasks, and measures that make no
// sense together. Tested by tests/train/recipe_check_test.cpp.
#pragma once

#include <string>
#include <vector>

#include "train/recipe.h"

namespace holdfast {

/// Throws std::runtime_error, one line that names the table and the reason. `document` tells where
/// tables stand; for a recipe that was not parsed an empty table does.
void check_whole(const Recipe& recipe, const Toml& document, const std::string& file);

/// The tables that hold the encoder to what it was, of those that are on.
std::vector<std::string> holding_measures(const Recipe& recipe);

}  // namespace holdfast
