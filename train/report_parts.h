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

/// "Ledger: chain <c>", the chain of a run's last line. It comes after the page, whose fingerprint
/// it stands for, too: the page is written with zeros, and that is what its fingerprint is of.
std::string chain_line();
/// The page with this chain in that line; as it was without one. no_chain(): with zeros.
std::string with_chain(std::string page, const std::string& chain);
std::string no_chain();
/// The chain in a page's line; empty: there is no such line.
std::string chain_in(const std::string& page);

/// The whole page. `body` is HTML, all else text; `recipe`: the resolved one, as TOML, empty: none;
/// `footer`: what the numbers are.
std::string page(const std::string& title, const std::string& lead, const std::string& body,
                 std::string_view recipe, std::string_view footer);

}  // namespace holdfast::report
