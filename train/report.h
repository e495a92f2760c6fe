// report.html: one run, a comparison, an ablation or a search, each on one page for people: a
// single file without script or outside reference, well-formed as XML. report.cpp holds the first
// two, report_arms.cpp the others. Tested by tests/train/report_test.cpp.
#pragma once

#include <string>

#include "train/ablate.h"
#include "train/compare.h"
#include "train/search.h"

namespace holdfast {

/// The page about one run.
std::string report_html(const RunResult& run);

/// The page about a comparison: details of its first seed, and a table of all of them.
std::string report_html(const CompareResult& comparison);

/// The page about an ablation: what each measure keeps, learns and costs on its own.
std::string report_html(const AblateResult& ablation);

/// The page about a search: the chosen point, the Pareto front and every point.
std::string report_html(const SearchResult& search);

}  // namespace holdfast
