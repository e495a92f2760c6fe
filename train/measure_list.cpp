#include "train/measure_list.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace holdfast {
namespace {

/// A measure is what its `carry` copies from one recipe to another: from the full recipe to naive's
/// it is switched on, from naive's to the full one it is switched off.
struct Measure {
  const char* name;
  bool (*on)(const Recipe&);
  void (*carry)(const Recipe& from, Recipe& to);
};

bool distills(const Recipe& recipe, const char* method) {
  return recipe.distill && recipe.distill->method == method;
}

void carry_rates(const Recipe& from, Recipe& to) {
  const std::vector<double> naive = to.learning_rate.naive;
  to.learning_rate = from.learning_rate;
  to.learning_rate.naive = naive;
}

template <auto Table>
bool has(const Recipe& recipe) {
  return (recipe.*Table).has_value();
}
template <auto Table>
void carry(const Recipe& from, Recipe& to) {
  to.*Table = from.*Table;
}
template <auto Table>
constexpr Measure table(const char* name) {
  return {name, has<Table>, carry<Table>};
}

constexpr std::array kMeasures = {
    Measure{"replay", [](const Recipe& r) { return r.replay && r.replay->share > 0; },
            carry<&Recipe::replay>},
    table<&Recipe::ewc>("ewc"),
    Measure{"layer-wise rates", [](const Recipe& r) { return r.learning_rate.layer_wise(); },
            carry_rates},
    Measure{"controller",
            [](const Recipe& r) { return r.evaluation.controller && r.replay.has_value(); },
            [](const Recipe& from, Recipe& to) {
              to.evaluation.controller = from.evaluation.controller;
            }},
    table<&Recipe::protect>("protect"),
    table<&Recipe::l2>("l2"),
    table<&Recipe::recadam>("recadam"),
    table<&Recipe::mixout>("mixout"),
    Measure{"lwf", [](const Recipe& r) { return distills(r, "lwf"); }, carry<&Recipe::distill>},
    Measure{"der++", [](const Recipe& r) { return distills(r, "der++"); }, carry<&Recipe::distill>},
    table<&Recipe::gradient>("a-gem"),
    table<&Recipe::unfreeze>("unfreeze"),
    table<&Recipe::adapter>("adapter"),
    Measure{"frozen encoder", [](const Recipe& r) { return r.training.encoder == "frozen"; },
            [](const Recipe& from, Recipe& to) { to.training.encoder = from.training.encoder; }},
    table<&Recipe::merge>("merge"),
    table<&Recipe::augment>("augment"),
    Measure{"best model",
            [](const Recipe& r) { return r.evaluation.keep_best || r.training.early_stop > 0; },
            [](const Recipe& from, Recipe& to) {
              to.evaluation.keep_best = from.evaluation.keep_best;
              to.training.early_stop = from.training.early_stop;
            }},
};

const Measure& find(const Recipe& recipe, const std::string& name) {
  const auto found = std::find_if(kMeasures.begin(), kMeasures.end(),
                                  [&](const Measure& measure) { return measure.name == name; });
  if (found == kMeasures.end() || !found->on(recipe)) {
    throw std::invalid_argument("[measures] \"" + name + "\" is no measure of this recipe");
  }
  return *found;
}

// What rests on the memory goes with it, and a memory that nothing uses goes, too.
void drop_dependents(Recipe& recipe) {
  if (!recipe.replay) {
    recipe.evaluation.controller = false;
    recipe.gradient.reset();
    if (distills(recipe, "der++")) {
      recipe.distill.reset();
    }
  } else if (recipe.replay->share == 0 && !recipe.gradient && !distills(recipe, "der++")) {
    recipe.replay.reset();
    recipe.evaluation.controller = false;
  }
}

}  // namespace

Recipe naive_recipe(const Recipe& recipe, double rate) {
  const Recipe off;
  Recipe naive = recipe;
  for (const Measure& measure : kMeasures) {
    if (std::string_view(measure.name) != "layer-wise rates") {
      measure.carry(off, naive);
    }
  }
  naive.learning_rate.rate = rate;
  naive.learning_rate.bottom.reset();
  naive.learning_rate.top.reset();
  naive.learning_rate.spacing = RateRecipe{}.spacing;
  return naive;
}

std::vector<std::string> measures_of(const Recipe& recipe) {
  std::vector<std::string> names;
  for (const Measure& measure : kMeasures) {
    if (measure.on(recipe)) {
      names.emplace_back(measure.name);
    }
  }
  return names;
}

Recipe without_measure(const Recipe& recipe, const std::string& measure, double rate) {
  Recipe less = recipe;
  find(recipe, measure).carry(naive_recipe(recipe, rate), less);
  drop_dependents(less);
  return less;
}

std::optional<Recipe> alone_recipe(const Recipe& recipe, const std::string& measure, double rate) {
  const Measure& wanted = find(recipe, measure);
  if (measure == "controller") {
    return std::nullopt;
  }
  Recipe alone = naive_recipe(recipe, rate);
  wanted.carry(recipe, alone);
  if (measure == "a-gem" || measure == "der++") {
    alone.replay = recipe.replay;
    alone.replay->share = measure == "a-gem" ? 0 : recipe.replay->share;
  }
  if (measure == "adapter" || measure == "frozen encoder") {
    carry_rates(recipe, alone);
  }
  return alone;
}

std::string folder_name(const std::string& measure) {
  std::string name = measure;
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

}  // namespace holdfast
