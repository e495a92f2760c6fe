// The resolved recipe as TOML, and its hash.
#include "base/hash.h"
#include "train/recipe.h"

namespace holdfast {
namespace {

Toml data_table(const DataRecipe& data) {
  Toml table = Toml::table();
  table.set("name", data.name);
  for (const auto& [key, path] :
       {std::pair("train", data.train), {"valid", data.valid}, {"test", data.test}}) {
    if (!path.empty()) {
      table.set(key, path);
    }
  }
  table.set("max_length", data.max_length);
  table.set("text", data.text);
  table.set("label", data.label);
  table.set("text_pair", data.text_pair);
  table.set("header", data.header);
  table.set("invalid_utf8", data.invalid_utf8);
  return table;
}

Toml training_table(const TrainingRecipe& training) {
  Toml table = Toml::table();
  if (training.steps > 0) {
    table.set("steps", training.steps);
  } else {
    table.set("epochs", training.epochs);
  }
  table.set("batch_size", training.batch_size);
  table.set("weight_decay", training.weight_decay);
  table.set("betas", Toml::list({training.beta1, training.beta2}));
  table.set("epsilon", training.epsilon);
  table.set("clip_norm", training.clip_norm);
  table.set("dropout", training.dropout);
  table.set("label_smoothing", training.label_smoothing);
  table.set("memory_budget", training.memory_budget);
  return table;
}

Toml rate_table(const RateRecipe& rate) {
  Toml table = Toml::table();
  if (rate.layer_wise()) {
    table.set("bottom", *rate.bottom);
    table.set("top", *rate.top);
    table.set("spacing", rate.spacing);
  } else {
    table.set("rate", rate.rate);
  }
  table.set("minimum_ratio", rate.minimum_ratio);
  table.set("warmup", rate.warmup);
  Toml naive = Toml::list();
  for (const double r : rate.naive) {
    naive.push_back(r);
  }
  table.set("naive", std::move(naive));
  return table;
}

Toml replay_table(const ReplayRecipe& replay) {
  Toml table = Toml::table();
  if (replay.count > 0) {
    table.set("count", replay.count);
  } else {
    table.set("keep", replay.keep);
  }
  table.set("select", replay.select);
  table.set("quota", replay.quota);
  table.set("diversity", replay.diversity);
  table.set("share", replay.share);
  return table;
}

Toml ewc_table(const EwcRecipe& ewc) {
  Toml table = Toml::table();
  table.set("lambda", ewc.lambda);
  table.set("fisher", ewc.fisher);
  table.set("samples", ewc.samples > 0 ? Toml(ewc.samples) : Toml("auto"));
  table.set("normalize", ewc.normalize);
  table.set("coupling", "coupled");
  return table;
}

Toml evaluation_table(const EvaluationRecipe& evaluation) {
  Toml table = Toml::table();
  if (evaluation.every > 0) {
    table.set("every", evaluation.every);
  }
  table.set("max_drop", evaluation.max_drop);
  table.set("drop", evaluation.drop);
  table.set("boost", evaluation.controller ? evaluation.boost : 1.0);  // 1: no controller
  table.set("max_share", evaluation.max_share);
  table.set("gate", evaluation.gate);
  return table;
}

}  // namespace

Toml to_toml(const Recipe& recipe) {
  Toml root = Toml::table();
  root.set("model", recipe.model);
  root.set("output", recipe.output);
  root.set("seed", recipe.seed);
  root.set("precision", name_of(recipe.precision));
  root.set("numerics", "fast");
  root.set("threads", recipe.threads > 0 ? Toml(recipe.threads) : Toml("auto"));
  root.set("device", "cpu");
  root.set("new", data_table(recipe.fresh));
  if (!recipe.old.empty()) {
    Toml old = Toml::list();
    for (const DataRecipe& data : recipe.old) {
      old.push_back(data_table(data));
    }
    root.set("old", std::move(old));
  }
  root.set("training", training_table(recipe.training));
  root.set("learning_rate", rate_table(recipe.learning_rate));
  if (recipe.replay) {
    root.set("replay", replay_table(*recipe.replay));
  }
  if (recipe.ewc) {
    root.set("ewc", ewc_table(*recipe.ewc));
  }
  root.set("evaluation", evaluation_table(recipe.evaluation));
  return root;
}

std::string recipe_hash(const Recipe& recipe) {
  Recipe same = recipe;
  same.output.clear();
  same.threads = 0;
  return to_hex(hash128(to_toml(same).dump()));
}

}  // namespace holdfast
