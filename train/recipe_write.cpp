// The resolved recipe as TOML, and its hash.
#include "base/hash.h"
#include "train/recipe.h"
#include "train/recipe_keys.h"
#include "train/recipe_writer.h"

namespace holdfast {
namespace {

template <class Table>
Toml written(Table table) {
  TableWriter writer;
  keys_of(writer, table);
  return writer.table;
}

template <class Table>
void write_measure(Toml& root, const char* name, const std::optional<Table>& table) {
  if (table) {
    root.set(name, written(*table));
  }
}

Toml evaluation_table(EvaluationRecipe evaluation) {
  evaluation.boost = evaluation.controller ? evaluation.boost : 1.0;  // 1: no controller
  return written(evaluation);
}

}  // namespace

Toml to_toml(const Recipe& recipe) {
  Toml root = Toml::table();
  root.set("model", recipe.model);
  root.set("output", recipe.output);
  root.set("seed", recipe.seed);
  root.set("precision", recipe.precision_name());
  root.set("numerics", recipe.numerics);
  root.set("threads", recipe.threads > 0 ? Toml(recipe.threads) : Toml("auto"));
  root.set("device", name_of(recipe.device));
  root.set("new", written(recipe.fresh));
  if (!recipe.old.empty()) {
    Toml old = Toml::list();
    for (const DataRecipe& data : recipe.old) {
      old.push_back(written(data));
    }
    root.set("old", std::move(old));
  }
  root.set("training", written(recipe.training));
  root.set("learning_rate", written(recipe.learning_rate));
  write_measure(root, "replay", recipe.replay);
  write_measure(root, "ewc", recipe.ewc);
  write_measure(root, "protect", recipe.protect);
  write_measure(root, "l2", recipe.l2);
  write_measure(root, "recadam", recipe.recadam);
  write_measure(root, "mixout", recipe.mixout);
  write_measure(root, "distill", recipe.distill);
  write_measure(root, "gradient", recipe.gradient);
  write_measure(root, "unfreeze", recipe.unfreeze);
  write_measure(root, "adapter", recipe.adapter);
  root.set("heads", written(recipe.heads));
  write_measure(root, "merge", recipe.merge);
  write_measure(root, "augment", recipe.augment);
  root.set("leave", written(recipe.leave));
  root.set("evaluation", evaluation_table(recipe.evaluation));
  root.set("checkpoint", written(recipe.checkpoint));
  root.set("ledger", written(recipe.ledger));
  return root;
}

Toml computation(const Recipe& recipe) {
  Toml root = Toml::table();
  const Toml whole = to_toml(recipe);
  for (const auto& [key, value] : whole.items()) {
    if (key != "output" && key != "threads" && key != "checkpoint" && key != "ledger") {
      root.set(key, value);
    }
  }
  return root;
}

std::string recipe_hash(const Recipe& recipe) {
  return to_hex(hash128(computation(recipe).dump()));
}

}  // namespace holdfast
