#include "train/scatter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <regex>

namespace holdfast {
namespace {

struct Circle {
  std::string look;
  double x, y, r;
};
struct Text {
  double x, y;
  std::string text;
};

/// The wide drawing alone.
std::string wide(const Scatter& scatter) {
  const std::string figure = scatter_html(scatter);
  return figure.substr(0, figure.find("</svg>"));
}

std::vector<Circle> circles(const std::string& drawing) {
  const std::regex form(
      "<circle class=\"([^\"]*)\" cx=\"([^\"]*)\" cy=\"([^\"]*)\" r=\"([^\"]*)\"/>");
  std::vector<Circle> out;
  for (std::sregex_iterator at(drawing.begin(), drawing.end(), form), end; at != end; ++at)
    out.push_back(
        {at->str(1), std::stod(at->str(2)), std::stod(at->str(3)), std::stod(at->str(4))});
  return out;
}

std::vector<Text> labels(const std::string& drawing) {
  const std::string marks = drawing.substr(drawing.find("class=\"marks\""));
  const std::regex form("<text x=\"([^\"]*)\" y=\"([^\"]*)\"[^>]*>([^<]*)</text>");
  std::vector<Text> out;
  for (std::sregex_iterator at(marks.begin(), marks.end(), form), end; at != end; ++at)
    out.push_back({std::stod(at->str(1)), std::stod(at->str(2)), at->str(3)});
  return out;
}

TEST(Scatter, WithoutPointsSaysSo) {
  EXPECT_NE(scatter_html({"empty", "x", "y", {{NAN, 1, "1", 0, false, false}}}).find("No data."),
            std::string::npos);
}

TEST(Scatter, MarksInOnePlaceAreRingsWithOneLabel) {
  const std::string drawing = wide({"t",
                                    "x",
                                    "y",
                                    {{0.9, 0.8, "1", 1, false, true},
                                     {0.9, 0.8, "2", 0, false, false},
                                     {0.9, 0.8, "3", 2, false, true},
                                     {0.7, 0.6, "4", 0, false, false}}});
  const std::vector<Circle> drawn = circles(drawing);
  ASSERT_EQ(drawn.size(), 4U);
  EXPECT_EQ(drawn.front().look, "c0");  // what is marked is drawn over the rest
  std::map<std::string, double> radius;
  for (const Circle& circle : drawn)
    if (circle.x == drawn.back().x) radius[circle.look] = circle.r;
  EXPECT_GT(radius.at("c0"), radius.at("c1"));
  EXPECT_GT(radius.at("c1"), radius.at("c2"));
  std::vector<std::string> texts;
  for (const Text& label : labels(drawing)) texts.push_back(label.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"1, 2, 3", "4"}));
}

TEST(Scatter, NoLabelCoversAMarkOrAnotherLabel) {
  Scatter scatter{"t", "kept", "learnt", {}};
  for (int i = 0; i < 60; ++i)
    scatter.points.push_back({0.95 + 0.001 * (i * i % 17), 0.5 + 0.001 * (i * 7 % 23),
                              std::to_string(i + 1), i == 7 ? 2 : 0, i % 3 == 0, i == 7});
  const std::string drawing = wide(scatter);
  const std::vector<Circle> drawn = circles(drawing);
  const std::vector<Text> texts = labels(drawing);
  EXPECT_EQ(drawn.size(), 60U);
  ASSERT_GT(texts.size(), 20U);
  EXPECT_NE(texts.front().text.find('8'), std::string::npos);  // the marked one's comes first
  for (const Text& a : texts) {
    const double half = 3.5 * static_cast<double>(a.text.size());
    EXPECT_GT(a.x - half, 0);
    EXPECT_LT(a.x + half, 800);
    for (const Circle& c : drawn)
      EXPECT_FALSE(std::abs(c.x - a.x) < half && std::abs(c.y - (a.y - 4.5)) < 5.5) << a.text;
    for (const Text& b : texts) {
      const double both = half + 3.5 * static_cast<double>(b.text.size());
      EXPECT_FALSE(&a != &b && std::abs(a.x - b.x) < both - 0.2 && std::abs(a.y - b.y) < 10.8)
          << a.text << " and " << b.text;
    }
  }
}

}  // namespace
}  // namespace holdfast
