// Settings of a recipe that its other settings leave without any effect. Tested by
// tests/train/without_effect_test.cpp.
#pragma once

#include <string>
#include <vector>

#include "train/recipe.h"

namespace holdfast {

/// One line for each key that was changed from its default though nothing reads it, and for each
/// measure that is on with a weight of zero. They are no errors: a grid may vary a method together
/// with a key of one of its values.
std::vector<std::string> settings_without_effect(const Recipe& recipe);

}  // namespace holdfast
