#include "train/resume.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "train/progress.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

void check_same_run(const LedgerReader& ledger, const Json& run_line, const std::string& shown) {
  const Json first = ledger.line(0);
  if (first.at("kind").as_string() != "run") {
    throw Refused(fmt::format("output {} holds what `{}` has left, not a run that can be resumed",
                              shown, utf8::printable(first.at("kind").as_string())));
  }
  Json now = Json::object({{"kind", "run"}});
  for (const auto& [key, value] : run_line.items()) {
    now.add(key, value);
  }
  if (const auto difference = first_difference(first, now)) {
    throw Refused(fmt::format(
        "output {} holds another run: {}; resume what it was begun with, or leave out --resume to "
        "begin anew",
        shown, difference->text()));
  }
  const Json last = ledger.line(ledger.size() - 1);
  if (last.at("kind").as_string() == "end" && !last.at("interrupted").as_bool()) {
    throw Refused(fmt::format("output {} holds the whole run: there is nothing to resume", shown));
  }
}

}  // namespace

std::optional<Checkpoint> find_checkpoint(const fs::path& output, const Json& run_line,
                                          const std::function<void(const std::string&)>& notice) {
  const fs::path file = output / "ledger.jsonl";
  const std::string shown = utf8::printable(output.string());
  std::optional<LedgerReader> ledger;
  if (fs::exists(file)) {
    ledger.emplace(file);
  }
  if (ledger && ledger->size() == 0 && !checkpoint_steps(output).empty()) {
    throw Refused(fmt::format(
        "{}:1: is not as it was written: nothing tells what the checkpoints beside it belong to",
        utf8::printable(file.string())));
  }
  if (!ledger || ledger->size() == 0) {
    notice(fmt::format("{} holds no run to resume: it begins at its first step", shown));
    return std::nullopt;
  }
  check_same_run(*ledger, run_line, shown);
  std::vector<std::int64_t> steps = checkpoint_steps(output);
  std::reverse(steps.begin(), steps.end());
  for (const std::int64_t step : steps) {
    try {
      Checkpoint checkpoint = load_checkpoint(output, step);
      if (ledger->find(checkpoint.ledger)) {
        notice(fmt::format("{} goes on after step {}", shown, step));
        return checkpoint;
      }
      notice(fmt::format("the checkpoint of step {} is passed over: the ledger has no such line",
                         step));
    } catch (const std::runtime_error& error) {
      notice(fmt::format("the checkpoint of step {} is passed over: {}", step, error.what()));
    }
  }
  notice(fmt::format("{} holds no checkpoint yet: the run begins at its first step", shown));
  return std::nullopt;
}

}  // namespace holdfast
