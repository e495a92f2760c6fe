#include "train/output.h"

#include <algorithm>
#include <stdexcept>
#include <system_error>

#include "base/utf8.h"
#include "train/progress.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLock = ".holdfast.lock";  // also the mark of a folder that is ours

std::runtime_error refuse(const fs::path& output, const std::string& fact) {
  return std::runtime_error("output " + utf8::printable(output.string()) + ' ' + fact);
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

Descriptor begin_output(const fs::path& output) {
  fs::create_directories(output);
  Descriptor lock = try_lock(output / kLock);
  if (lock.get() < 0) {
    throw Refused("output " + utf8::printable(output.string()) +
                  " is in use by another run: wait for its end, or choose another folder");
  }
  return lock;
}

void clear_output(const fs::path& output) {
  for (const char* name : {"metrics.json", "result.json", "recipe.toml", "replay.csv", "memory.csv",
                           "report.html", "ledger.jsonl"}) {
    fs::remove(output / name);
  }
  fs::remove_all(output / "adapter");
  for (const fs::directory_entry& entry : fs::directory_iterator(output)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("importance.") && name.ends_with(".safetensors")) {
      fs::remove(entry.path());
    }
  }
}

}  // namespace holdfast
