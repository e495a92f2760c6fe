// What the pages of report.html are put together from. Tested by tests/train/report_test.cpp.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "train/evaluate.h"

namespace holdfast::report {

/// "87.3%".
std::string percentage(double share);
/// percentage() of what was measured; a dash otherwise.
std::string accuracy(const std::optional<Evaluation>& evaluation);

/// Rows of text cells; the first is the header. `chosen` rows (from 1) are emphasised.
std::string table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<std::size_t>& chosen = {});

/// A number that stands out, with its name and a note; `tone`: "", "good" or "bad".
std::string card(const std::string& name, const std::string& value, const std::string& note,
                 std::string_view tone = "");

/// The whole page. `body` is HTML, all else text; `recipe`: the resolved one, as TOML, empty: none;
/// `footer`: what the numbers are.
std::string page(const std::string& title, const std::string& lead, const std::string& body,
                 std::string_view recipe, std::string_view footer);

}  // namespace holdfast::report
