// Line charts as inline SVG, each with a title and a table of its numbers: readable without script,
// without colour and by a screen reader. Used by report.cpp; tested by tests/train/report_test.cpp.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

/// Text for HTML and XML, in elements and in quoted attributes: & < > " ' escaped, control
/// characters and invalid UTF-8 made visible.
std::string html_escape(std::string_view text);

struct Series {
  std::string name;
  int colour = 0;  // 0..5, a class of the style sheet
  bool dashed = false;
  bool steps = false;                             // the value holds until the next point
  std::vector<std::pair<double, double>> points;  // x ascending
};

struct Chart {
  std::string title;
  std::string x_name = "step";
  bool percent = false;  // values are shares, shown as percentages on an axis within [0, 100]
  std::vector<Series> series;
};

/// A <figure>: SVG, legend and a table under <details>. Points that are not finite are left out; a
/// chart without points says so.
std::string chart_html(const Chart& chart);

/// At most about `most` points: means over equal runs of neighbours.
std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points,
                                               std::size_t most);

}  // namespace holdfast
