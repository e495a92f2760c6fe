#include "train/herding.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "base/parallel.h"

namespace holdfast {
namespace {

constexpr std::int64_t kGrain = 512;  // texts a parallel chunk

using Row = std::span<const float>;

// In eight sums that a compiler can keep in registers.
double dot(Row x, const std::vector<double>& w) {
  std::array<double, 8> sums{};
  std::size_t c = 0;
  for (; c + sums.size() <= x.size(); c += sums.size()) {
    for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += double{x[c + k]} * w[c + k];
  }
  for (; c < x.size(); ++c) sums[0] += double{x[c]} * w[c];
  double sum = 0;
  for (const double part : sums) sum += part;
  return sum;
}

// One class: what is left to choose from, and how far the choice so far is from the mean.
class Herd {
 public:
  Herd(std::span<const float> features, std::size_t width, const std::vector<double>& scale,
       const ClassShare& share)
      : features_(features),
        width_(width),
        scale_(scale),
        left_(share.texts),
        mean_(width, 0),
        sum_(width, 0) {
    for (const std::int64_t text : left_) add(mean_, text);
    for (double& x : mean_) x /= static_cast<double>(left_.size());
  }

  bool empty() const { return left_.empty(); }

  // Drops what does not fit any more.
  void keep_if_fits(std::int64_t amount, const Budget& budget) {
    std::erase_if(left_, [&](std::int64_t text) { return budget.cost(text) > amount; });
  }

  // Takes the next text; the distance of the mean of all taken to the class's is its score.
  //   k^2 ||mu - (phi + S) / k||^2 = ||w||^2 - 2 (phi . w - ||phi||^2 / 2),  w = k mu - S:
  // the nearest is the one with the largest bracket.
  Selected take() {
    ++taken_;
    std::vector<double> w(width_);
    for (std::size_t c = 0; c < width_; ++c)
      w[c] = static_cast<double>(taken_) * mean_[c] - sum_[c];
    std::vector<double> values(left_.size());
    parallel_for(
        static_cast<std::int64_t>(left_.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
          for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) {
            const double scale = scale_[static_cast<std::size_t>(left_[i])];
            values[i] = scale * dot(row(left_[i]), w) - (scale > 0 ? 0.5 : 0);
          }
        });
    const auto best = std::max_element(values.begin(), values.end());  // the first of equals
    const auto place = left_.begin() + (best - values.begin());
    Selected selected{*place, 0, ""};
    add(sum_, *place);
    left_.erase(place);
    for (std::size_t c = 0; c < width_; ++c) {
      const double difference = mean_[c] - sum_[c] / static_cast<double>(taken_);
      selected.score += difference * difference;
    }
    selected.score = std::sqrt(selected.score);
    return selected;
  }

 private:
  Row row(std::int64_t text) const {
    return features_.subspan(static_cast<std::size_t>(text) * width_, width_);
  }

  void add(std::vector<double>& to, std::int64_t text) const {
    const Row x = row(text);
    const double scale = scale_[static_cast<std::size_t>(text)];
    for (std::size_t c = 0; c < width_; ++c) to[c] += scale * double{x[c]};
  }

  std::span<const float> features_;
  std::size_t width_;
  const std::vector<double>& scale_;  // 1 / norm of each text's features
  std::vector<std::int64_t> left_;
  std::vector<double> mean_, sum_;  // of the class; of what was taken
  std::int64_t taken_ = 0;
};

// 1 / L2 norm of each row; 0 of a row of zeros.
std::vector<double> inverse_norms(std::span<const float> features, std::size_t rows) {
  const std::size_t width = features.size() / rows;
  std::vector<double> out(rows, 0);
  for (std::size_t r = 0; r < rows; ++r) {
    double squares = 0;
    for (const float x : features.subspan(r * width, width)) squares += double{x} * double{x};
    if (!std::isfinite(squares)) {
      throw std::invalid_argument(
          fmt::format("[herding] the features of text {} are not finite", r));
    }
    if (squares > 0) out[r] = 1 / std::sqrt(squares);
  }
  return out;
}

}  // namespace

std::vector<Selected> select_herding(std::span<const float> features,
                                     std::span<const std::int32_t> labels, const Budget& budget,
                                     bool quota_by_class) {
  const std::vector<ClassShare> shares = class_shares(labels, quota_by_class, budget);
  if (labels.empty()) return {};
  if (features.empty() || features.size() % labels.size() != 0) {
    throw std::invalid_argument(fmt::format("[herding] {} features are not equal rows of {} texts",
                                            features.size(), labels.size()));
  }
  const std::vector<double> scale = inverse_norms(features, labels.size());
  std::vector<Selected> selected;
  for (const ClassShare& share : shares) {
    Herd herd(features, features.size() / labels.size(), scale, share);
    std::vector<Selected> chosen;
    std::int64_t left = share.amount;
    for (herd.keep_if_fits(left, budget); left > 0 && !herd.empty();
         herd.keep_if_fits(left, budget)) {
      chosen.push_back(herd.take());
      left -= budget.cost(chosen.back().index);
    }
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      chosen[i].reason =
          fmt::format("mean of those kept {:.4f} from the mean of all; {} of {}{}", chosen[i].score,
                      i + 1, chosen.size(), quota_by_class ? " of its class" : "");
    }
    std::move(chosen.begin(), chosen.end(), std::back_inserter(selected));
  }
  return selected;
}

}  // namespace holdfast
