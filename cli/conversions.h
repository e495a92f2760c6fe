// What importance is here, and what the lambdas of other systems are worth here.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "train/importance.h"

namespace holdfast::cli {

/// The penalty, every kind's formula, and the conversions from other systems' lambdas on raw F.
std::string explanation();

/// The conversions as numbers to multiply another system's lambda by, for raw F and for F divided
/// by its mean, with B = `batch` texts in that system's batches. Only Fisher information converts.
std::string conversion_table(const Importance& measured, std::int64_t batch);

/// All of it as an object; the factors for F divided by its mean are null unless `measured`.
Json conversions_json(const Importance* measured, std::int64_t batch);

}  // namespace holdfast::cli
