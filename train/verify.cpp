#include "train/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <optional>
#include <system_error>

#include "base/sha256.h"
#include "base/utf8.h"
#include "train/checkpoint.h"
#include "train/run_line.h"
#include "train/trainer.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

std::string shown(const fs::path& path) { return utf8::printable(path.string()); }

bool is_kind(const Json& line, std::string_view kind) {
  return line.at("kind").as_string() == kind;
}

// What lies in the run's folder and beside it, against what the ledger says of it.
class Contents {
 public:
  Contents(const fs::path& run, const LedgerReader& ledger, Verification& result)
      : run_(run), ledger_(ledger), result_(result) {}

  void check() {
    check_chain();
    check_recipe();
    for (const auto& [name, was] : fingerprints_from(ledger_.line(0).at("files"))) {
      compare_file(name, name, was);
    }
    if (result_.finished) {
      check_model();
    } else if (!changed_ && fs::exists(run_ / "metrics.json")) {
      add({ledger_.where(result_.lines),
           0,
           {},
           "the last line is missing: the run came to its end"});
    }
    for (const std::int64_t step : checkpoint_steps(run_)) {
      try {
        load_checkpoint(run_, step);
      } catch (const std::runtime_error& error) {
        add({shown(checkpoint_folder(run_, step)), 0, {}, error.what()});
      }
    }
  }

 private:
  void add(Finding finding) { result_.findings.push_back(std::move(finding)); }

  // A line that the end of the process has cut short is none of the run's.
  void check_chain() {
    changed_ = ledger_.broken() && !ledger_.cut_short();
    if (changed_) {
      add({ledger_.where(ledger_.size()),
           0,
           {},
           "this line, or the one before it, is not as it was written: the chain is broken"});
    }
  }

  void check_recipe() {
    const std::string was = ledger_.line(0).at("execution").at("recipe_toml").as_string();
    const std::string is = sha256_file(run_ / "recipe.toml");
    if (is != was) {
      add({shown(run_ / "recipe.toml"), 0, {"sha256", was, is}, ""});
    }
  }

  void compare_file(const fs::path& file, const std::string& name, const Fingerprint& was) {
    if (!fs::exists(file)) {
      throw Refused(fmt::format(
          "{}: the run has read this file, and it is not there; verify where the run was started",
          utf8::printable(name)));
    }
    ++result_.files;
    const Fingerprint is = fingerprint(file);
    if (is.bytes != was.bytes) {
      add({utf8::printable(name), 0, {"bytes", was.bytes, is.bytes}, ""});
    } else if (is != was) {
      add({utf8::printable(name), 0, {"sha256", was.sha256, is.sha256}, ""});
    }
  }

  void check_model() {
    const Fingerprints was = fingerprints_from(ledger_.line(ledger_.size() - 1).at("files"));
    const Fingerprints is = fingerprint_folders(run_, {"model", "adapter"});
    for (const auto& [name, file] : was) {
      ++result_.files;
      const auto found = is.find(name);
      const Json now = found == is.end() ? Json() : Json(found->second.sha256);
      if (now != Json(file.sha256)) {
        add({shown(run_ / name), 0, {"sha256", file.sha256, now}, ""});
      }
    }
    for (const auto& [name, file] : is) {
      if (!was.contains(name)) {
        add({shown(run_ / name), 0, {}, "is not of this run"});
      }
    }
  }

  const fs::path& run_;
  const LedgerReader& ledger_;
  Verification& result_;
  bool changed_ = false;  // a line of the ledger
};

// A folder to execute the run in.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "holdfast-verify-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw Refused(fmt::format("{}: {}", shown(fs::temp_directory_path()),
                                std::generic_category().message(errno)));
    }
    path_ = name;
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Takes the lines of the second execution and holds them against the ledger's.
class Comparison {
 public:
  struct Over {};  // thrown when there is nothing more to compare

  Comparison(const LedgerReader& ledger, const VerifyOptions& options, const Hooks& hooks,
             Verification& result)
      : ledger_(ledger), options_(options), user_(hooks), result_(result) {}

  /// The first line to compare.
  void begin_at(std::size_t line) { next_ = line; }

  Hooks hooks() {
    Hooks hooks;
    hooks.progress = [this](const Progress& progress) {
      stop_if_user_asks();
      if (user_.progress) {
        user_.progress(progress);
      }
    };
    hooks.stop = &stop_;
    return hooks;
  }

  void line(std::string_view kind, const Json& members) {
    stop_if_user_asks();
    Json is = Json::object({{"kind", kind}});
    for (const auto& [key, value] : members.items()) {
      is.add(key, value);
    }
    const Json was = ledger_.line(next_);
    if (const auto difference = first_difference(was, is)) {
      const Json* step = was.find("step");
      result_.findings.push_back({ledger_.where(next_), step ? step->as_int64() : 0, *difference,
                                  interval(difference->member)});
      throw Over();
    }
    const std::int64_t step = kind == "step" ? is.at("step").as_int64() : 0;
    count(kind, step, is);
    if (++next_ == ledger_.size() || (options_.to > 0 && step == options_.to)) {
      throw Over();
    }
    // Where Ctrl-C ended the run, it ends here, too.
    const Json next = ledger_.line(next_);
    if (is_kind(next, "end") && next.at("interrupted").as_bool()) {
      if (step == 0) {  // somewhere between two lines
        throw Over();
      }
      stop_ = true;
    }
  }

