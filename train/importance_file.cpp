#include "train/importance_file.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/utf8.h"
#include "nn/model.h"
#include "nn/safetensors.h"

namespace holdfast {
namespace {

using Metadata = std::map<std::string, std::string>;

std::string convention_of(ImportanceKind kind) {
  switch (kind) {
    case ImportanceKind::mas:
      return "mean over texts of absolute per-sample gradients of the logits' squared norm; "
             "evaluation mode; not normalised";
    case ImportanceKind::si:
      return "share in the fall of the task's loss along its training, over the squared way; not "
             "normalised";
    default:
      return "mean over texts of squared per-sample gradients of -log p; evaluation mode; not "
             "normalised";
  }
}

const std::string& required(const Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  if (found != metadata.end()) return found->second;
  throw std::invalid_argument(
      fmt::format("its metadata has no \"{}\": it is no importance file", key));
}

std::int64_t count_of(const char* key, const std::string& text, std::int64_t least) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code == std::errc() && end == text.data() + text.size() && value >= least) return value;
  throw std::invalid_argument(
      fmt::format("its metadata has {} \"{}\", which is no count", key, utf8::printable(text)));
}

// Files of earlier versions have neither head nor age nor weights.
ImportanceCard card_of(const Metadata& metadata) {
  ImportanceCard card;
  card.kind = parse_importance_kind(required(metadata, "kind"));
  card.samples = count_of("samples", required(metadata, "samples"), 1);
  card.task = required(metadata, "task");
  if (metadata.contains("head")) card.head = metadata.at("head");
  if (metadata.contains("age")) card.age = count_of("age", metadata.at("age"), 0);
  if (metadata.contains("weights")) card.weights = metadata.at("weights");
  return card;
}

Importance read(const SafetensorsFile& file, const ParameterArena& arena, std::string_view head) {
  Importance result{card_of(file.metadata()), Tensor::zeros({arena.numel()}, arena.dtype()), {}};
  std::map<std::string, const NamedSlice*> slices;
  for (const NamedSlice& slice : arena.slices()) {
    slices[Model::file_name(slice, head.empty() ? result.head_name() : head)] = &slice;
  }
  for (const SafetensorsEntry& entry : file.entries()) {
    const auto found = slices.find(entry.name);
    if (found == slices.end()) {
      throw std::invalid_argument(
          fmt::format("it holds {}, which the model does not have", utf8::printable(entry.name)));
    }
    const NamedSlice* slice = found->second;
    if (Shape(entry.shape) != slice->shape) {
      throw std::invalid_argument(fmt::format("{} has shape {}, the model's {}", entry.name,
                                              Shape(entry.shape).text(), slice->shape.text()));
    }
    result.values.slice(0, slice->offset, slice->offset + slice->size)
        .reshape(slice->shape)
        .copy_from(file.read(entry, arena.dtype()));
  }
  for (const auto& [name, slice] : slices) {
    const bool may_be_new = !slice->task.empty() || slice->adapter;
    if (!may_be_new && file.find(name) == nullptr) {
      throw std::invalid_argument(fmt::format("it lacks {}", name));
    }
  }
  result.scale = importance_scale(result.values, arena.parameter_count());
  return result;
}

// Calls `body` with the open file; what it finds wrong is named with the file.
template <class Body>
auto with_file(const std::filesystem::path& path, const Body& body) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  try {
    return body(file);
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error(fmt::format("{}: {}", utf8::printable(path.string()), error.what()));
  }
}

}  // namespace

void save_importance(const std::filesystem::path& path, const Importance& importance,
                     const ParameterArena& arena) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const NamedSlice& slice : arena.slices()) {
    if (!slice.task.empty() && slice.task != importance.head_name()) continue;
    tensors.emplace_back(
        Model::file_name(slice, importance.head_name()),
        importance.values.slice(0, slice.offset, slice.offset + slice.size).reshape(slice.shape));
  }
  Metadata metadata{{"format", "holdfast-importance"},
                    {"task", importance.task},
                    {"kind", std::string(name_of(importance.kind))},
                    {"samples", std::to_string(importance.samples)},
                    {"age", std::to_string(importance.age)},
                    {"convention", convention_of(importance.kind)}};
  if (!importance.head.empty()) metadata["head"] = importance.head;
  if (!importance.weights.empty()) metadata["weights"] = importance.weights;
  write_safetensors(path, tensors, metadata);
}

Importance load_importance(const std::filesystem::path& path, const ParameterArena& arena,
                           std::string_view head) {
  return with_file(path, [&](const SafetensorsFile& file) { return read(file, arena, head); });
}

ImportanceCard read_importance_card(const std::filesystem::path& path) {
  return with_file(path, [](const SafetensorsFile& file) { return card_of(file.metadata()); });
}

}  // namespace holdfast
