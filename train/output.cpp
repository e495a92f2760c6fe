#include "train/output.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "base/utf8.h"
#include "train/progress.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLock = ".holdfast.lock";  // also the mark of a folder that is ours

std::runtime_error refuse(const fs::path& output, const std::string& fact) {
  return std::runtime_error("output " + utf8::printable(output.string()) + ' ' + fact);
}

std::runtime_error not_looked_into(const fs::path& folder, const std::error_code& error) {
  return std::runtime_error(utf8::printable(folder.string()) +
                            ": cannot be looked into: " + error.message());
}

// Files of a run but for those in folders, recipe.toml and the ledger.
constexpr std::array kResults = {"metrics.json", "result.json", "replay.csv",
                                 "memory.csv",   "report.html", "profile.json"};

bool is_importance(const std::string& name) {
  return name.starts_with("importance.") && name.ends_with(".safetensors");
}

/// Whether `path` is `folder` or lies somewhere below it.
bool lies_in(const fs::path& path, const fs::path& folder) {
  const fs::path inner = fs::weakly_canonical(path), outer = fs::weakly_canonical(folder);
  return std::ranges::mismatch(outer, inner).in1 == outer.end();
}

}  // namespace

void check_output(const fs::path& output, const fs::path& model) {
  std::error_code error;
  const fs::file_status status = fs::status(output, error);
  if (!fs::exists(status)) {
    probe_folder(output);
    return;
  }
  if (!fs::is_directory(status)) {
    throw refuse(output, "is not a folder");
  }
  if (lies_in(model, output)) {
    throw refuse(output, "would overwrite the model that is read: choose another folder");
  }
  const bool earlier = fs::exists(output / "ledger.jsonl") || fs::exists(output / "metrics.json") ||
                       fs::exists(output / kLock);
  if (!earlier && !fs::is_empty(output)) {
    throw refuse(output, "is not empty and holds no earlier run: choose another folder");
  }
  probe_folder(output);
}

OutputFolder::OutputFolder(fs::path path) : path_(std::move(path)) {
  for (fs::path at = path_; !at.empty() && !fs::exists(at); at = at.parent_path()) {
    made_.push_back(at);
  }
  fs::create_directories(path_);
  made_lock_ = !fs::exists(path_ / kLock);
  lock_ = try_lock(path_ / kLock);
  if (lock_.get() < 0) {
    throw Refused("output " + utf8::printable(path_.string()) +
                  " is in use by another run: wait for its end, or choose another folder");
  }
}

OutputFolder::OutputFolder(OutputFolder&& other) noexcept { *this = std::move(other); }

OutputFolder& OutputFolder::operator=(OutputFolder&& other) noexcept {
  path_.swap(other.path_);
  made_.swap(other.made_);
  std::swap(lock_, other.lock_);
  std::swap(made_lock_, other.made_lock_);
  return *this;
}

OutputFolder::~OutputFolder() {
  std::error_code ignored;
  const auto entries = std::distance(fs::directory_iterator(path_, ignored), {});
  if (lock_.get() < 0 || !made_lock_ || entries != 1) {
    return;
  }
  fs::remove(path_ / kLock, ignored);  // while it is held: nobody else has it
  for (const fs::path& folder : made_) {
    fs::remove(folder, ignored);  // empty ones alone
  }
}

std::vector<std::string> files_below(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    return files;
  }
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code none;
    if (at->is_regular_file(none)) {
      files.push_back(at->path().lexically_relative(folder).string());
    }
  }
  if (error) {
    throw not_looked_into(folder, error);
  }
  std::ranges::sort(files);
  return files;
}

std::vector<std::string> files_of_run(const fs::path& output) {
  std::vector<std::string> files;
  std::error_code error;
  for (const char* folder : {"adapter", "checkpoints", "model"}) {
    if (fs::is_regular_file(output / folder, error)) {
      files.emplace_back(folder);
    }
    for (const std::string& file : files_below(output / folder)) {
      if (!file.starts_with(".holdfast-")) {  // one that was begun when its process ended
        files.push_back(std::string(folder) + '/' + file);
      }
    }
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(output, error)) {
    const std::string name = entry.path().filename().string();
    std::error_code none;
    if ((is_importance(name) || std::ranges::find(kResults, name) != kResults.end()) &&
        entry.is_regular_file(none)) {
      files.push_back(name);
    }
  }
  if (error) {
    throw not_looked_into(output, error);
  }
  std::ranges::sort(files);
  return files;
}

void clear_output(const fs::path& output) {
  clear_results(output);
  fs::remove(output / "ledger.jsonl");
  fs::remove(output / "recipe.toml");
  fs::remove_all(output / "checkpoints");
}

void clear_results(const fs::path& output) {
  for (const char* name : kResults) {
    fs::remove(output / name);
  }
  fs::remove_all(output / "adapter");
  for (const fs::directory_entry& entry : fs::directory_iterator(output)) {
    const std::string name = entry.path().filename().string();
    if (is_importance(name)) {
      fs::remove(entry.path());
    }
  }
}

}  // namespace holdfast
