// The points of a grid: grid_points() and what it is made of.
#include <fmt/format.h>

#include "base/utf8.h"
#include "train/search.h"

namespace holdfast {
namespace {

constexpr std::size_t kMostPoints = 10'000;

std::size_t count_points(const SearchRecipe& search) {
  std::size_t points = 1;
  for (const auto& [key, values] : search.grid) {
    points *= values.size();
    if (points > kMostPoints) {
      throw Refused(
          fmt::format("[search] has more than {} points: give fewer values, or search "
                      "key by key",
                      kMostPoints));
    }
  }
  return points;
}

void set_values(SearchPoint& point, Toml document) {
  try {
    for (const auto& [key, value] : point.values) {
      if (key == "output" || key == "threads") {
        throw std::runtime_error(key + " changes no result");
      }
      set_key(document, key + "=" + value.dump());
    }
    point.recipe = parse_recipe(document, "recipe");
  } catch (const std::runtime_error& error) {
    throw Refused(fmt::format("search at {}: {}", point.text(), error.what()));
  }
}

}  // namespace

std::string SearchPoint::text() const {
  std::string out;
  for (const auto& [key, value] : values) {
    out += fmt::format("{}{} = {}", out.empty() ? "" : ", ", utf8::printable(key),
                       utf8::printable(value.dump()));
  }
  return out;
}

std::vector<SearchPoint> grid_points(const Recipe& recipe) {
  if (!recipe.search) {
    throw Refused("the recipe has no [search], as in \"ewc.lambda\" = [0.1, 0.3, 1.0]");
  }
  const auto& grid = recipe.search->grid;
  std::vector<SearchPoint> points(count_points(*recipe.search));
  const Toml document = to_toml(recipe);
  for (std::size_t n = 0; n < points.size(); ++n) {
    std::size_t left = points.size();
    std::size_t place = n;
    for (const auto& [key, values] : grid) {
      left /= values.size();
      points[n].values.emplace_back(key, values[place / left]);
      place %= left;
    }
    set_values(points[n], document);
  }
  return points;
}

}  // namespace holdfast
