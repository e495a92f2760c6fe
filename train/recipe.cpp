#include "train/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/file.h"
#include "base/utf8.h"
#include "train/recipe_reader.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMaxRecipeBytes = 1 << 20;
constexpr std::int64_t kMany = 1'000'000'000;

// "512MiB", "2GiB" or a number of bytes.
std::int64_t parse_bytes(const Toml& value, const TableReader& reader, std::string_view key) {
  if (value.is_integer()) {
    if (value.as_int64() < 0) {
      throw reader.error(value, key, "must be at least 0");
    }
    return value.as_int64();
  }
  const std::string& text = value.as_string();
  std::int64_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  const int shift = unit == "KiB" ? 10 : unit == "MiB" ? 20 : unit == "GiB" ? 30 : -1;
  if (code != std::errc() || shift < 0 || number < 1 ||
      number > (std::int64_t{1} << (62 - shift))) {
    throw reader.error(
        value, key,
        "must be bytes or like \"512MiB\", \"2GiB\", found \"" + utf8::printable(text) + '"');
  }
  return number << shift;
}

// A choice that a later version has.
void refuse_choice(TableReader& reader, std::string_view key, std::string_view choice) {
  const Toml* value = reader.find(key);
  if (value && value->is_string() && value->as_string() == choice) {
    throw reader.error(*value, key, fmt::format("\"{}\" is not available in this version", choice));
  }
}

void check_name(const DataRecipe& data, const TableReader& reader) {
  const bool bad =
      data.name.size() > 100 || std::any_of(data.name.begin(), data.name.end(), [](char c) {
        return static_cast<unsigned char>(c) <= ' ' || c == 0x7F || c == '.' || c == '/' ||
               c == '\\';
      });
  if (bad) {
    throw reader.error("name must be at most 100 bytes without spaces, dots and slashes, found \"" +
                       utf8::printable(data.name) + '"');
  }
}