 private:
  void stop_if_user_asks() {
    if (user_.stop && *user_.stop) {
      result_.interrupted = true;
      throw Over();
    }
  }

  void count(std::string_view kind, std::int64_t step, const Json& line) {
    result_.end = kind == "end";
    if (step > 0) {
      result_.first = result_.first > 0 ? result_.first : step;
      result_.last = step;
      hashed_ = line.find("weights") ? step : hashed_;
    }
  }

  // A difference in a hash may have come in any step since the one before.
  std::string interval(const std::string& member) const {
    return member == "weights" || member == "optimizer"
               ? fmt::format("the last equal hash is that of step {}", hashed_)
               : "";
  }

  const LedgerReader& ledger_;
  const VerifyOptions& options_;
  const Hooks& user_;
  Verification& result_;
  std::size_t next_ = 0;
  std::int64_t hashed_ = 0;
  std::atomic<bool> stop_ = false;
};

// Throws Refused unless this machine can give the same bits. What a run's bits do not depend on,
// the instruction set and the libraries of portable numerics, is no member of its line.
void check_machine(const Json& was, const Recipe& recipe, const Inputs& inputs) {
  const Json is = run_line(recipe, inputs, was.at("hash_every").as_int64());
  const auto only = [](const Json& line, const char* member) {
    const Json* value = line.find(member);
    return value ? Json::object({{member, *value}}) : Json::object();
  };
  for (const char* member : {"holdfast", "isa", "libraries"}) {
    if (const auto other = first_difference(only(was, member), only(is, member))) {
      throw Refused("the run cannot be executed again to the same bits here: " + other->text());
    }
  }
}

// The latest checkpoint at or before step `from` that the ledger knows; 0: the start.
std::int64_t start_for(const fs::path& run, const LedgerReader& ledger, std::int64_t from,
                       std::size_t& next_line) {
  std::vector<std::int64_t> steps = checkpoint_steps(run);
  std::reverse(steps.begin(), steps.end());
  for (const std::int64_t step : steps) {
    if (step < from) {
      const auto line = ledger.find(load_checkpoint(run, step).ledger);
      if (line && *line + 1 < ledger.size()) {
        next_line = *line + 1;
        return step;
      }
    }
  }
  return 0;
}

void execute(const fs::path& run, const LedgerReader& ledger, const VerifyOptions& options,
             const Hooks& hooks, Verification& result) {
  const ScratchFolder scratch;
  Recipe recipe = load_recipe(run / "recipe.toml");
  recipe.output = scratch.path() / "run";
  recipe.threads = options.threads;
  const Inputs inputs = open_inputs(recipe, hooks);
  check_machine(ledger.line(0), recipe, inputs);
  Comparison comparison(ledger, options, hooks, result);
  std::size_t next_line = 0;
  Execution execution;
  execution.from = run;
  execution.from_step = start_for(run, ledger, options.from, next_line);
  execution.lines = [&](std::string_view kind, const Json& members) {
    comparison.line(kind, members);
  };
  comparison.begin_at(next_line);
  try {
    run_on(inputs, recipe, comparison.hooks(), execution);
  } catch (const Comparison::Over&) {
  }
}

void check_steps(const VerifyOptions& options, const LedgerReader& ledger) {
  std::int64_t last = 0;
  for (std::size_t i = ledger.size(); i-- > 0 && last == 0;) {
    const Json line = ledger.line(i);
    last = is_kind(line, "step") ? line.at("step").as_int64() : 0;
  }
  if (options.from > last || options.to > last) {
    throw Refused(fmt::format("the run has {} steps, and was to be verified {} step {}", last,
                              options.from > last ? "from" : "to",
                              std::max(options.from, options.to)));
  }
  if (options.to > 0 && options.from > options.to) {
    throw Refused(fmt::format("from step {} to step {} there is nothing to verify", options.from,
                              options.to));
  }
}

}  // namespace

std::string Finding::text() const {
  const std::string differs = difference.member.empty() ? "" : difference.text();
  return fmt::format("{}: {}{}{}{}", where, step > 0 ? fmt::format("step {}: ", step) : "", differs,
                     differs.empty() || fact.empty() ? "" : "; ", fact);
}

Verification verify_run(const fs::path& run, const VerifyOptions& options, const Hooks& hooks) {
  if (!fs::exists(run / "ledger.jsonl")) {
    throw Refused(fmt::format("{}: holds no run: there is no ledger.jsonl", shown(run)));
  }
  Verification result;
  try {
    const LedgerReader ledger(run / "ledger.jsonl");
    result.lines = ledger.size();
    if (ledger.size() == 0) {
      result.findings.push_back({ledger.where(0), 0, {}, "is not as a run wrote it"});
      return result;
    }
    result.chain = ledger.place(ledger.size() - 1).chain;
    if (!is_kind(ledger.line(0), "run")) {
      throw Refused(fmt::format("{}: is the folder of `{}`, not of a run: verify one of its arms",
                                shown(run), ledger.line(0).at("kind").as_string()));
    }
    check_steps(options, ledger);
    result.finished = is_kind(ledger.line(ledger.size() - 1), "end");
    Contents(run, ledger, result).check();
    if (result.equal()) {
      execute(run, ledger, options, hooks, result);
    }
  } catch (const Refused&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw Refused(error.what());
  }
  return result;
}

}  // namespace holdfast
