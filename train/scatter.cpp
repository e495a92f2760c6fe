#include "train/scatter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/chart.h"
#include "train/chart_frame.h"

namespace holdfast {
namespace {

constexpr double kMargin = 0.005;  // about the points, as a share

Axis axis_of(const std::vector<double>& values, int ticks) {
  const auto [low, high] = std::ranges::minmax_element(values);
  return round_axis(std::max(*low - kMargin, 0.0), *high + kMargin, ticks);
}

struct Place {
  double x = 0, y = 0;
};

/// Beside the mark, where no other label is as far as there is such a place.
Place label_place(double x, double y, std::vector<Place>& taken) {
  const auto free = [&](const Place& place) {
    return std::ranges::none_of(taken, [&](const Place& other) {
      return std::abs(other.x - place.x) < 16 && std::abs(other.y - place.y) < 11;
    });
  };
  const Place places[] = {{x + 7, y - 5}, {x + 7, y + 13}, {x - 18, y - 5}, {x - 18, y + 13}};
  const auto found = std::ranges::find_if(places, free);
  taken.push_back(found == std::end(places) ? places[0] : *found);
  return taken.back();
}

std::string mark(const ScatterPoint& point, const Frame& frame, std::vector<Place>& taken) {
  const double x = frame.px(point.x), y = frame.py(point.y);
  const Place label = label_place(x, y, taken);
  return fmt::format(
      "<circle class=\"{}{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4.5\"/><text x=\"{:.1f}\" "
      "y=\"{:.1f}\">{}</text>\n",
      point.hollow ? "line c" : "c", point.colour, x, y, label.x, label.y,
      html_escape(point.label));
}

std::string limit(double at, const Frame& frame) {
  return fmt::format(
      "<line class=\"line dashed c5\" x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\"/>"
      "\n",
      frame.px(at), frame.py(frame.y.low), frame.py(frame.y.high));
}

}  // namespace

std::string scatter_html(const Scatter& scatter) {
  const std::string title = html_escape(scatter.title);
  std::vector<double> xs, ys;
  for (const ScatterPoint& point : scatter.points) {
    if (!std::isfinite(point.x) || !std::isfinite(point.y)) continue;
    xs.push_back(point.x);
    ys.push_back(point.y);
  }
  if (xs.empty()) return "<figure><figcaption>" + title + "</figcaption><p>No data.</p></figure>\n";
  if (scatter.least_x) xs.push_back(*scatter.least_x);
  const Frame frame{axis_of(xs, 8), axis_of(ys, 5)};
  std::string out = fmt::format(
      "<figure><figcaption>{0}</figcaption>\n<svg viewBox=\"0 0 {1} {2}\" role=\"img\" "
      "xmlns=\"http://www.w3.org/2000/svg\"><title>{0}</title>\n",
      title, kChartWidth, kChartHeight);
  out += grid(frame, scatter.x_name, true, scatter.y_name, true);
  if (scatter.least_x) out += limit(*scatter.least_x, frame);
  out += "<g class=\"marks\">\n";
  std::vector<Place> taken;
  for (const ScatterPoint& point : scatter.points)
    if (std::isfinite(point.x) && std::isfinite(point.y)) out += mark(point, frame, taken);
  return out + "</g></svg></figure>\n";
}

}  // namespace holdfast
