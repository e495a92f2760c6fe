#include "train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "base/file.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "nn/safetensors.h"
#include "train/metrics.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTensors = "state.safetensors";
constexpr const char* kState = "state.json";
constexpr const char* kManifest = "manifest.json";
constexpr std::string_view kPrefix = "step-";
constexpr std::int64_t kMaxStateBytes = std::int64_t{1} << 32;
constexpr std::int64_t kMaxManifestBytes = 1 << 16;

fs::path folder_of(const fs::path& output) { return output / "checkpoints"; }

std::string hash_file(const fs::path& path) {
  const File file(path);
  Hasher hasher;
  std::vector<std::byte> piece(1 << 20);
  for (std::int64_t at = 0; at < file.size(); at += std::ssize(piece)) {
    const auto part = std::span(piece).first(
        static_cast<std::size_t>(std::min<std::int64_t>(std::ssize(piece), file.size() - at)));
    file.read(at, part);
    hasher.update(part);
  }
  return to_hex(hasher.digest());
}

Json state_json(const Checkpoint& checkpoint) {
  const auto& steps = checkpoint.range_steps;
  Json state = Json::object({{"step", checkpoint.step()},
                             {"ledger_bytes", checkpoint.ledger.bytes},
                             {"ledger_chain", checkpoint.ledger.chain},
                             {"range_steps", Json::list({steps.begin(), steps.end()})}});
  if (checkpoint.best) {
    const BestModel::State& best = *checkpoint.best;
    state.add("best", Json::object({{"step", best.step},
                                    {"stale", best.stale},
                                    {"kept", best.kept},
                                    {"gained", best.gained},
                                    {"worst", best.worst}}));
  }
  state.add("result", result_to_json(checkpoint.result));
  return state;
}

void write_state(const fs::path& folder, const Checkpoint& checkpoint) {
  std::vector<std::pair<std::string, Tensor>> tensors = {
      {"weights", checkpoint.weights},
      {"first_moment", checkpoint.first_moment},
      {"second_moment", checkpoint.second_moment}};
  if (checkpoint.path.defined()) {
    tensors.emplace_back("path", checkpoint.path);
  }
  if (checkpoint.best && checkpoint.best->step > 0) {
    tensors.emplace_back("best", checkpoint.best->weights);
  }
  write_safetensors(folder / kTensors, tensors, {{"format", "holdfast-checkpoint"}});
  write_file(folder / kState, state_json(checkpoint).dump() + '\n');
  Json manifest = Json::object();
  for (const char* name : {kTensors, kState}) {
    manifest.add(name, hash_file(folder / name));
  }
  write_file(folder / kManifest, manifest.dump(2) + '\n');
}

// Without its manifest a folder that is only half gone is no checkpoint any more.
void remove_checkpoint(const fs::path& folder) {
  fs::remove(folder / kManifest);
  fs::remove_all(folder);
}

// What DirectoryWriter had begun when an earlier process was killed.
void remove_unfinished(const fs::path& checkpoints) {
  std::vector<fs::path> unfinished;
  for (const fs::directory_entry& entry : fs::directory_iterator(checkpoints)) {
    if (entry.path().filename().string().starts_with(".holdfast-")) {
      unfinished.push_back(entry.path());
    }
  }
  for (const fs::path& path : unfinished) {
    fs::remove_all(path);
  }
}

}  // namespace

fs::path checkpoint_folder(const fs::path& output, std::int64_t step) {
  return folder_of(output) / fmt::format("{}{:08}", kPrefix, step);
}

std::vector<std::int64_t> checkpoint_steps(const fs::path& output) {
  std::vector<std::int64_t> steps;
  std::error_code none;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_of(output), none)) {
    const std::string name = entry.path().filename().string();
    std::int64_t step = 0;
    const char* end = name.data() + name.size();
    if (name.starts_with(kPrefix) &&
        std::from_chars(name.data() + kPrefix.size(), end, step).ptr == end &&
        checkpoint_folder(output, step).filename() == name) {
      steps.push_back(step);
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

void save_checkpoint(const fs::path& output, const Checkpoint& checkpoint, std::int64_t keep) {
  fs::create_directories(folder_of(output));
  DirectoryWriter folder(checkpoint_folder(output, checkpoint.step()));
  write_state(folder.temporary(), checkpoint);
  folder.commit();
  remove_unfinished(folder_of(output));
  const std::vector<std::int64_t> steps = checkpoint_steps(output);
  for (std::size_t i = 0; i + static_cast<std::size_t>(keep) < steps.size(); ++i) {
    remove_checkpoint(checkpoint_folder(output, steps[i]));
  }
}

void remove_checkpoints_after(const fs::path& output, std::int64_t step) {
  for (const std::int64_t other : checkpoint_steps(output)) {
    if (other > step) {
      remove_checkpoint(checkpoint_folder(output, other));
    }
  }
}

void check_checkpoint(const fs::path& output, std::int64_t step) {
  const fs::path folder = checkpoint_folder(output, step);
  const fs::path file = folder / kManifest;
  const Json manifest = Json::parse(read_file(file, kMaxManifestBytes), file.string());
  for (const char* name : {kTensors, kState}) {
    if (hash_file(folder / name) != manifest.at(name).as_string()) {
      throw std::runtime_error(
          fmt::format("{}: is not as it was written", utf8::printable((folder / name).string())));
    }
  }
}

Checkpoint load_checkpoint(const fs::path& output, std::int64_t step) {
  check_checkpoint(output, step);
  const fs::path file = checkpoint_folder(output, step) / kState;
  const Json state = Json::parse(read_file(file, kMaxStateBytes), file.string());
  Checkpoint checkpoint;
  for (const Json& steps : state.at("range_steps").array()) {
    checkpoint.range_steps.push_back(steps.as_int64());
  }
  if (const Json* best = state.find("best")) {
    checkpoint.best = {best->at("step").as_int64(),   best->at("stale").as_int64(),
                       best->at("kept").as_bool(),    best->at("gained").as_double(),
                       best->at("worst").as_double(), {}};
  }
  checkpoint.ledger = {state.at("ledger_bytes").as_int64(), state.at("ledger_chain").as_string()};
  checkpoint.result = result_from_json(state.at("result"));
  if (state.at("step").as_int64() != step || checkpoint.step() != step) {
    throw std::runtime_error(fmt::format("{}: is of step {}, not of its folder's",
                                         utf8::printable(file.string()), checkpoint.step()));
  }
  return checkpoint;
}

void load_tensors(const fs::path& output, Checkpoint& checkpoint) {
  const fs::path path = checkpoint_folder(output, checkpoint.step()) / kTensors;
  const SafetensorsFile file = SafetensorsFile::open(path);
  const auto read = [&](const char* name) {
    const SafetensorsEntry* entry = file.find(name);
    return entry ? file.read(*entry, entry->dtype == "F64" ? DType::f64 : DType::f32) : Tensor();
  };
  checkpoint.weights = read("weights");
  checkpoint.first_moment = read("first_moment");
  checkpoint.second_moment = read("second_moment");
  checkpoint.path = read("path");
  if (checkpoint.best) {
    checkpoint.best->weights = read("best");
  }
}

}  // namespace holdfast
