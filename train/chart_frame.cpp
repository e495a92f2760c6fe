#include "train/chart_frame.h"

#include <fmt/format.h>

#include <cmath>

#include "train/chart.h"

namespace holdfast {
namespace {

constexpr double kLeft = 52, kRight = 16, kTop = 14, kBottom = 40;

std::string tick(double value, const Axis& axis, bool percent) {
  const double level = std::abs(value) < 1e-9 * axis.step ? 0 : value;
  if (!percent) return fmt::format("{:.4g}", level);
  return fmt::format("{:.{}f}%", 100 * level, axis.step < 0.01 - 1e-12 ? 1 : 0);
}

}  // namespace

Axis round_axis(double low, double high, int ticks) {
  if (!(high > low)) high = low + (low == 0 ? 1 : std::abs(low) * 0.1);
  const double raw = (high - low) / ticks;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  const double digit = raw / power;
  const double step = power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
  return {std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step};
}

double Frame::px(double value) const {
  return kLeft + (value - x.low) / (x.high - x.low) * (canvas.width - kLeft - kRight);
}

double Frame::py(double value) const {
  return canvas.height - kBottom -
         (value - y.low) / (y.high - y.low) * (canvas.height - kTop - kBottom);
}

std::string grid(const Frame& frame, const std::string& x_name, bool x_percent,
                 const std::string& y_name, bool y_percent) {
  const double right = frame.canvas.width - kRight, height = frame.canvas.height;
  std::string out = "<g class=\"grid\">\n";
  for (double y = frame.y.low; y <= frame.y.high + 1e-9 * frame.y.step; y += frame.y.step) {
    out += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\"/>", kLeft,
                       frame.py(y), right, frame.py(y));
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n", kLeft - 7,
                       frame.py(y) + 4, tick(y, frame.y, y_percent));
  }
  for (double x = frame.x.low; x <= frame.x.high + 1e-9 * frame.x.step; x += frame.x.step)
    out +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", frame.px(x),
                    height - kBottom + 18, x_percent && frame.px(x) > right - 1 ? "end" : "middle",
                    tick(x, frame.x, x_percent));
  if (!y_name.empty())
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", kLeft + 4, kTop + 15,
                       html_escape(y_name));
  out += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">{}</text>\n</g>\n", right,
                     height - 5, html_escape(x_name));
  return out;
}

std::string figure(const std::string& caption,
                   const std::function<std::string(const Canvas&)>& draw,
                   const std::string& below) {
  const std::string title = html_escape(caption);
  std::string out = "<figure><figcaption>" + title + "</figcaption>\n";
  for (const Canvas& canvas : kCanvases)
    out += fmt::format(
        "<svg class=\"{}\" viewBox=\"0 0 {} {}\" role=\"img\" "
        "xmlns=\"http://www.w3.org/2000/svg\"><title>{}</title>\n{}</svg>\n",
        canvas.name, canvas.width, canvas.height, title, draw(canvas));
  return out + below + "</figure>\n";
}

std::string empty_figure(const std::string& caption) {
  return "<figure><figcaption>" + html_escape(caption) + "</figcaption><p>No data.</p></figure>\n";
}

}  // namespace holdfast
