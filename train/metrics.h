// A run's result as JSON: metrics.json for people and scripts, and whole, to be read back by
// `compare`. Tested by tests/train/metrics_test.cpp and, on whole runs,
// tests/train/trainer_test.cpp.
#pragma once

#include "base/json.h"
#include "train/continual.h"
#include "train/trainer.h"

namespace holdfast {

/// 1 for each text whose prediction is right. Throws std::invalid_argument when the evaluation is
/// not of these texts.
std::vector<std::uint8_t> correctness(const Evaluation& evaluation,
                                      std::span<const Sample> samples);

/// Before against after. Throws std::invalid_argument unless both are of the same texts.
PairedResult paired_result(const Evaluation& before, const Evaluation& after,
                           std::span<const Sample> samples);

/// metrics.json: what was lost, gained and spent. What needs a test split is null without one.
Json metrics_json(const RunResult& result);

/// [low, high]; and a mean over seeds with its deviation and interval, which is null where there is
/// none.
Json to_json(const Interval& interval);
Json to_json(const SeedSummary& summary);

/// Every field of a result, and back. Throws std::runtime_error for a member that is missing or of
/// another type.
Json result_to_json(const RunResult& result);
RunResult result_from_json(const Json& json);

/// Lines of the ledger.
Json to_json(const StepRecord& record);
Json to_json(const CurvePoint& point);
Json to_json(const Action& action);

}  // namespace holdfast