DataRecipe parse_data(const Toml& table, const std::string& name, std::int64_t max_length) {
  TableReader reader(table, name);
  DataRecipe data;
  data.max_length = max_length;
  reader.read("name", data.name);
  reader.read("train", data.train);
  reader.read("valid", data.valid);
  reader.read("test", data.test);
  reader.read("max_length", data.max_length, 3, 100'000);
  reader.read("text", data.text);
  reader.read("label", data.label);
  reader.read("text_pair", data.text_pair);
  reader.read("header", data.header);
  reader.read("invalid_utf8", data.invalid_utf8, {"error", "replace"});
  reader.later("label_map", "");
  reader.later("class_weights", "none");
  reader.finish();
  if (data.name.empty()) {
    throw reader.error("needs a name: the task's");
  }
  check_name(data, reader);
  if (data.train.empty() && data.valid.empty() && data.test.empty()) {
    throw reader.error("needs a file: train, valid or test");
  }
  return data;
}

TrainingRecipe parse_training(const Toml& table) {
  TableReader reader(table, "training");
  TrainingRecipe training;
  const bool epochs = reader.read("epochs", training.epochs, {0, 1e6, true});
  const bool steps = reader.read("steps", training.steps, 1, kMany);
  reader.read("batch_size", training.batch_size, 1, 65536);
  reader.read("weight_decay", training.weight_decay, {0, 10});
  if (const Toml* betas = reader.find("betas")) {
    if (!betas->is_array() || betas->array().size() != 2 || !betas->array()[0].is_number() ||
        !betas->array()[1].is_number()) {
      throw reader.error(*betas, "betas", "must be two numbers, as in [0.9, 0.999]");
    }
    training.beta1 = betas->array()[0].as_double();
    training.beta2 = betas->array()[1].as_double();
    for (const double beta : {training.beta1, training.beta2}) {
      if (!(beta >= 0 && beta < 1)) {
        throw reader.error(*betas, "betas", fmt::format("must be in [0, 1), found {:g}", beta));
      }
    }
  }
  reader.read("epsilon", training.epsilon, {0, 1, true});
  reader.read("clip_norm", training.clip_norm, {0});
  reader.read("dropout", training.dropout, {0, 1, false, true});
  reader.read("label_smoothing", training.label_smoothing, {0, 1, false, true});
  if (const Toml* budget = reader.find("memory_budget")) {
    training.memory_budget = parse_bytes(*budget, reader, "memory_budget");
  }
  reader.later("optimizer", "adamw");
  reader.later("micro_batches", 1);
  reader.later("recompute", false);
  reader.later("early_stop", 0);
  reader.finish();
  if (epochs && steps) {
    throw reader.error("has both epochs and steps: give one");
  }
  return training;
}

std::vector<double> parse_rates(const Toml& value, const TableReader& reader) {
  const Toml::Array values = value.is_array() ? value.array() : Toml::Array{value};
  std::vector<double> rates;
  for (const Toml& element : values) {
    const double rate = element.is_number() ? element.as_double() : 0;
    if (!(rate > 0 && rate <= 1)) {
      throw reader.error(value, "naive", "must be a rate in (0, 1] or a list of such rates");
    }
    if (std::find(rates.begin(), rates.end(), rate) != rates.end()) {
      throw reader.error(value, "naive", fmt::format("has {:g} twice", rate));
    }
    rates.push_back(rate);
  }
  if (rates.empty() || rates.size() > 100) {
    throw reader.error(value, "naive", "must hold 1 to 100 rates");
  }
  return rates;
}

RateRecipe parse_rate(const Toml& table) {
  TableReader reader(table, "learning_rate");
  RateRecipe rate;
  const Range rates{0, 1, true};
  double bottom = 0;
  double top = 0;
  const bool single = reader.read("rate", rate.rate, rates);
  const bool has_bottom = reader.read("bottom", bottom, rates);
  const bool has_top = reader.read("top", top, rates);
  reader.read("spacing", rate.spacing, {"geometric", "linear"});
  reader.read("minimum_ratio", rate.minimum_ratio, {0, 1});
  reader.read("warmup", rate.warmup, {0, 1, false, true});
  if (const Toml* naive = reader.find("naive")) {
    rate.naive = parse_rates(*naive, reader);
  }
  reader.later("schedule", "cosine");
  reader.finish();
  if (single && (has_bottom || has_top)) {
    throw reader.error("has rate (one for all layers) and bottom or top (layer-wise): give one");
  }
  if (has_bottom != has_top) {
    throw reader.error(has_top ? "has top without bottom" : "has bottom without top");
  }
  if (has_bottom) {
    rate.bottom = bottom;
    rate.top = top;
  }
  return rate;
}

ReplayRecipe parse_replay(const Toml& table) {
  TableReader reader(table, "replay");
  ReplayRecipe replay;
  const bool keep = reader.read("keep", replay.keep, {0, 1, true});
  const bool count = reader.read("count", replay.count, 1, kMany);
  refuse_choice(reader, "select", "herding");
  reader.read("select", replay.select, {"tfidf", "random", "balanced"});
  reader.read("quota", replay.quota, {"class", "none"});
  reader.read("diversity", replay.diversity, {0, 1});
  reader.read("share", replay.share, {0, 1, true, true});
  reader.absent("budget");
  reader.later("memory", "");
  reader.finish();
  if (keep && count) {
    throw reader.error("has both keep and count: give one");
  }
  return replay;
}

EwcRecipe parse_ewc(const Toml& table) {
  TableReader reader(table, "ewc");
  EwcRecipe ewc;
  reader.read("lambda", ewc.lambda, {0, 1e9});
  for (const char* kind : {"sampled", "sketch"}) {
    refuse_choice(reader, "fisher", kind);
  }
  reader.read("fisher", ewc.fisher, {"true", "empirical"});
  const Toml* samples = reader.find("samples");
  if (samples && !(samples->is_string() && samples->as_string() == "auto")) {
    if (!samples->is_integer() || samples->as_int64() < 1) {
      throw reader.error(*samples, "samples", "must be \"auto\" or a number of texts from 1 on");
    }
    ewc.samples = samples->as_int64();
  }
  refuse_choice(reader, "normalize", "tensor");
  reader.read("normalize", ewc.normalize, {"mean", "none", "max"});
  reader.later("coupling", "coupled");
  reader.later("online_decay", 1.0);
  reader.later("importance", "");
  reader.finish();
  return ewc;
}

EvaluationRecipe parse_evaluation(const Toml& table) {
  TableReader reader(table, "evaluation");
  EvaluationRecipe evaluation;
  reader.read("every", evaluation.every, 1, kMany);
  reader.read("max_drop", evaluation.max_drop, {0, 1});
  reader.read("drop", evaluation.drop, {"absolute", "relative"});
  reader.read("boost", evaluation.boost, {1, 100});
  reader.read("max_share", evaluation.max_share, {0, 1, true, true});
  reader.read("gate", evaluation.gate, {"point", "paired"});
  reader.finish();
  evaluation.controller = evaluation.boost > 1;
  return evaluation;
}

// Tables of features that come later, so that none is taken for a typing error.
void refuse_later_tables(TableReader& root) {
  for (const char* name : {"protect", "l2", "distill", "gradient", "unfreeze", "adapter", "merge",
                           "augment", "checkpoint", "search"}) {
    root.absent(name);
  }
  if (const Toml* heads = root.find("heads")) {
    TableReader reader(*heads, "heads");
    reader.later("scenario", "task");
    reader.finish();
  }
}

void parse_top(TableReader& root, Recipe& recipe) {
  root.read("model", recipe.model);
  root.read("output", recipe.output);
  root.read("seed", recipe.seed, 0, std::numeric_limits<std::int64_t>::max());
  std::string precision = "f32";
  refuse_choice(root, "precision", "bf16");
  root.read("precision", precision, {"f32", "f64"});
  recipe.precision = precision == "f64" ? DType::f64 : DType::f32;
  const Toml* threads = root.find("threads");
  if (threads && !(threads->is_string() && threads->as_string() == "auto")) {
    if (!threads->is_integer() || threads->as_int64() < 1 || threads->as_int64() > 1024) {
      throw root.error(*threads, "threads", "must be \"auto\" or in [1, 1024]");
    }
    recipe.threads = static_cast<int>(threads->as_int64());
  }
  root.later("numerics", "fast");
  root.later("device", "cpu");
}

void parse_tasks(TableReader& root, Recipe& recipe) {
  if (const Toml* fresh = root.find("new")) {
    recipe.fresh = parse_data(*fresh, "new", DataRecipe{}.max_length);
  }
  const Toml* old = root.find("old");
  if (old && !old->is_array()) {
    throw root.error(*old, "old", "must be written [[old]]: there may be several");
  }
  for (std::size_t i = 0; old && i < old->array().size(); ++i) {
    recipe.old.push_back(parse_data(old->array()[i], "old", recipe.fresh.max_length));
  }
}

// What needs more than one key or table to be seen.
void check_whole(const Recipe& recipe, const Toml& document, const std::string& file) {
  for (const auto& [key, value] : {std::pair("model", recipe.model), {"output", recipe.output}}) {
    if (value.empty()) {
      throw std::runtime_error(fmt::format("{}: needs a key {} = \"DIRECTORY\"", file, key));
    }
  }
  if (recipe.fresh.name.empty()) {
    throw std::runtime_error(file + ": needs a table [new], the task to learn");
  }
  if (recipe.fresh.train.empty()) {
    throw std::runtime_error(document.at("new").where() + "new needs train: the texts to learn");
  }
  std::set<std::string> names{recipe.fresh.name};
  bool gone = false;
  for (const DataRecipe& old : recipe.old) {
    gone = gone || old.train.empty();
    if (!names.insert(old.name).second) {
      throw std::runtime_error(file + ": has two tasks of the name \"" + old.name + '"');
    }
  }
  for (const char* measure : {"replay", "ewc"}) {
    const Toml* table = document.find(measure);
    if (table && recipe.old.empty()) {
      throw table->error("needs an [[old]] task: there is none");
    }
    if (table && gone) {
      throw table->error(
          "needs the training texts of every [[old]] task, and one has no train: leave this "
          "table out, and the task is only measured");
    }
  }
}

}  // namespace

Recipe parse_recipe(const Toml& document, std::string_view file) {
  TableReader root(document, "");
  Recipe recipe;
  parse_top(root, recipe);
  parse_tasks(root, recipe);
  if (const Toml* table = root.find("training")) {
    recipe.training = parse_training(*table);
  }
  if (const Toml* table = root.find("learning_rate")) {
    recipe.learning_rate = parse_rate(*table);
  }
  if (const Toml* table = root.find("replay")) {
    recipe.replay = parse_replay(*table);
  }
  if (const Toml* table = root.find("ewc")) {
    recipe.ewc = parse_ewc(*table);
  }
  if (const Toml* table = root.find("evaluation")) {
    recipe.evaluation = parse_evaluation(*table);
  }
  refuse_later_tables(root);
  root.finish();
  check_whole(recipe, document, utf8::printable(file));
  return recipe;
}

Recipe load_recipe(const std::filesystem::path& file, const std::vector<std::string>& assignments) {
  Toml document = Toml::parse(read_file(file, kMaxRecipeBytes), file.string());
  for (const std::string& assignment : assignments) {
    set_key(document, assignment);
  }
  return parse_recipe(document, file.string());
}

}  // namespace holdfast
