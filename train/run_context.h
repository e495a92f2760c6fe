// What the parts of one run work on together.
#pragma once

#include <string>

#include "train/fisher.h"
#include "train/result.h"

namespace holdfast {

struct RunContext {
  Model& model;  // that is trained
  const Inputs& inputs;
  const Recipe& recipe;  // resolved
  const Hooks& hooks;
  RunResult& result;

  std::uint64_t seed() const { return static_cast<std::uint64_t>(recipe.seed); }
  std::filesystem::path output() const { return recipe.output; }

  void notice(const std::string& line) const {
    result.notices.push_back(line);
    if (hooks.notice) {
      hooks.notice(line);
    }
  }
  /// A way out, too: throws Stopped.
  void tell(const Progress& progress) const {
    tell_always(progress);
    stop_if_asked(hooks);
  }
  void tell_always(const Progress& progress) const {
    if (hooks.progress) {
      hooks.progress(progress);
    }
  }
  /// Of a phase that counts texts.
  ImportanceProgress texts(const char* phase, const std::string& detail) const {
    return [this, phase, detail](std::int64_t done, std::int64_t total) {
      tell({.phase = phase, .detail = detail, .done = done, .total = total});
    };
  }
};

}  // namespace holdfast
