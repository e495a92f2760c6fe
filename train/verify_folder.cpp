#include "train/verify_folder.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/sha256.h"
#include "base/utf8.h"
#include "train/checkpoint.h"
#include "train/output.h"
#include "train/report_parts.h"

namespace holdfast {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMaxReportBytes = std::int64_t{1} << 30;
constexpr const char* kReport = "report.html";

std::string shown(const fs::path& path) { return utf8::printable(path.string()); }

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

bool lies_in(const std::string& file, const std::string& folder) {
  return file == folder || file.starts_with(folder + '/');
}

Fingerprints those_in(const Fingerprints& files, const std::string& folder) {
  Fingerprints out;
  std::ranges::copy_if(files, std::inserter(out, out.end()),
                       [&](const auto& file) { return lies_in(file.first, folder); });
  return out;
}

class Contents {
 public:
  Contents(const fs::path& run, const LedgerReader& ledger, const Account& account,
           Verification& result)
      : run_(run), ledger_(ledger), account_(account), result_(result) {}

  void check() {
    if (!account_.recipe.empty()) {
      look([&] { check_recipe(); });
    }
    for (const auto& [name, was] : account_.read) {
      look([&] { check_read(name, was); });
    }
    if (account_.left) {
      check_left(*account_.left);
    } else if (account_.whole) {
      look([&] { check_unfinished(); });
    }
    for (const std::int64_t step : checkpoint_steps(run_)) {
      check_one(step);
    }
  }

 private:
  void add(Finding finding) { result_.findings.push_back(std::move(finding)); }

  // What cannot be read is no finding: nobody knows what is in it.
  template <class Look>
  void look(const Look& body) {
    try {
      body();
    } catch (const std::runtime_error& error) {
      result_.refuse(error.what());
    }
  }

  void compare(const std::string& where, const Fingerprint& was, const Fingerprint& is) {
    ++result_.files;
    if (is.bytes != was.bytes) {
      add({where, 0, {"bytes", was.bytes, is.bytes}, ""});
    } else if (is != was) {
      add({where, 0, {"sha256", was.sha256, is.sha256}, ""});
    }
  }

  void absent(const std::string& name, const std::string& was) {
    add({shown(run_ / name), 0, {"sha256", was, Json()}, ""});
  }

  void check_recipe() {
    if (!is_there(run_ / "recipe.toml")) {
      absent("recipe.toml", account_.recipe);
      return;
    }
    ++result_.files;
    const std::string is = sha256_file(run_ / "recipe.toml");
    if (is != account_.recipe) {
      add({shown(run_ / "recipe.toml"), 0, {"sha256", account_.recipe, is}, ""});
    }
  }

  void check_read(const std::string& name, const Fingerprint& was) {
    if (!is_there(name)) {
      throw std::runtime_error(fmt::format(
          "{}: the run has read this file, and it is not there; verify where the run was started",
          utf8::printable(name)));
    }
    compare(utf8::printable(name), was, fingerprint(name));
  }

  // Everything of a run that ended. Checkpoints may have been taken away to save space.
  void check_left(const Fingerprints& was) {
    std::vector<std::string> is;
    look([&] { is = files_of_run(run_); });
    for (const auto& [name, file] : was) {
      if (std::ranges::binary_search(is, name)) {
        look([&, &name = name, &file = file] { check_file(name, file); });
      } else if (!lies_in(name, "checkpoints")) {
        absent(name, file.sha256);
      }
    }
    for (const std::string& name : is) {
      if (!was.contains(name) && !lies_in(name, "checkpoints")) {
        add(finding_at(shown(run_ / name), "is not of this run"));
      }
    }
  }

  void check_file(const std::string& name, const Fingerprint& was) {
    if (name != kReport) {
      compare(shown(run_ / name), was, fingerprint(run_ / name));
      return;
    }
    const std::string page = read_file(run_ / name, kMaxReportBytes);
    const std::string plain = report::with_chain(page, report::no_chain());
    compare(shown(run_ / name), was, {std::ssize(plain), sha256(plain)});
    const std::string chain = report::chain_in(page);
    if (!chain.empty() && chain != report::no_chain() && chain != result_.chain) {
      add({shown(run_ / name), 0, {"chain", result_.chain, chain}, ""});
    }
  }

  // Of a run that did not end: nothing that comes after the lines that are there.
  void check_unfinished() {
    for (const std::string& name : files_of_run(run_)) {
      const bool at_end = name == "metrics.json" || name == "result.json" || name == kReport ||
                          name == "profile.json";
      const bool after_saving =
          lies_in(name, "adapter") || name == "replay.csv" || name == "memory.csv";
      if (at_end) {
        lacking("the last line is missing: the run came to its end, and left " + name);
        return;
      }
      if (after_saving && !account_.saved) {
        lacking("lines are missing: the run has saved its model, and left " + name);
        return;
      }
    }
    check_model(those_in(account_.saved.value_or(Fingerprints()), "model"));
    if (account_.saved && is_there(run_ / "adapter")) {
      compare_all(those_in(*account_.saved, "adapter"),
                  fingerprint_folder(run_ / "adapter", "adapter"));
    }
  }

  void lacking(const std::string& fact) {
    add(finding_at(ledger_.where(result_.lines), utf8::printable(fact)));
  }

  // It is the one that lay there at the beginning, or what the line `save` says.
  void check_model(const Fingerprints& saved) {
    const Fingerprints is = fingerprint_folder(run_ / "model", "model");
    if (is == account_.found || is.empty()) {
      result_.files += is.size();
    } else if (!saved.empty() || !account_.found.empty()) {
      compare_all(saved.empty() ? account_.found : saved, is);
    } else {
      lacking(
          "lines are missing: the run has saved its model, or was ended as it went on with "
          "--resume, which then puts it right");
    }
  }

  void compare_all(const Fingerprints& was, const Fingerprints& is) {
    for (const auto& [name, file] : was) {
      const auto found = is.find(name);
      found == is.end() ? absent(name, file.sha256)
                        : compare(shown(run_ / name), file, found->second);
    }
    for (const auto& [name, file] : is) {
      if (!was.contains(name)) {
        add(finding_at(shown(run_ / name), "is not of this run"));
      }
    }
  }

  // The ledger is on the disk before a checkpoint is: one that it does not know was taken after a
  // line that is missing.
  void check_one(std::int64_t step) {
    const std::string where = shown(checkpoint_folder(run_, step));
    try {
      const auto line = ledger_.find(load_checkpoint(run_, step).ledger);
      if (line ? ledger_.line(*line).at("step").as_int64() != step : account_.whole) {
        add(finding_at(where,
                       "the ledger has no line at which it was taken: lines are missing, or "
                       "it is another run's"));
      }
    } catch (const std::runtime_error& error) {
      add(finding_at(where, utf8::printable(error.what())));
    }
  }

  const fs::path& run_;
  const LedgerReader& ledger_;
  const Account& account_;
  Verification& result_;
};

}  // namespace

void check_folder(const fs::path& run, const LedgerReader& ledger, const Account& account,
                  Verification& result) {
  Contents(run, ledger, account, result).check();
}

}  // namespace holdfast
