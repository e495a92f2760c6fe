#include "train/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <optional>
#include <system_error>

#include "base/utf8.h"
#include "train/checkpoint.h"
#include "train/run_line.h"
#include "train/trainer.h"
#include "train/verify_folder.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

std::string shown(const fs::path& path) { return utf8::printable(path.string()); }

bool is_kind(const Json& line, std::string_view kind) {
  return line.at("kind").as_string() == kind;
}

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
    const bool ends = is_kind(next, "save") || is_kind(next, "end");
    if (ends && next.at("interrupted").as_bool() && !stop_) {
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
    result_.end = kind == "save" || kind == "end";
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
      throw Refused(other->text());
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
  Inputs inputs = open_inputs(recipe, hooks);
  if (ledger.line(0).find("tested")) {  // a point of `search`
    inputs.leave_out_tests();
  }
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

// Empty unless the run has no such steps.
std::string lacks_steps(const VerifyOptions& options, std::int64_t last) {
  return options.from <= last && options.to <= last
             ? ""
             : fmt::format("the run has {} steps, and was to be verified {} step {}", last,
                           options.from > last ? "from" : "to", std::max(options.from, options.to));
}

LedgerReader read_ledger(const fs::path& run) {
  try {
    return LedgerReader(run / "ledger.jsonl");
  } catch (const std::runtime_error& error) {
    throw Refused(error.what());
  }
}

Account account_of(const fs::path& run, const LedgerReader& ledger, Verification& result) {
  try {
    if (ledger.size() == 0 && (!ledger.broken() || ledger.cut_short())) {
      result.findings.push_back(finding_at(ledger.where(0), "holds no line of a run"));
    }
    return read_account(ledger, result);
  } catch (const Refused& error) {
    throw Refused(fmt::format("{}: {}", shown(run), error.what()));
  }
}

// The chain that somebody has noted down.
void check_noted(const LedgerReader& ledger, const std::string& noted, Verification& result) {
  if (noted.empty() || noted == result.chain) {
    return;
  }
  std::string fact;
  for (std::size_t i = 0; i < ledger.size(); ++i) {
    if (ledger.place(i).chain == noted) {
      fact = fmt::format("that is line {}'s: what follows it was not there then", i + 1);
    }
  }
  const std::size_t last = std::max<std::size_t>(ledger.size(), 1) - 1;
  const Json is = result.chain.empty() ? Json() : Json(result.chain);
  result.findings.push_back({ledger.where(last), 0, {"chain", noted, is}, fact});
}

}  // namespace

std::string Finding::text() const {
  const std::string differs = difference.member.empty() ? "" : difference.text();
  return fmt::format("{}: {}{}{}{}", where, step > 0 ? fmt::format("step {}: ", step) : "", differs,
                     differs.empty() || fact.empty() ? "" : "; ", fact);
}

void Verification::refuse(const std::string& why) {
  if (refusal.empty()) {
    refusal = why;
  }
}

Verification verify_run(const fs::path& run, const VerifyOptions& options, const Hooks& hooks) {
  if (options.to > 0 && options.from > options.to) {
    throw Refused(fmt::format("from step {} to step {} there is nothing to verify", options.from,
                              options.to));
  }
  std::error_code error;
  if (!fs::exists(run / "ledger.jsonl", error)) {
    throw Refused(fmt::format("{}: holds no run: there is no ledger.jsonl", shown(run)));
  }
  Verification result;
  const LedgerReader ledger = read_ledger(run);
  const Account account = account_of(run, ledger, result);
  check_noted(ledger, options.chain, result);
  check_folder(run, ledger, account, result);
  if (!result.findings.empty() || !result.refusal.empty() || !options.execute) {
    return result;
  }
  if (const std::string lacks = lacks_steps(options, account.last_step); !lacks.empty()) {
    result.refuse(lacks);
    return result;
  }
  try {
    execute(run, ledger, options, hooks, result);
  } catch (const std::runtime_error& why) {
    result.refuse(fmt::format("steps cannot be executed here: {}", why.what()));
  }
  return result;
}

}  // namespace holdfast
