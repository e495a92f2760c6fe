// Losses of two weights as filled level lines in SVG, with the paths of trainings on them.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using Path = std::vector<std::pair<double, double>>;

struct Surface {
  std::string name;
  std::function<double(double, double)> loss;
};

// The part of the plane that is drawn, and how large.
constexpr double kLow1 = -4.5, kLow2 = -1, kSpan = 10;
constexpr int kCells = 48, kCell = 7, kPanel = kCells * kCell, kGap = 30;
constexpr std::array<const char*, 3> kColours = {"#c03028", "#7a5c00", "#0b5394"};

template <class... Values>
std::string text(const char* format, Values... values) {
  std::array<char, 400> out{};
  std::snprintf(out.data(), out.size(), format, values...);
  return out.data();
}

inline double x_of(double w1) { return (w1 - kLow1) / kSpan * kPanel; }
inline double y_of(double w2) { return kPanel - (w2 - kLow2) / kSpan * kPanel; }

// Runs of cells of one level, each a rectangle: darker is lower.
inline std::string cells(const Surface& surface) {
  const auto at = [&](int column, int row) {
    return surface.loss(kLow1 + kSpan * (column + 0.5) / kCells,
                        kLow2 + kSpan * (kCells - row - 0.5) / kCells);
  };
  double least = std::numeric_limits<double>::infinity();
  for (int row = 0; row < kCells; ++row)
    for (int column = 0; column < kCells; ++column) least = std::min(least, at(column, row));
  const auto level = [&](int column, int row) {
    return std::min(10, static_cast<int>(7 * std::sqrt(at(column, row) - least)));
  };
  std::string out;
  for (int row = 0; row < kCells; ++row) {
    for (int begin = 0, end = 0; begin < kCells; begin = end) {
      while (end < kCells && level(end, row) == level(begin, row)) ++end;
      out +=
          text("<rect x='%d' y='%d' width='%d' height='%d' fill-opacity='%.2f'/>\n", begin * kCell,
               row * kCell, (end - begin) * kCell, kCell, 0.6 * (1 - level(begin, row) / 10.0));
    }
  }
  return out;
}

inline std::string line(const Path& path, const char* colour) {
  std::string points;
  for (const auto& [w1, w2] : path) points += text("%.1f,%.1f ", x_of(w1), y_of(w2));
  const auto [end1, end2] = path.back();
  return text("<polyline fill='none' stroke-width='2.5' stroke='%s' points='", colour) + points +
         text("'/><circle r='5' fill='%s' cx='%.1f' cy='%.1f'/>\n", colour, x_of(end1), y_of(end2));
}

inline std::string drawing(const std::vector<Surface>& surfaces,
                           const std::vector<std::string>& names, const std::vector<Path>& paths) {
  const int panels = static_cast<int>(surfaces.size());
  std::string out = text(
      "<svg xmlns='http://www.w3.org/2000/svg' viewBox='-6 0 %d %d' font-family='sans-serif' "
      "font-size='15'>\n<rect x='-6' width='100%%' height='100%%' fill='white'/>\n",
      panels * kPanel + (panels - 1) * kGap + 12, kPanel + 60);
  for (int panel = 0; panel < panels; ++panel) {
    const Surface& surface = surfaces[static_cast<std::size_t>(panel)];
    out += text("<g transform='translate(%d 26)'><text y='-8'>%s; across w_1, up w_2</text>\n",
                panel * (kPanel + kGap), surface.name.c_str());
    out += "<g fill='#446' shape-rendering='crispEdges'>\n" + cells(surface) + "</g>\n";
    for (std::size_t i = 0; i < paths.size(); ++i) out += line(paths[i], kColours[i]);
    out += "</g>\n";
  }
  for (std::size_t i = 0; i < names.size(); ++i)
    out += text("<text x='%d' y='%d' fill='%s'>%s</text>\n", static_cast<int>(i) * 80, kPanel + 50,
                kColours[i], names[i].c_str());
  return out + "</svg>\n";
}
