#include "train/scatter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "train/chart.h"
#include "train/chart_frame.h"

namespace holdfast {
namespace {

constexpr double kMargin = 0.005;                  // about the points, as a share
constexpr double kRadius = 4.5, kRing = 3;         // of a mark, and what one around it adds
constexpr double kOnePlace = 6;                    // marks as near as this share a label
constexpr double kLetter = 7, kLetterHeight = 11;  // of the labels' type
constexpr std::size_t kLabelled = 4;               // of the marks in one place

struct Box {
  double left, top, right, bottom;
  bool meets(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

struct Mark {
  const ScatterPoint* point;
  double x, y, radius;
};

/// Marks in one place, the marked ones last.
struct Place {
  std::vector<Mark> marks;
  double x() const { return marks.front().x; }
  double y() const { return marks.front().y; }
  bool marked() const { return marks.back().point->marked; }
  double radius() const { return marks.front().radius; }
};

Axis axis_of(const std::vector<double>& values, int ticks) {
  const auto [low, high] = std::ranges::minmax_element(values);
  const double most =
      std::max(1.0, *high);  // more than was there may be kept, but no accuracy is above 1
  return round_axis(std::max(*low - kMargin, 0.0), std::min(*high + kMargin, most), ticks);
}

/// Of a label in the drawing: what stands between numbers is narrow.
double width_of(const std::string& label) {
  const auto narrow = static_cast<double>(
      std::ranges::count_if(label, [](char c) { return c == ' ' || c == ',' || c == '.'; }));
  return kLetter * (static_cast<double>(label.size()) - narrow / 2);
}

std::vector<Place> places_of(const std::vector<ScatterPoint>& points, const Frame& frame) {
  std::vector<Place> places;
  for (const bool marked : {false, true}) {
    for (const ScatterPoint& point : points) {
      if (point.marked != marked) continue;
      const Mark mark{&point, frame.px(point.x), frame.py(point.y), kRadius};
      const auto near = std::ranges::find_if(places, [&](const Place& place) {
        return std::hypot(place.x() - mark.x, place.y() - mark.y) < kOnePlace;
      });
      if (near == places.end()) {
        places.push_back({{mark}});
        continue;
      }
      const bool same_look = near->marks.back().point->colour == point.colour &&
                             near->marks.back().point->hollow == point.hollow;
      for (Mark& under : near->marks) under.radius += same_look ? 0 : kRing;
      near->marks.push_back(mark);
    }
  }
  return places;
}

/// "3, 7, 11, ..." in the order of the points.
std::string label_of(const Place& place) {
  std::vector<const ScatterPoint*> points;
  for (const Mark& mark : place.marks) points.push_back(mark.point);
  std::ranges::sort(points);
  std::string label;
  for (std::size_t i = 0; i < std::min(points.size(), kLabelled); ++i)
    label += (i == 0 ? "" : ", ") + points[i]->label;
  return points.size() > kLabelled ? label + ", ..." : label;
}

/// A box of this width beside the place that meets none of the others; null when there is no room.
std::optional<Box> free_box(const Place& place, double width, const Canvas& canvas,
                            const std::vector<Box>& taken) {
  const double gap = place.radius() + 2, above = -gap - kLetterHeight;
  const double far = gap + kLetterHeight, middle = -kLetterHeight / 2;
  const std::pair<double, double> corners[] = {{gap, middle},
                                               {-gap - width, middle},
                                               {gap - 2, above + 5},
                                               {gap - 2, gap - 5},
                                               {-width / 2, above},
                                               {-width / 2, gap},
                                               {2 - gap - width, above + 5},
                                               {2 - gap - width, gap - 5},
                                               {gap, above - 4},
                                               {gap, far - 4},
                                               {far, middle},
                                               {-far - width, middle}};
  for (const auto& [dx, dy] : corners) {
    const Box box{place.x() + dx, place.y() + dy, place.x() + dx + width,
                  place.y() + dy + kLetterHeight};
    const bool inside =
        box.left > 0 && box.top > 0 && box.right < canvas.width && box.bottom < canvas.height;
    if (inside && std::ranges::none_of(taken, [&](const Box& b) { return b.meets(box); }))
      return box;
  }
  return std::nullopt;
}

std::string labels(const std::vector<Place>& places, const Scatter& scatter, const Frame& frame) {
  std::vector<Box> taken;  // by marks, labels and the name of the axis
  taken.push_back({0, 0,
                   frame.px(frame.x.low) + kLetter * static_cast<double>(scatter.y_name.size()),
                   frame.py(frame.y.high) + 20});
  for (const Place& place : places) {
    const double r = place.radius() + 1;
    taken.push_back({place.x() - r, place.y() - r, place.x() + r, place.y() + r});
  }
  std::string out;
  for (const bool marked : {true, false}) {
    for (const Place& place : places) {
      if (place.marked() != marked) continue;
      const std::string text = label_of(place);
      const auto box = free_box(place, width_of(text), frame.canvas, taken);
      if (!box) continue;
      taken.push_back(*box);
      out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
                         (box->left + box->right) / 2, box->bottom - 1, html_escape(text));
    }
  }
  return out;
}

std::string marks(const std::vector<Place>& places) {
  std::string out;
  for (const bool marked : {false, true}) {
    for (const Place& place : places) {
      if (place.marked() != marked) continue;
      for (const Mark& mark : place.marks)
        out += fmt::format("<circle class=\"{}{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\"/>\n",
                           mark.point->hollow ? "line c" : "c", mark.point->colour, mark.x, mark.y,
                           mark.radius);
    }
  }
  return out;
}

std::string limit(double at, const Frame& frame) {
  return fmt::format(
      "<line class=\"line dashed c5\" x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\"/>"
      "\n",
      frame.px(at), frame.py(frame.y.low), frame.py(frame.y.high));
}

}  // namespace

std::string scatter_html(const Scatter& given) {
  Scatter scatter = given;
  std::erase_if(scatter.points, [](const ScatterPoint& point) {
    return !std::isfinite(point.x) || !std::isfinite(point.y);
  });
  if (scatter.points.empty()) return empty_figure(scatter.title);
  std::vector<double> xs, ys;
  for (const ScatterPoint& point : scatter.points) {
    xs.push_back(point.x);
    ys.push_back(point.y);
  }
  if (scatter.least_x) xs.push_back(*scatter.least_x);
  const auto draw = [&](const Canvas& canvas) {
    const Frame frame{canvas, axis_of(xs, canvas.x_ticks), axis_of(ys, 5)};
    const std::vector<Place> places = places_of(scatter.points, frame);
    return grid(frame, scatter.x_name, true, scatter.y_name, true) +
           (scatter.least_x ? limit(*scatter.least_x, frame) : "") + "<g class=\"marks\">\n" +
           marks(places) + labels(places, scatter, frame) + "</g>";
  };
  return figure(scatter.title, draw, "");
}

}  // namespace holdfast
