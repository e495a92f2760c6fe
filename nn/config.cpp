#include "nn/config.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <stdexcept>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMaxFile = 16 << 20;  // bytes
constexpr std::size_t kMaxLabels = 100'000;

constexpr std::array<std::pair<std::string_view, Activation>, 4> kActivations = {{
    {"gelu", Activation::gelu_erf},
    {"gelu_new", Activation::gelu_tanh},
    {"gelu_pytorch_tanh", Activation::gelu_tanh},
    {"relu", Activation::relu},
}};

std::int64_t read_count(const Json& json, std::string_view key, std::int64_t fallback,
                        std::int64_t most) {
  const Json* value = json.find(key);
  if (value == nullptr) return fallback;
  const std::int64_t count = value->as_int64();
  if (count < 1 || count > most) {
    throw value->error("must be from 1 to " + std::to_string(most) + ", found " +
                       std::to_string(count));
  }
  return count;
}

// A real number in [low, high), or (low, high) when `open`.
double read_real(const Json& json, std::string_view key, double fallback, double high, bool open) {
  const Json* value = json.find(key);
  if (value == nullptr) return fallback;
  const double number = value->as_double();
  if (!(number >= 0.0 && number < high) || (open && number == 0.0)) {
    throw value->error(std::string("must be ") + (open ? "above 0" : "0 or more") + " and below " +
                       Json(high).dump() + ", found " + value->dump());
  }
  return number;
}

// Refuses a value that would change what the network computes.
void require(const Json& json, std::string_view key, const Json& wanted) {
  const Json* value = json.find(key);
  if (value != nullptr && !value->is_null() && *value != wanted) {
    throw value->error("is " + utf8::printable(value->dump()) + ", holdfast supports only " +
                       wanted.dump());
  }
}

Activation read_activation(const Json& json) {
  const Json* value = json.find("hidden_act");
  if (value == nullptr) return Activation::gelu_erf;
  for (const auto& [name, activation] : kActivations) {
    if (name == value->as_string()) return activation;
  }
  throw value->error("is " + utf8::printable(value->dump()) +
                     ", holdfast supports gelu, gelu_new, gelu_pytorch_tanh and relu");
}

std::vector<std::string> read_labels(const Json& json) {
  const Json* ids = json.find("id2label");
  if (ids == nullptr || ids->is_null()) return {};
  const std::size_t count = ids->items().size();
  if (count > kMaxLabels) throw ids->error("has more than 100000 labels");
  std::vector<const Json*> by_id(count, nullptr);
  for (const auto& [key, label] : ids->items()) {
    std::size_t id = count;
    if (!key.empty() && key.size() <= 6 &&
        key.find_first_not_of("0123456789") == std::string::npos) {
      id = std::stoul(key);
    }
    if (id >= count || std::to_string(id) != key) {
      throw ids->error("must have the keys 0 to " + std::to_string(count - 1) +
                       " without a gap, found \"" + utf8::printable(key.substr(0, 40)) + "\"");
    }
    by_id[id] = &label;
  }
  std::vector<std::string> labels;
  std::map<std::string_view, std::size_t> id_of;
  for (const Json* label : by_id) {
    if (!id_of.emplace(label->as_string(), labels.size()).second) {
      throw ids->error("gives the label " + utf8::printable(label->dump()) + " twice");
    }
    labels.push_back(label->as_string());
  }
  if (const Json* inverse = json.find("label2id"); inverse != nullptr && !inverse->is_null()) {
    bool agrees = inverse->items().size() == count;
    for (const auto& [label, id] : inverse->items()) {
      const auto found = id_of.find(label);
      agrees = agrees && found != id_of.end() && std::cmp_equal(id.as_int64(), found->second);
    }
    if (!agrees) throw inverse->error("is not the inverse of id2label");
  }
  return labels;
}

void refuse_unsupported(const Json& json) {
  const Json& type = json.at("model_type");
  if (type.as_string() != "bert") {
    throw type.error("is " + utf8::printable(type.dump()) + ", holdfast reads only \"bert\"");
  }
  require(json, "position_embedding_type", "absolute");
  require(json, "is_decoder", false);
  require(json, "add_cross_attention", false);
  require(json, "problem_type", "single_label_classification");
  require(json, "pruned_heads", Json::object());
}

}  // namespace

