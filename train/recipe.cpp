#include "train/recipe.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/utf8.h"
#include "train/recipe_check.h"
#include "train/recipe_keys.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMaxRecipeBytes = 1 << 20;

template <class Table>
Table parse_table(const Toml& toml, const char* name) {
  Table table;
  TableReader reader(toml, name);
  keys_of(reader, table);
  reader.finish();
  return table;
}

// A table that is always there, with defaults; a measure, which is off without its table.
template <class Table>
void parse_into(TableReader& root, const char* name, Table& target) {
  if (const Toml* toml = root.find(name)) {
    target = parse_table<Table>(*toml, name);
  }
}
template <class Table>
void parse_into(TableReader& root, const char* name, std::optional<Table>& target) {
  if (const Toml* toml = root.find(name)) {
    target = parse_table<Table>(*toml, name);
  }
}

void check_name(const DataRecipe& data, const TableReader& reader) {
  const bool bad =
      data.name.size() > 100 || std::any_of(data.name.begin(), data.name.end(), [](char c) {
        return static_cast<unsigned char>(c) <= ' ' || c == 0x7F || c == '.' || c == '/' ||
               c == '\\' || c == '+';
      });
  if (bad) {
    throw reader.error(
        "name must be at most 100 bytes without spaces, dots, slashes and +, found \"" +
        utf8::printable(data.name) + '"');
  }
}

DataRecipe parse_data(const Toml& table, const std::string& name, std::int64_t max_length) {
  TableReader reader(table, name);
  DataRecipe data;
  data.max_length = max_length;
  keys_of(reader, data);
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

// ["ewc.lambda"] = [...], also written ewc.lambda = [...].
void parse_grid(const Toml& table, const std::string& prefix, SearchRecipe& search) {
  for (const auto& [key, value] : table.items()) {
    const std::string full = prefix.empty() ? key : prefix + '.' + key;
    if (full == "retention" || full == "halving") {
      continue;
    }
    if (value.is_table()) {
      parse_grid(value, full, search);
    } else if (!value.is_array() || value.array().empty()) {
      throw value.error("must be a list of the values to try");
    } else {
      search.grid.emplace_back(full, value.array());
    }
  }
}

SearchRecipe parse_search(const Toml& table) {
  SearchRecipe search;
  TableReader reader(table, "search");
  reader("retention", search.retention, Range{0, 1});
  reader("halving", search.halving, 0, 100);
  parse_grid(table, "", search);
  if (search.grid.empty()) {
    throw reader.error("needs a key to vary, as in \"ewc.lambda\" = [0.1, 0.3, 1.0]");
  }
  return search;
}

void parse_place(TableReader& root, Recipe& recipe) {
  std::string name = "cpu";
  root("device", name);
  try {
    recipe.device = parse_device(name);
  } catch (const std::invalid_argument&) {
    throw root.error(*root.find("device"), "device", "must be \"cpu\", \"cuda\" or \"cuda:N\"");
  }
  if (recipe.tf32 && !recipe.device.is_cuda()) {
    throw root.error(*root.find("precision"), "precision",
                     "cannot be \"tf32\" on the CPU: take \"f32\", or device = \"cuda\"");
  }
  if (recipe.portable() && recipe.device.is_cuda()) {
    throw root.error(*root.find("device"), "device",
                     "cannot be a GPU with numerics = \"portable\": its bits are its own");
  }
}

void parse_top(TableReader& root, Recipe& recipe) {
  root("model", recipe.model);
  root("output", recipe.output);
  root("seed", recipe.seed, 0, std::numeric_limits<std::int64_t>::max());
  std::string name = "f32";
  root("precision", name, Choices{"f32", "tf32", "bf16", "f64"});
  recipe.precision = name == "f64" ? DType::f64 : name == "bf16" ? DType::bf16 : DType::f32;
  recipe.tf32 = name == "tf32";
  std::int64_t threads = 0;
  root.automatic("threads", threads, "auto");
  if (threads > 1024) {
    throw root.error(*root.find("threads"), "threads", "must be \"auto\" or in [1, 1024]");
  }
  recipe.threads = static_cast<int>(threads);
  root("numerics", recipe.numerics, Choices{"fast", "portable"});
  if (recipe.portable() && recipe.precision == DType::bf16) {
    throw root.error(*root.find("numerics"), "numerics",
                     "cannot be \"portable\" with precision = \"bf16\": its products belong to one "
                     "instruction set");
  }
  parse_place(root, recipe);
}

void parse_tasks(TableReader& root, Recipe& recipe) {
  if (const Toml* fresh = root.find("new")) {
    recipe.fresh = parse_data(*fresh, "new", DataRecipe{}.max_length);
  }
  const Toml* old = root.find("old");
  if (old && !old->is_array()) {
    throw root.error(
        *old, "old",
        "must be a list, [[old]] in the recipe: --set old.0.train=... changes the first "
        "of its entries");
  }
  for (std::size_t i = 0; old && i < old->array().size(); ++i) {
    recipe.old.push_back(parse_data(old->array()[i], "old", recipe.fresh.max_length));
  }
}

void parse_measures(TableReader& root, Recipe& recipe) {
  parse_into(root, "learning_rate", recipe.learning_rate);
  parse_into(root, "replay", recipe.replay);
  parse_into(root, "ewc", recipe.ewc);
  parse_into(root, "protect", recipe.protect);
  parse_into(root, "l2", recipe.l2);
  parse_into(root, "recadam", recipe.recadam);
  parse_into(root, "mixout", recipe.mixout);
  parse_into(root, "distill", recipe.distill);
  parse_into(root, "gradient", recipe.gradient);
  parse_into(root, "unfreeze", recipe.unfreeze);
  parse_into(root, "adapter", recipe.adapter);
  parse_into(root, "heads", recipe.heads);
  parse_into(root, "merge", recipe.merge);
  parse_into(root, "augment", recipe.augment);
  parse_into(root, "leave", recipe.leave);
  parse_into(root, "checkpoint", recipe.checkpoint);
  parse_into(root, "ledger", recipe.ledger);
}

}  // namespace

Recipe parse_recipe(const Toml& document, std::string_view file) {
  TableReader root(document, "");
  Recipe recipe;
  parse_top(root, recipe);
  parse_tasks(root, recipe);
  parse_into(root, "training", recipe.training);
  parse_measures(root, recipe);
  if (const Toml* table = root.find("evaluation")) {
    recipe.evaluation = parse_table<EvaluationRecipe>(*table, "evaluation");
    recipe.evaluation.controller = recipe.evaluation.boost > 1;
  }
  if (const Toml* table = root.find("search")) {
    recipe.search = parse_search(*table);
  }
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
