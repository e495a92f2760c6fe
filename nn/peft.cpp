#include "nn/peft.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "nn/safetensors.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMaxConfig = 1 << 20;  // bytes
constexpr std::string_view kPrefix = "base_model.model.";

// The tensors of the file and their slices: "base_model.model." before the model's own names.
std::map<std::string, const NamedSlice*> tensors_of(const Model& model, std::string_view task) {
  std::map<std::string, const NamedSlice*> tensors;
  for (const NamedSlice& slice : model.arena().slices()) {
    if (slice.adapter || (!task.empty() && slice.task == task))
      tensors[std::string(kPrefix) + Model::file_name(slice, task)] = &slice;
  }
  return tensors;
}

void require_head(const Model& model, std::string_view task) {
  if (model.head(task) == nullptr)
    throw std::invalid_argument("[peft] there is no head \"" + utf8::printable(task) + '"');
}

bool is_off(const Json& value) {
  return value.is_null() || (value.is_bool() && !value.as_bool()) ||
         (value.is_array() && value.array().empty()) ||
         (value.is_object() && value.items().empty()) ||
         (value.is_string() && value.as_string() == "none");
}

// Settings that say nothing about what a trained adapter computes.
bool is_about_training(std::string_view key) {
  constexpr std::array kKeys = {
      "auto_mapping", "base_model_name_or_path", "inference_mode", "lora_dropout", "megatron_core",
      "peft_version", "qalora_group_size",       "revision"};
  return std::find(kKeys.begin(), kKeys.end(), key) != kKeys.end();
}

// The names in a list must be `wanted`, in any order.
void require_names(const Json& list, const std::set<std::string>& wanted, std::string_view fact) {
  std::set<std::string> found;
  if (!list.is_array()) throw list.error(fact);
  for (const Json& name : list.array()) found.insert(name.as_string());
  if (found != wanted) throw list.error(fact);
}

void require_setting(const std::string& key, const Json& value) {
  if (key == "r" || key == "lora_alpha" || is_about_training(key)) return;
  if (key == "peft_type") {
    if (value != Json("LORA")) throw value.error("must be LORA");
  } else if (key == "task_type") {
    if (!value.is_null() && value != Json("SEQ_CLS")) throw value.error("must be SEQ_CLS");
  } else if (key == "target_modules") {
    require_names(value, {"query", "value"}, "must be query and value, which holdfast adapts");
  } else if (key == "modules_to_save") {
    if (value.is_array() && value.array().size() == 1)
      return require_names(value, {"classifier"}, "must be the classifier alone");
    require_names(value, {"classifier", "score"}, "must be the classifier alone");
  } else if (key == "init_lora_weights") {  // other ways than these change the base's weights too
    if (!value.is_bool() && value != Json("gaussian"))
      throw value.error("must be true, false or gaussian");
  } else if (!is_off(value)) {
    throw value.error("is set, but holdfast does not know it");
  }
}

AdapterConfig read_config(const std::filesystem::path& file) {
  const Json json = Json::parse(read_file(file, kMaxConfig), utf8::printable(file.string()));
  for (const char* key : {"peft_type", "target_modules", "modules_to_save"}) json.at(key);
  for (const auto& [key, value] : json.items()) require_setting(key, value);
  AdapterConfig config{.kind = AdapterKind::lora, .rank = json.at("r").as_int64()};
  if (config.rank < 1 || config.rank > AdapterConfig::kMaxSize)
    throw json.at("r").error("must be from 1 to " + std::to_string(AdapterConfig::kMaxSize));
  config.alpha = json.at("lora_alpha").as_double();
  if (!(config.alpha > 0)) throw json.at("lora_alpha").error("must be above 0");
  return config;
}

