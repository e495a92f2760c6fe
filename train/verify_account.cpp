#include "train/verify_account.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/utf8.h"
#include "train/progress.h"

namespace holdfast {
namespace {

// Takes the lines in their order. What it throws is the fact about the line.
class Lines {
 public:
  explicit Lines(Account& account) : account_(account) {}

  void take(const Json& line) {
    const std::string& kind = line.at("kind").as_string();
    if (ended_) {
      throw line.error("comes after the last line");
    }
    if ((kind == "run") != first_ || (account_.saved && kind != "end")) {
      throw line.error(fmt::format("is of kind `{}`, which cannot be here", utf8::printable(kind)));
    }
    first_ = false;
    if (kind == "run") {
      begin(line);
    } else if (kind == "step") {
      step(line.at("step").as_int64(), line);
    } else if (kind == "save") {
      line.at("interrupted").as_bool();
      account_.saved = fingerprints_from(line.at("files"));
    } else if (kind == "end") {
      end(line);
    } else if (kind != "evaluation" && kind != "action") {
      throw line.error(fmt::format("is of kind `{}`, which no run writes", utf8::printable(kind)));
    }
    const Json* execution = line.find("execution");
    if (const Json* found = execution ? execution->find("found") : nullptr) {
      account_.found = fingerprints_from(*found);
    }
  }

 private:
  void begin(const Json& line) {
    line.at("hash_every").as_int64();
    account_.recipe = line.at("execution").at("recipe_toml").as_string();
    account_.read = fingerprints_from(line.at("files"));
  }

  void step(std::int64_t number, const Json& line) {
    if (number != account_.last_step + 1) {
      throw line.error(fmt::format("is of step {}, after step {}", number, account_.last_step));
    }
    account_.last_step = number;
  }

  void end(const Json& line) {
    if (!account_.saved) {
      throw line.error("comes without the line `save` before it");
    }
    line.at("interrupted").as_bool();
    account_.left = fingerprints_from(line.at("execution").at("files"));
    ended_ = true;
  }

  Account& account_;
  bool first_ = true, ended_ = false;
};

// The ledger of a command that runs several is none to verify.
void refuse_arms(const Json& first) {
  const Json* kind = first.find("kind");
  for (const char* command : {"compare", "ablate", "search"}) {
    if (kind && *kind == Json(command)) {
      throw Refused(
          fmt::format("is the folder of `{}`, not of a run: verify one of its arms", command));
    }
  }
}

// A line that the end of the process has cut short is none of the run's; after the last there can
// be none.
void check_chain(const LedgerReader& ledger, const Account& account, Verification& result) {
  if (!ledger.broken()) {
    return;
  }
  if (!ledger.cut_short()) {
    result.broken = true;
    result.unread = ledger.unread();
    result.findings.push_back(finding_at(
        ledger.where(ledger.size()),
        "this line, or the one before it, is not as it was written: the chain is broken"));
  } else if (account.left) {
    result.findings.push_back(
        finding_at(ledger.where(ledger.size()), "comes after the last line: no run wrote it"));
  }
}

}  // namespace

Finding finding_at(const std::string& where, const std::string& fact, std::int64_t step) {
  const bool again = fact.starts_with(where) && fact.size() > where.size() + 1;
  const std::size_t name = again ? where.size() : 0;
  const std::size_t fact_at = again ? fact.find_first_not_of(":/ ", name) : 0;
  return {where, step, {}, fact.substr(fact_at)};
}

Account read_account(const LedgerReader& ledger, Verification& result) {
  Account account;
  Lines lines(account);
  account.whole = ledger.size() > 0 && (!ledger.broken() || ledger.cut_short());
  for (std::size_t i = 0; i < ledger.size(); ++i) {
    try {
      const Json line = ledger.line(i);
      if (i == 0) {
        refuse_arms(line);
      }
      lines.take(line);
    } catch (const Refused&) {
      throw;
    } catch (const std::runtime_error& error) {
      Finding finding = finding_at(ledger.where(i), error.what());
      finding.fact = "is not as a run wrote it: " + finding.fact;
      result.findings.push_back(std::move(finding));
      account.whole = false;
      break;
    }
  }
  check_chain(ledger, account, result);
  result.lines = ledger.size();
  result.chain = ledger.size() > 0 ? ledger.place(ledger.size() - 1).chain : "";
  result.finished = account.left.has_value();
  return account;
}

}  // namespace holdfast
