#include "nn/weights.h"

#include <algorithm>
#include <stdexcept>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"

namespace holdfast {
namespace {

constexpr std::int64_t kMaxIndex = 64 << 20;  // bytes

// A name that comes from a file must not lead out of the model's folder.
bool is_plain_file_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 200 && name[0] != '.' && name[0] != '_' &&
         name[0] != '-' && std::all_of(name.begin(), name.end(), plain) &&
         name.ends_with(".safetensors");
}

bool is_encoder(std::string_view name) {
  return name.starts_with("embeddings.") || name.starts_with("encoder.") ||
         name.starts_with("pooler.");
}

// LayerNorm.gamma and LayerNorm.beta are what checkpoints converted from TensorFlow call weight and
// bias.
std::string modern(std::string name) {
  if (name.ends_with("LayerNorm.gamma")) name.replace(name.size() - 5, 5, "weight");
  if (name.ends_with("LayerNorm.beta")) name.replace(name.size() - 4, 4, "bias");
  return name;
}

}  // namespace

Weights::Weights(const std::filesystem::path& directory, std::vector<std::string>& notices)
    : path_(directory / "model.safetensors") {
  const std::filesystem::path index = directory / "model.safetensors.index.json";
  if (std::filesystem::exists(path_)) {
    add_model_file(files_.emplace_back(SafetensorsFile::open(path_)));
  } else if (std::filesystem::exists(index)) {
    add_shards(index, notices);
  } else if (std::filesystem::exists(directory / "pytorch_model.bin")) {
    fail(
        "is missing; pytorch_model.bin beside it is a pickle, which can run code: convert it to "
        "safetensors");
  } else {
    fail("is missing");
  }
  if (prefixed_ && bare_) {
    fail("is ambiguous: it has encoder tensors with the prefix \"bert.\" and others without");
  }
}

void Weights::fail(const std::string& fact) const {
  throw std::runtime_error(utf8::printable(path_.string()) + ": " + fact);
}

void Weights::add_model_file(const SafetensorsFile& file) {
  const auto format = file.metadata().find("format");
  if (format != file.metadata().end() && format->second.starts_with("holdfast-")) {
    fail("holds no weights but importance, as `holdfast fisher` writes it (format " +
         utf8::printable(format->second) + "): put the model's own file here");
  }
  for (const SafetensorsEntry& entry : file.entries()) {
    const bool prefixed = entry.name.starts_with("bert.");
    const std::string name = modern(prefixed ? entry.name.substr(5) : entry.name);
    if (name == "embeddings.position_ids") continue;
    prefixed_ = prefixed_ || prefixed;
    bare_ = bare_ || (!prefixed && is_encoder(name));
    if (!tensors_.emplace(name, StoredTensor{&file, &entry}).second) {
      fail("is ambiguous: it has \"" + utf8::printable(name) +
           "\" twice, under an old and a new name or in two shards");
    }
  }
}

void Weights::add_shards(const std::filesystem::path& index, std::vector<std::string>& notices) {
  path_ = index;
  const Json json = Json::parse(read_file(index, kMaxIndex), utf8::printable(index.string()));
  const Json& map = json.at("weight_map");
  std::map<std::string, const SafetensorsFile*> shards;
  std::size_t stored = 0;
  std::int64_t bytes = 0;
  for (const auto& [name, shard] : map.items()) {
    if (!is_plain_file_name(shard.as_string())) {
      throw shard.error("must be the plain name of a .safetensors file in the same folder, found " +
                        utf8::printable(shard.dump()));
    }
    const SafetensorsFile*& file = shards[shard.as_string()];
    if (file == nullptr) {
      file = &files_.emplace_back(SafetensorsFile::open(index.parent_path() / shard.as_string()));
      add_model_file(*file);
      stored += file->entries().size();
    }
    const SafetensorsEntry* entry = file->find(name);
    if (entry == nullptr) {
      throw shard.error("is " + utf8::printable(shard.dump()) +
                        ", but that file has no such tensor");
    }
    bytes += entry->end - entry->begin;
  }
  if (stored != map.items().size()) {
    fail("lists " + std::to_string(map.items().size()) + " tensors, but its shards hold " +
         std::to_string(stored));
  }
  const Json* metadata = json.find("metadata");
  const Json* total = metadata == nullptr ? nullptr : metadata->find("total_size");
  if (total != nullptr && (!total->is_integer() || total->as_int64() != bytes)) {
    notices.push_back(utf8::printable(index.string()) + ": total_size is " +
                      utf8::printable(total->dump()) + ", the tensors have " +
                      std::to_string(bytes) + " bytes");
  }
}

void Weights::add_file(const std::filesystem::path& path) {
  const SafetensorsFile& file = files_.emplace_back(SafetensorsFile::open(path));
  for (const SafetensorsEntry& entry : file.entries()) {
    if (!tensors_.emplace(entry.name, StoredTensor{&file, &entry}).second) {
      fail("and " + utf8::printable(path.filename().string()) + " both have \"" +
           utf8::printable(entry.name) + '"');
    }
  }
}

const StoredTensor* Weights::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

void Weights::rename(const std::string& from, const std::string& to) {
  auto node = tensors_.extract(from);
  if (node.empty()) return;
  tensors_.insert_or_assign(to, node.mapped());
}

}  // namespace holdfast
