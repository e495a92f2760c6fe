// report.html: one run, or naive fine-tuning beside the recipe, on one page for people. A single
// file without script or outside reference, well-formed as XML. Tested by
// tests/train/report_test.cpp.
#pragma once

#include <string>

#include "train/compare.h"

namespace holdfast {

/// The page about one run.
std::string report_html(const RunResult& run);

/// The page about a comparison: details of its first seed, and a table of all of them.
std::string report_html(const CompareResult& comparison);

}  // namespace holdfast