BertConfig BertConfig::load(const std::filesystem::path& file) {
  const Json json = Json::parse(read_file(file, kMaxFile), utf8::printable(file.string()));
  refuse_unsupported(json);
  BertConfig config;
  config.vocab_size = read_count(json, "vocab_size", config.vocab_size, 1 << 24);
  config.hidden_size = read_count(json, "hidden_size", config.hidden_size, 1 << 16);
  config.layers = read_count(json, "num_hidden_layers", config.layers, 1000);
  config.heads = read_count(json, "num_attention_heads", config.heads, 1 << 12);
  config.intermediate_size =
      read_count(json, "intermediate_size", config.intermediate_size, 1 << 18);
  config.max_positions = read_count(json, "max_position_embeddings", config.max_positions, 1 << 16);
  config.type_vocab_size = read_count(json, "type_vocab_size", config.type_vocab_size, 1 << 10);
  if (config.hidden_size % config.heads != 0) {
    throw json.error("hidden_size " + std::to_string(config.hidden_size) +
                     " is not divisible by num_attention_heads " + std::to_string(config.heads));
  }
  config.activation = read_activation(json);
  config.hidden_dropout = read_real(json, "hidden_dropout_prob", config.hidden_dropout, 1.0, false);
  config.attention_dropout =
      read_real(json, "attention_probs_dropout_prob", config.attention_dropout, 1.0, false);
  if (const Json* dropout = json.find("classifier_dropout");
      dropout != nullptr && !dropout->is_null()) {
    config.classifier_dropout = read_real(json, "classifier_dropout", 0.0, 1.0, false);
  }
  config.layer_norm_eps = read_real(json, "layer_norm_eps", config.layer_norm_eps, 1.0, true);
  config.initializer_range =
      read_real(json, "initializer_range", config.initializer_range, 100.0, false);
  config.labels = read_labels(json);
  return config;
}

BertConfig BertConfig::preset(std::string_view name) {
  struct Preset {
    std::string_view name;
    std::int64_t layers, hidden;
  };
  constexpr std::array kPresets = {Preset{"tiny", 2, 128}, Preset{"mini", 4, 256},
                                   Preset{"small", 4, 512}, Preset{"base", 12, 768}};
  for (const Preset& preset : kPresets) {
    if (preset.name != name) continue;
    BertConfig config;
    config.layers = preset.layers;
    config.hidden_size = preset.hidden;
    config.heads = preset.hidden / 64;
    config.intermediate_size = 4 * preset.hidden;
    return config;
  }
  throw std::invalid_argument("[config] no preset \"" + utf8::printable(name) +
                              "\": there are tiny, mini, small and base");
}

void BertConfig::save(const std::filesystem::path& file, const std::vector<std::string>& names,
                      DType dtype) const {
  const auto act = std::find_if(kActivations.begin(), kActivations.end(),
                                [&](const auto& known) { return known.second == activation; });
  if (act == kActivations.end()) {
    throw std::invalid_argument("[config] config.json has no name for this activation");
  }
  std::map<std::string, Json> members = {
      {"architectures",
       Json::list({names.empty() ? "BertModel" : "BertForSequenceClassification"})},
      {"attention_probs_dropout_prob", attention_dropout},
      {"classifier_dropout", classifier_dropout < 0 ? Json() : Json(classifier_dropout)},
      {"dtype", dtype == DType::f64 ? "float64" : "float32"},
      {"hidden_act", act->first},
      {"hidden_dropout_prob", hidden_dropout},
      {"hidden_size", hidden_size},
      {"initializer_range", initializer_range},
      {"intermediate_size", intermediate_size},
      {"layer_norm_eps", layer_norm_eps},
      {"max_position_embeddings", max_positions},
      {"model_type", "bert"},
      {"num_attention_heads", heads},
      {"num_hidden_layers", layers},
      {"pad_token_id", 0},
      {"position_embedding_type", "absolute"},
      {"type_vocab_size", type_vocab_size},
      {"vocab_size", vocab_size},
  };
  if (!names.empty()) {
    Json id2label = Json::object();
    std::map<std::string, std::size_t> inverse;
    for (std::size_t id = 0; id < names.size(); ++id) {
      id2label.add(std::to_string(id), names[id]);
      inverse.emplace(names[id], id);
    }
    Json label2id = Json::object();
    for (const auto& [label, id] : inverse) label2id.add(label, id);
    members.emplace("id2label", std::move(id2label));
    members.emplace("label2id", std::move(label2id));
    members.emplace("problem_type", "single_label_classification");
  }
  Json json = Json::object();
  for (auto& [key, value] : members) json.add(key, std::move(value));
  write_file(file, json.dump(2) + "\n");
}

}  // namespace holdfast
