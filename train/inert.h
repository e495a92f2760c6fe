// Which measures of a run did nothing, as far as the run itself tells. Tested by
// tests/train/inert_test.cpp.
#pragma once

#include <string>

#include "train/result.h"

namespace holdfast {

/// Why this measure of the run did nothing or next to nothing, in a few words; empty when it cannot
/// be seen: then the run without it has to tell.
std::string inert_reason(const std::string& measure, const RunResult& run);

/// Whether a run without the measure is bit for bit the same one.
bool changes_nothing(const std::string& measure, const RunResult& run);

}  // namespace holdfast
