#include "train/report_parts.h"

#include <fmt/format.h>

#include <algorithm>

#include "train/chart.h"
#include "train/numbers.h"

namespace holdfast::report {
namespace {

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --page: #fbfbfa; --card: #ffffff; --ink: #1d2129; --soft: #6a7180;
  --rule: #e3e5e9; --c0: #2463c4; --c1: #c4551a; --c2: #1d8a5a; --c3: #8a3fb5; --c4: #b0851a; --c5: #5a6472;
  --good: #18794e; --bad: #b42318; }
@media (prefers-color-scheme: dark) { :root { --page: #14161a; --card: #1c1f25; --ink: #e6e8ec; --soft: #9aa3b2;
  --rule: #31363f; --c0: #6ea3f5; --c1: #f0945c; --c2: #56c596; --c3: #c590e8; --c4: #dfb75a; --c5: #a0a9b8;
  --good: #56c596; --bad: #ff8f85; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 68rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; line-height: 1.25; } h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
.lead { color: var(--soft); margin: 0 0 1.5rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: .9rem; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; padding: .9rem 1.1rem; }
.card h3 { margin: 0; font-size: .85rem; font-weight: 600; color: var(--soft); }
.card .value { font-size: 1.7rem; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.35; }
.card p { margin: 0; font-size: .85rem; color: var(--soft); }
.good { color: var(--good); } .bad { color: var(--bad); }
figure { margin: 1.25rem 0; background: var(--card); border: 1px solid var(--rule); border-radius: .6rem;
  padding: 1rem 1.1rem .7rem; } figcaption { font-weight: 600; margin-bottom: .4rem; }
svg { max-width: 100%; height: auto; vertical-align: middle; } .narrow { display: none; } .grid line { stroke: var(--rule); }
.grid text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round; } .dashed { stroke-dasharray: 6 6; opacity: .8; }
.line.c0 { stroke: var(--c0); } .line.c1 { stroke: var(--c1); } .line.c2 { stroke: var(--c2); }
.line.c3 { stroke: var(--c3); } .line.c4 { stroke: var(--c4); } .line.c5 { stroke: var(--c5); }
circle.c0 { fill: var(--c0); } circle.c1 { fill: var(--c1); } circle.c2 { fill: var(--c2); }
circle.c3 { fill: var(--c3); } circle.c4 { fill: var(--c4); } circle.c5 { fill: var(--c5); }
.marks circle.line { fill: var(--card); } .marks text { fill: var(--ink); font-size: 12px; }
.legend { margin: .3rem 0; font-size: .85rem; color: var(--soft); } .legend span { margin-right: 1.1rem; white-space: nowrap; }
.scroll { overflow-x: auto; margin: .75rem 0; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .92rem; }
caption { text-align: left; color: var(--soft); padding-bottom: .3rem; }
th, td { padding: .38rem .7rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: 0; position: sticky; left: 0; background: var(--page); }
figure th:first-child, figure td:first-child { background: var(--card); } thead th { color: var(--soft); font-weight: 600; }
tr.chosen { font-weight: 650; } .text { text-align: left; } td.text { white-space: normal; min-width: 14rem; }
details { margin: .5rem 0; } summary { cursor: pointer; color: var(--soft); font-size: .9rem; }
pre { background: var(--card); border: 1px solid var(--rule); border-radius: .6rem; padding: 1rem; overflow-x: auto; font-size: .85rem; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 45rem) { body { padding: 1.25rem .9rem 3rem; } h1 { font-size: 1.35rem; overflow-wrap: anywhere; }
  .wide { display: none; } .narrow { display: block; width: 100%; } figure { padding: .8rem .7rem .5rem; }
  th, td { padding: .38rem .5rem; } td.text:first-child { min-width: 8rem; } thead th { white-space: normal; vertical-align: bottom; } ul { padding-left: 1.2rem; } }
)";

constexpr std::string_view kBeforeChain = "chain <code id=\"chain\">";
constexpr std::size_t kChainDigits = 64;
constexpr std::size_t kLongCell = 40;  // a longer one is a sentence: its column wraps

/// Escaped text that keeps its line ends.
std::string preformatted(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    out += html_escape(text.substr(0, end)) + '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

}  // namespace

std::string percentage(double share) { return percent(share) + '%'; }

std::string accuracy(const std::optional<Evaluation>& evaluation) {
  return evaluation ? percentage(evaluation->accuracy) : "-";
}

std::string table(const std::vector<std::vector<std::string>>& rows,
                  const std::vector<std::size_t>& chosen) {
  std::vector<const char*> open(rows.front().size(), ">");
  for (std::size_t i = 1; i < rows.size(); ++i)
    for (std::size_t column = 0; column < rows[i].size(); ++column)
      if (rows[i][column].size() > kLongCell) open[column] = " class=\"text\">";
  const auto cells = [&](const std::vector<std::string>& row, const char* kind) {
    std::string out;
    for (std::size_t column = 0; column < row.size(); ++column)
      out += fmt::format("<{0}{1}{2}</{0}>", kind, open[column], html_escape(row[column]));
    return out;
  };
  std::string out = "<div class=\"scroll\"><table><thead><tr>" + cells(rows.front(), "th") +
                    "</tr></thead><tbody>\n";
  for (std::size_t i = 1; i < rows.size(); ++i)
    out += (std::ranges::find(chosen, i) == chosen.end() ? "<tr>" : "<tr class=\"chosen\">") +
           cells(rows[i], "td") + "</tr>\n";
  return out + "</tbody></table></div>\n";
}

std::string card(const std::string& name, const std::string& value, const std::string& note,
                 std::string_view tone) {
  return fmt::format(
      "<div class=\"card\"><h3>{}</h3><div class=\"value {}\">{}</div><p>{}</p></div>\n",
      html_escape(name), tone, html_escape(value), html_escape(note));
}

std::string no_chain() { return std::string(kChainDigits, '0'); }

std::string chain_line() {
  return fmt::format(
      "<p>Ledger: {}{}</code>. Note it down: <code>holdfast verify --chain</code> takes it, and "
      "tells "
      "whether anything here was changed since.</p>\n",
      kBeforeChain, no_chain());
}

std::string with_chain(std::string page, const std::string& chain) {
  if (!chain_in(page).empty() && chain.size() == kChainDigits) {
    page.replace(page.find(kBeforeChain) + kBeforeChain.size(), kChainDigits, chain);
  }
  return page;
}

std::string chain_in(const std::string& page) {
  const std::size_t at = page.find(kBeforeChain);
  const bool there =
      at != std::string::npos && page.size() - at >= kBeforeChain.size() + kChainDigits;
  return there ? page.substr(at + kBeforeChain.size(), kChainDigits) : "";
}

std::string page(const std::string& title, const std::string& lead, const std::string& body,
                 std::string_view recipe, std::string_view footer) {
  const std::string details =
      recipe.empty() ? ""
                     : "<h2>Recipe</h2>\n<details><summary>The resolved recipe</summary>\n<pre>" +
                           preformatted(recipe) + "</pre></details>\n";
  return fmt::format(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
      "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\"/>\n<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n"
      "<h1>{0}</h1>\n<p class=\"lead\">{2}</p>\n{3}{4}"
      "<footer>{5}</footer>\n</body>\n</html>\n",
      html_escape(title), kStyle, html_escape(lead), body, details, html_escape(footer));
}

}  // namespace holdfast::report
