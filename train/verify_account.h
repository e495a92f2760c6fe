// What a run's ledger says of it, for holding against what is there. Tested by
// tests/train/verify_test.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "train/fingerprint.h"
#include "train/ledger.h"
#include "train/verify.h"

namespace holdfast {

struct Account {
  bool whole = false;                 // all of its lines are as a run writes them
  std::string recipe;                 // SHA-256 of recipe.toml
  Fingerprints read;                  // of the files that the run read
  Fingerprints found;                 // of the model that lay there as the run, or its latest part,
                                      // began
  std::optional<Fingerprints> saved;  // of the model, and its adapter; none: it had not come so far
  std::optional<Fingerprints> left;   // of all that it left; none: it did not end
  std::int64_t last_step = 0;
};

/// Reads every line. What is not as a run writes it, its order and its chain included, is added to
/// `result`, with the numbers of lines and the chain. Throws Refused for the ledger of a command
/// that runs several.
Account read_account(const LedgerReader& ledger, Verification& result);

/// A finding at `where`, whose name need not be at the beginning of `fact` once more.
Finding finding_at(const std::string& where, const std::string& fact, std::int64_t step = 0);

}  // namespace holdfast
