#include "train/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "base/utf8.h"
#include "train/chart_frame.h"
#include "train/numbers.h"

namespace holdfast {
namespace {

struct Extent {
  double x_high = 0, y_low = INFINITY, y_high = -INFINITY;
};

std::optional<Extent> extent_of(const Chart& chart) {
  Extent extent;
  for (const Series& series : chart.series) {
    for (const auto& [x, y] : series.points) {
      extent.x_high = std::max(extent.x_high, x);
      extent.y_low = std::min(extent.y_low, y);
      extent.y_high = std::max(extent.y_high, y);
    }
  }
  return extent.y_high >= extent.y_low ? std::optional(extent) : std::nullopt;
}

Frame frame_of(const Chart& chart, const Extent& extent, const Canvas& canvas) {
  const auto& [x_high, y_low, y_high] = extent;
  Frame frame{canvas, round_axis(0, std::max(x_high, 1.0), canvas.x_ticks), {}};
  frame.x.high = std::max(x_high, 1.0);
  if (chart.percent) {
    frame.y = round_axis(std::max(0.0, y_low - 0.05), std::min(1.0, y_high + 0.05), 5);
    frame.y.high = std::min(frame.y.high, 1.0);
  } else {
    frame.y = round_axis(std::min(0.0, y_low), y_high, 5);
  }
  return frame;
}

std::string number(double value, bool is_share) {
  return is_share ? percent(value) + '%' : fmt::format("{:.4g}", value);
}

std::string line(const Series& series, const Frame& frame) {
  std::string path;
  for (std::size_t i = 0; i < series.points.size(); ++i) {
    const auto& [x, y] = series.points[i];
    if (series.steps && i > 0)
      path += fmt::format(" {:.1f},{:.1f}", frame.px(x), frame.py(series.points[i - 1].second));
    path += fmt::format("{}{:.1f},{:.1f}", path.empty() ? "" : " ", frame.px(x), frame.py(y));
  }
  std::string out = fmt::format("<polyline class=\"line c{}{}\" points=\"{}\"/>\n", series.colour,
                                series.dashed ? " dashed" : "", path);
  if (series.points.size() > 24 || series.steps) return out;
  for (const auto& [x, y] : series.points)
    out += fmt::format("<circle class=\"c{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\"/>", series.colour,
                       frame.px(x), frame.py(y));
  return out + '\n';
}

std::string legend(const Chart& chart) {
  std::string out = "<p class=\"legend\">";
  for (const Series& series : chart.series)
    out += fmt::format(
        "<span><svg width=\"30\" height=\"10\" aria-hidden=\"true\"><line class=\"line c{}{}\" "
        "x1=\"1\" y1=\"5\" x2=\"29\" y2=\"5\"/></svg> {}</span> ",
        series.colour, series.dashed ? " dashed" : "", html_escape(series.name));
  return out + "</p>\n";
}

std::string table(const Chart& chart) {
  std::map<double, std::vector<std::string>> rows;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    for (const auto& [x, y] : thinned(chart.series[i].points, 40)) {
      auto& row = rows[x];
      row.resize(chart.series.size());
      row[i] = number(y, chart.percent);
    }
  }
  std::string out = "<details><summary>Numbers</summary>\n<div class=\"scroll\"><table><caption>" +
                    html_escape(chart.title) + "</caption><thead><tr><th>" +
                    html_escape(chart.x_name) + "</th>";
  for (const Series& series : chart.series) out += "<th>" + html_escape(series.name) + "</th>";
  out += "</tr></thead><tbody>\n";
  for (const auto& [x, cells] : rows) {
    out += fmt::format("<tr><th>{:.6g}</th>", x);
    for (const std::string& cell : cells) out += "<td>" + cell + "</td>";
    out += "</tr>\n";
  }
  return out + "</tbody></table></div></details>\n";
}

Chart finite(const Chart& chart) {
  Chart out = chart;
  for (Series& series : out.series)
    std::erase_if(series.points, [](const auto& p) {
      return !std::isfinite(p.first) || !std::isfinite(p.second);
    });
  std::erase_if(out.series, [](const Series& series) { return series.points.empty(); });
  return out;
}

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  for (const char c : utf8::printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::vector<std::pair<double, double>> thinned(const std::vector<std::pair<double, double>>& points,
                                               std::size_t most) {
  const std::size_t run = (points.size() + most - 1) / most;
  if (run <= 1) return points;
  std::vector<std::pair<double, double>> out;
  for (std::size_t at = 0; at < points.size(); at += run) {
    const std::size_t end = std::min(at + run, points.size());
    double sum = 0;
    for (std::size_t i = at; i < end; ++i) sum += points[i].second;
    out.emplace_back(points[end - 1].first, sum / static_cast<double>(end - at));
  }
  return out;
}

std::string chart_html(const Chart& given) {
  const Chart chart = finite(given);
  const std::optional<Extent> extent = extent_of(chart);
  if (!extent) return empty_figure(chart.title);
  const auto draw = [&](const Canvas& canvas) {
    const Frame frame = frame_of(chart, *extent, canvas);
    std::string out = grid(frame, chart.x_name, false, "", chart.percent);
    for (const Series& series : chart.series) out += line(series, frame);
    return out;
  };
  return figure(chart.title, draw, legend(chart) + table(chart));
}

}  // namespace holdfast
