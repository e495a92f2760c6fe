// What every drawing of a page has: its two sizes, the axes, the place of a value and the grid.
// Used by chart.cpp and scatter.cpp; tested by tests/train/report_test.cpp.
#pragma once

#include <functional>
#include <string>

namespace holdfast {

/// A size of drawings, in SVG units. A page has every drawing in both and its style sheet shows the
/// one that fits, so that the text of neither shrinks.
struct Canvas {
  const char* name;  // its class in the style sheet
  double width, height;
  int x_ticks;  // about so many
};
inline constexpr Canvas kCanvases[] = {{"wide", 800, 300, 8}, {"narrow", 380, 260, 4}};

struct Axis {
  double low = 0, high = 1, step = 0.25;
};

/// An axis with about `ticks` round steps that covers [low, high].
Axis round_axis(double low, double high, int ticks);

struct Frame {
  Canvas canvas;
  Axis x, y;
  double px(double value) const;
  double py(double value) const;
};

/// Lines and numbers of the grid; percent: numbers are shares.
std::string grid(const Frame& frame, const std::string& x_name, bool x_percent,
                 const std::string& y_name, bool y_percent);

/// A <figure>: the caption, what `draw` draws in both sizes, and `below`, which is HTML.
std::string figure(const std::string& caption,
                   const std::function<std::string(const Canvas&)>& draw, const std::string& below);

/// A <figure> that says that there is nothing to draw.
std::string empty_figure(const std::string& caption);

}  // namespace holdfast
