// What lies in a run's folder and what it read, against what its ledger says. Tested by
// tests/train/verify_test.cpp.
#pragma once

#include <filesystem>

#include "train/verify_account.h"

namespace holdfast {

/// recipe.toml, the files that were read, all that the run has left and its checkpoints. What
/// differs is added to `result`; what cannot be looked at is its refusal.
void check_folder(const std::filesystem::path& run, const LedgerReader& ledger,
                  const Account& account, Verification& result);

}  // namespace holdfast
