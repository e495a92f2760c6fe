// The measures of a recipe one by one: the recipe without one of them, with one alone, and with
// none. Used by compare and ablate; tested by tests/train/measure_list_test.cpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "train/recipe.h"

namespace holdfast {

/// The recipe with every measure off and this one learning rate: plain fine-tuning.
Recipe naive_recipe(const Recipe& recipe, double rate);

/// The measures that are on, in the order of the recipe's tables: "replay", "ewc",
/// "layer-wise rates", "controller" (with replay), "protect", "l2", "recadam", "mixout", "lwf" or
/// "der++", "a-gem", "unfreeze", "adapter", "frozen encoder", "merge", "augment",
/// "best model" (keep_best, early_stop).
std::vector<std::string> measures_of(const Recipe& recipe);

/// The recipe less this measure and less what cannot be without it: replay takes controller, a-gem
/// and der++ with it; the last that uses a replay of share 0 takes replay. Without layer-wise rates
/// the rate is `rate`. Throws std::invalid_argument for a measure that is not on.
Recipe without_measure(const Recipe& recipe, const std::string& measure, double rate);

/// Naive fine-tuning at `rate` with this measure alone, and what it needs: der++ has replay, a-gem
/// replay of share 0, adapter and frozen encoder have the recipe's rates, as little learns. Nullopt
/// for the controller, which is nothing without replay. Throws std::invalid_argument for a measure
/// that is not on.
std::optional<Recipe> alone_recipe(const Recipe& recipe, const std::string& measure, double rate);

/// A measure's part of a folder's name: "layer-wise-rates".
std::string folder_name(const std::string& measure);

}  // namespace holdfast
