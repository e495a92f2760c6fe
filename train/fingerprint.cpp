#include "train/fingerprint.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/file.h"
#include "base/sha256.h"
#include "train/dataset.h"
#include "train/output.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

// Whether a model folder's file of this name may be read (nn/model_files.cpp, tokenizer).
bool is_read(const std::string& name) {
  constexpr std::array<std::string_view, 8> known = {
      "config.json",       "holdfast.json",      "model.safetensors.index.json",
      "vocab.txt",         "tokenizer.json",     "tokenizer_config.json",
      "added_tokens.json", "adapter_config.json"};
  return name.ends_with(".safetensors") || std::ranges::find(known, name) != known.end();
}

}  // namespace

Fingerprint fingerprint(const fs::path& file) { return {File(file).size(), sha256_file(file)}; }

Fingerprints fingerprint_inputs(const Recipe& recipe, const Inputs& inputs) {
  Fingerprints files;
  const auto add = [&](const fs::path& file) {
    if (!file.empty() && !files.contains(file.string())) {
      files[file.string()] = fingerprint(file);
    }
  };
  for (const fs::directory_entry& entry : fs::directory_iterator(recipe.model)) {
    if (is_read(entry.path().filename().string())) {
      add(entry.path());
    }
  }
  const auto add_task = [&](const DataRecipe& data) {
    for (const std::string& file : {data.train, data.valid, data.test}) {
      add(file);
    }
  };
  add_task(recipe.fresh);
  std::for_each(recipe.old.begin(), recipe.old.end(), add_task);
  for (const TaskData& task : inputs.tasks) {
    add(task.left_memory);
    add(task.left_importance);
    add(task.importance);
  }
  add(recipe.replay ? recipe.replay->memory : "");
  add(recipe.augment ? recipe.augment->synonyms : "");
  return files;
}

Fingerprints fingerprint_folder(const fs::path& folder, const std::string& name) {
  Fingerprints files;
  for (const std::string& file : files_below(folder)) {
    files[name + '/' + file] = fingerprint(folder / file);
  }
  return files;
}

Fingerprints fingerprint_files(const fs::path& root, const std::vector<std::string>& names,
                               const Fingerprints& known) {
  Fingerprints files;
  for (const std::string& name : names) {
    const auto at = known.find(name);
    files[name] = at == known.end() ? fingerprint(root / name) : at->second;
  }
  return files;
}

Json to_json(const Fingerprints& files) {
  Json json = Json::object();
  for (const auto& [name, file] : files) {
    json.add(name, Json::object({{"bytes", file.bytes}, {"sha256", file.sha256}}));
  }
  return json;
}

Fingerprints fingerprints_from(const Json& json) {
  Fingerprints files;
  for (const auto& [name, file] : json.items()) {
    files[name] = {file.at("bytes").as_int64(), file.at("sha256").as_string()};
  }
  return files;
}

}  // namespace holdfast
