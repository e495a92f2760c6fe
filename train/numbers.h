// Numbers for people, in one decimal, by the same rule wherever they are printed: console and
// report.html. Tested by tests/train/numbers_test.cpp.
#pragma once

#include <string>

#include "train/continual.h"
#include "train/result.h"

namespace holdfast {

/// A share in percent: 0.873 -> "87.3". A tie goes away from zero; there is no "-0.0".
std::string percent(double share);
/// A difference of shares in points, with its sign: "+3.1", "-0.4", "0.0".
std::string points(double difference);

/// The mean with its interval where there is one, "87.3 [86.1, 88.5]"; "-" of nothing.
std::string percent(const SeedSummary& shares);
std::string points(const SeedSummary& differences);

/// How many points a task has dropped, "3.1 [2.0, 4.2]"; "-" when it was not measured.
std::string drop_text(const TaskResult& task);

}  // namespace holdfast
