// The axes of a chart: round steps, the place of a value in the drawing, and the grid. Used by
// chart.cpp and scatter.cpp; tested by tests/train/report_test.cpp.
#pragma once

#include <string>

namespace holdfast {

inline constexpr double kChartWidth = 680, kChartHeight = 260;  // of the drawing, in SVG units

struct Axis {
  double low = 0, high = 1, step = 0.25;
};

/// An axis with about `ticks` round steps that covers [low, high].
Axis round_axis(double low, double high, int ticks);

struct Frame {
  Axis x, y;
  double px(double value) const;
  double py(double value) const;
};

/// Lines and numbers of the grid; percent: numbers are shares.
std::string grid(const Frame& frame, const std::string& x_name, bool x_percent,
                 const std::string& y_name, bool y_percent);

}  // namespace holdfast
