// Every table of a recipe: its keys, their ranges and choices, once. With a TableReader these
// functions read a table, with a TableWriter they write it (recipe_reader.h, recipe_writer.h).
#pragma once

#include <limits>

#include "train/recipe.h"
#include "train/recipe_reader.h"

namespace holdfast {

inline constexpr std::int64_t kMany = 1'000'000'000;

template <class Keys>
void keys_of(Keys& keys, DataRecipe& data) {
  keys("name", data.name);
  keys.when(!data.train.empty())("train", data.train);
  keys.when(!data.valid.empty())("valid", data.valid);
  keys.when(!data.test.empty())("test", data.test);
  keys("max_length", data.max_length, 3, 100'000);
  keys("text", data.text);
  keys("label", data.label);
  keys("text_pair", data.text_pair);
  keys("header", data.header);
  keys("invalid_utf8", data.invalid_utf8, Choices{"error", "replace"});
  keys("class_weights", data.class_weights, Choices{"none", "balanced"});
  keys.later("label_map", "");
}

template <class Keys>
void keys_of(Keys& keys, TrainingRecipe& training) {
  keys.exclusive({"epochs", "steps"});
  keys.when(training.steps == 0)("epochs", training.epochs, Range{0, 1e6, true});
  keys.when(training.steps > 0)("steps", training.steps, 1, kMany);
  keys("batch_size", training.batch_size, 1, 65536);
  keys("weight_decay", training.weight_decay, Range{0, 10});
  keys.pair("betas", training.beta1, training.beta2, Range{0, 1, false, true});
  keys("epsilon", training.epsilon, Range{0, 1, true});
  keys("clip_norm", training.clip_norm, Range{0});
  keys("dropout", training.dropout, Range{0, 1, false, true});
  keys("label_smoothing", training.label_smoothing, Range{0, 1, false, true});
  keys.bytes("memory_budget", training.memory_budget, "no limit");
  keys("early_stop", training.early_stop, 0, kMany);
  keys("encoder", training.encoder, Choices{"trained", "frozen"});
  keys.later("optimizer", "adamw");
  keys.later("micro_batches", 1);
  keys.later("recompute", false);
}

template <class Keys>
void keys_of(Keys& keys, RateRecipe& rate) {
  const Range rates{0, 1, true};
  keys.exclusive({"rate", "bottom"});
  keys.exclusive({"rate", "top"});
  keys.together("bottom", "top");
  keys.needs("spacing", "bottom", "top", "spreads layer-wise rates, and there is one rate");
  keys.when(!rate.layer_wise())("rate", rate.rate, rates);
  keys("bottom", rate.bottom, rates);
  keys("top", rate.top, rates);
  keys.when(rate.layer_wise())("spacing", rate.spacing, Choices{"geometric", "linear", "head"});
  keys("minimum_ratio", rate.minimum_ratio, Range{0, 1});
  keys("warmup", rate.warmup, Range{0, 1, false, true});
  keys.list("naive", rate.naive, rates);
  keys.later("schedule", "cosine");
}

template <class Keys>
void keys_of(Keys& keys, ReplayRecipe& replay) {
  keys.exclusive({"keep", "count", "budget"});
  keys.when(replay.count == 0 && replay.budget == 0)("keep", replay.keep, Range{0, 1, true});
  keys.when(replay.count > 0)("count", replay.count, 1, kMany);
  keys.when(replay.budget > 0).bytes("budget", replay.budget);
  keys("select", replay.select, Choices{"tfidf", "random", "balanced", "herding", "reservoir"});
  keys("quota", replay.quota, Choices{"class", "none"});
  keys("diversity", replay.diversity, Range{0, 1});
  keys("share", replay.share, Range{0, 1, false, true});
  keys("memory", replay.memory);
}

template <class Keys>
void keys_of(Keys& keys, EwcRecipe& ewc) {
  keys("lambda", ewc.lambda, Range{0, 1e9});
  keys("fisher", ewc.fisher, Choices{"true", "empirical", "sampled", "sketch", "mas", "si"});
  keys.automatic("samples", ewc.samples, "auto");
  keys("normalize", ewc.normalize, Choices{"mean", "none", "max", "tensor"});
  keys("online_decay", ewc.online_decay, Range{0, 1, true});
  keys("coupling", ewc.coupling, Choices{"coupled", "decoupled"});
  keys("importance", ewc.importance);
}

template <class Keys>
void keys_of(Keys& keys, ProtectRecipe& protect) {
  keys("key_fraction", protect.key_fraction, Range{0, 1, true});
  keys("max_drift", protect.max_drift, Range{0, 1e6});
  keys("mode", protect.mode, Choices{"clamp", "freeze"});
  keys("unit", protect.unit, Choices{"weight", "neuron"});
  keys("bound", protect.bound, Choices{"weight", "tensor"});
}

template <class Keys>
void keys_of(Keys& keys, L2Recipe& l2) {
  keys("weight", l2.weight, Range{0, 1e9});
  keys("head", l2.head, Range{0, 1e9});
  keys("toward", l2.toward, Choices{"old", "zero"});
}

template <class Keys>
void keys_of(Keys& keys, RecAdamRecipe& recadam) {
  keys("pull", recadam.pull, Range{0, 1e9});
  keys("midpoint", recadam.midpoint, Range{0, 1});
  keys("slope", recadam.slope, Range{0, 1e6, true});
}

template <class Keys>
void keys_of(Keys& keys, MixoutRecipe& mixout) {
  keys("probability", mixout.probability, Range{0, 1, false, true});
}

template <class Keys>
void keys_of(Keys& keys, DistillRecipe& distill) {
  keys.required("method", distill.method, Choices{"lwf", "der++"});
  keys("alpha", distill.alpha, Range{0, 1e6});
  keys("temperature", distill.temperature, Range{0, 1000, true});
}

template <class Keys>
void keys_of(Keys& keys, GradientRecipe& gradient) {
  keys.required("projection", gradient.projection, Choices{"a-gem"});
  keys.automatic("texts", gradient.texts, "batch");
}

template <class Keys>
void keys_of(Keys& keys, UnfreezeRecipe& unfreeze) {
  keys.required("schedule", unfreeze.schedule, Choices{"gradual"});
  keys.automatic("every", unfreeze.every, "epoch");
}

template <class Keys>
void keys_of(Keys& keys, AdapterRecipe& adapter) {
  keys.required("kind", adapter.kind, Choices{"houlsby", "pfeiffer", "lora"});
  keys.automatic("size", adapter.size, "auto");
  keys("rank", adapter.rank, 1, 65536);
  keys("alpha", adapter.alpha, Range{0, 1e6, true});
}

template <class Keys>
void keys_of(Keys& keys, HeadsRecipe& heads) {
  keys("scenario", heads.scenario, Choices{"task", "class", "domain"});
}

template <class Keys>
void keys_of(Keys& keys, MergeRecipe& merge) {
  keys.required("method", merge.method,
                Choices{"linear", "fisher", "task-arithmetic", "ties", "dare-ties", "slerp"});
  keys.number_or("weight", merge.weight, Range{0, 1}, "search");
  keys("scale", merge.scale, Range{0, 100});
  keys("density", merge.density, Range{0, 1, true});
}

template <class Keys>
void keys_of(Keys& keys, AugmentRecipe& augment) {
  const Range probability{0, 1};
  keys("swap", augment.swap, probability);
  keys("delete", augment.remove, Range{0, 1, false, true});
  keys("insert", augment.insert, probability);
  keys("replace", augment.replace, probability);
  keys("synonyms", augment.synonyms);
}

template <class Keys>
void keys_of(Keys& keys, LeaveRecipe& leave) {
  keys("importance", leave.importance,
       Choices{"none", "true", "empirical", "sampled", "sketch", "mas"});
  keys("memory", leave.memory, Range{0, 1});
  keys("path", leave.path);
}

template <class Keys>
void keys_of(Keys& keys, CheckpointRecipe& checkpoint) {
  keys("every", checkpoint.every, 0, kMany);
  keys("keep", checkpoint.keep, 1, kMany);
}

template <class Keys>
void keys_of(Keys& keys, LedgerRecipe& ledger) {
  keys.automatic("hash_every", ledger.hash_every, "auto");
}

template <class Keys>
void keys_of(Keys& keys, EvaluationRecipe& evaluation) {
  keys.when(evaluation.every > 0)("every", evaluation.every, 1, kMany);
  keys("max_drop", evaluation.max_drop, Range{0, 1});
  keys("drop", evaluation.drop, Choices{"absolute", "relative"});
  keys("boost", evaluation.boost, Range{1, 100});
  keys("max_share", evaluation.max_share, Range{0, 1, true, true});
  keys("gate", evaluation.gate, Choices{"point", "paired"});
  keys("keep_best", evaluation.keep_best);
  keys("retention", evaluation.retention, Range{0, 1});
}

}  // namespace holdfast
