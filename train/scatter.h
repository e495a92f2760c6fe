// Points of two shares as inline SVG: what is kept against what is learnt. Used by report_arms.cpp;
// tested by tests/train/scatter_test.cpp.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace holdfast {

struct ScatterPoint {
  double x = 0, y = 0;  // shares
  std::string label;    // beside the mark; short
  int colour = 0;       // 0..5, a class of the style sheet
  bool hollow = false;
  bool marked = false;  // drawn over the others, labelled before them
};

struct Scatter {
  std::string title, x_name, y_name;
  std::vector<ScatterPoint> points;
  std::optional<double> least_x{};  // a line: what lies right of it satisfies
};

/// A <figure> with an SVG drawing; its numbers belong into a table beside it. Points that are not
/// finite are left out; a drawing without points says so. Of marks in one place each is a ring
/// around the next, and they share a label; a label that finds no room is left out.
std::string scatter_html(const Scatter& scatter);

}  // namespace holdfast