// What the file must hold for a lora of this rank.
std::map<std::string, Shape> expected_shapes(const Model& model, std::string_view task,
                                             std::int64_t rank) {
  const std::int64_t C = model.config().hidden_size;
  std::map<std::string, Shape> shapes;
  for (const NamedSlice& slice : model.arena().slices()) {
    const std::string name = std::string(kPrefix) + Model::file_name(slice, task);
    if (slice.task == task) shapes[name] = slice.shape;
    if (!name.ends_with(".query.weight") && !name.ends_with(".value.weight")) continue;
    const std::string module = name.substr(0, name.rfind('.'));
    shapes[module + ".lora_A.weight"] = {rank, C};
    shapes[module + ".lora_B.weight"] = {C, rank};
  }
  return shapes;
}

// Names all that does not fit, before memory is taken for what the files claim.
void check_fit(const std::map<std::string, Shape>& expected, const SafetensorsFile& file,
               const std::string& where) {
  std::string facts;
  const auto add = [&](const std::string& fact) { facts += (facts.empty() ? "" : "; ") + fact; };
  for (const auto& [name, shape] : expected) {
    const SafetensorsEntry* entry = file.find(name);
    if (entry == nullptr) {
      add("missing: " + name);
    } else if (Shape(entry->shape) != shape) {
      add(name + " is " + Shape(entry->shape).text() + ", expected " + shape.text());
    }
  }
  for (const SafetensorsEntry& entry : file.entries()) {
    if (!expected.contains(entry.name)) add("unexpected: " + utf8::printable(entry.name));
  }
  if (facts.empty()) return;
  throw std::runtime_error(where + ": the tensors do not fit adapter_config.json and the model; " +
                           facts);
}

bool is_finite(const Tensor& tensor) {
  const std::vector<double> values = tensor.to_vector();
  return std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); });
}

}  // namespace

void write_peft(const Model& model, std::string_view task, const std::string& base,
                const std::filesystem::path& directory) {
  const AdapterConfig& adapter = model.adapter();
  if (adapter.kind != AdapterKind::lora)
    throw std::invalid_argument(
        "[peft] the model has no lora: PEFT's layout is for nothing else here");
  require_head(model, task);
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, slice] : tensors_of(model, task))
    tensors.emplace_back(name, model.arena().value(*slice));
  const bool whole = adapter.alpha == std::floor(adapter.alpha) && adapter.alpha < 1e15;
  const Json json = Json::object(
      {{"base_model_name_or_path", base},
       {"bias", "none"},
       {"fan_in_fan_out", false},
       {"inference_mode", true},
       {"init_lora_weights", true},
       {"lora_alpha", whole ? Json(static_cast<std::int64_t>(adapter.alpha)) : Json(adapter.alpha)},
       {"lora_dropout", 0.0},
       {"modules_to_save", Json::list({"classifier", "score"})},
       {"peft_type", "LORA"},
       {"r", adapter.rank},
       {"target_modules", Json::list({"query", "value"})},
       {"task_type", "SEQ_CLS"},
       {"use_dora", false},
       {"use_rslora", false}});
  std::filesystem::create_directories(directory);
  write_safetensors(directory / "adapter_model.safetensors", tensors, {{"format", "pt"}});
  write_file(directory / "adapter_config.json", json.dump(2) + "\n");
}

void read_peft(Model& model, std::string_view task, const std::filesystem::path& directory) {
  require_head(model, task);
  const AdapterConfig config = read_config(directory / "adapter_config.json");
  const std::filesystem::path path = directory / "adapter_model.safetensors";
  const std::string where = utf8::printable(path.string());
  const SafetensorsFile file = SafetensorsFile::open(path);
  check_fit(expected_shapes(model, task, config.rank), file, where);
  std::map<std::string, Tensor> values;
  for (const SafetensorsEntry& entry : file.entries()) {
    values[entry.name] = file.read(entry, model.dtype());
    if (!is_finite(values[entry.name]))
      throw std::runtime_error(where + ": NaN or infinite weights in " + entry.name);
  }
  model.add_adapter(config, 0);
  for (const auto& [name, slice] : tensors_of(model, task))
    model.arena().value(*slice).copy_from(values.at(name));
}

}  // namespace holdfast
