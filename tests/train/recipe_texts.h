// The smallest recipes, as text.
#pragma once

#include <string>

#include "train/recipe.h"

namespace holdfast {

inline const std::string kSmall =
    "model = \"m\"\noutput = \"o\"\n[new]\nname = \"b\"\ntrain = \"t.csv\"\n";
inline const std::string kOld = "[[old]]\nname = \"a\"\ntrain = \"u.csv\"\n";

inline Recipe parse(const std::string& text) {
  return parse_recipe(Toml::parse(text, "recipe.toml"), "recipe.toml");
}

}  // namespace holdfast
