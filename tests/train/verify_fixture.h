// A run to verify, and ways to change what it has left.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "tests/train/run_fixture.h"
#include "train/ledger.h"
#include "train/trainer.h"
#include "train/verify.h"

namespace holdfast {

namespace fs = std::filesystem;

/// Names and contents of all files below.
inline std::map<std::string, std::string> contents(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    files[entry.path()] = entry.is_regular_file() ? file_text(entry.path()) : "";
  }
  return files;
}

/// One run with checkpoints at 3, 6 and 9 of its ten steps.
class Verify : public testing::Test {
 protected:
  Verify() {
    recipe_ = files_.full();
    recipe_.checkpoint = {.every = 3, .keep = 9};
    recipe_.ledger.hash_every = 2;
  }
  fs::path out() const { return recipe_.output; }

  Verification verify(std::int64_t from = 0, std::int64_t to = 0) const {
    return verify_run(out(), {from, to, 1});
  }
  // Writes the ledger anew, its chain whole, with another line for each that `change` accepts.
  void forge(const std::function<bool(Json& line)>& change) const {
    std::vector<Json> lines;
    {
      const LedgerReader ledger(out() / "ledger.jsonl");
      for (std::size_t i = 0; i < ledger.size(); ++i) lines.push_back(ledger.line(i));
    }
    Ledger forged(out() / "ledger.jsonl");
    for (Json& line : lines) {
      change(line);
      Json members = Json::object();
      for (const auto& [key, value] : line.items()) {
        if (key != "kind" && key != "chain") members.add(key, value);
      }
      forged.write(line.at("kind").as_string(), members);
    }
  }

  RunFixture files_;
  Recipe recipe_;
};

}  // namespace holdfast
