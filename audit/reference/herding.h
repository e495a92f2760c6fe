// Herding as published, every candidate's distance anew. Oracle of the audit and the tests.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace holdfast {

// iCaRL's algorithm 4 as it is written, over the texts of one class. `distances`: of the mean of
// those taken so far to the class's, a number a text taken.
inline std::vector<std::int64_t> naive_herding(const std::vector<float>& features,
                                               std::size_t width,
                                               const std::vector<std::int64_t>& texts,
                                               std::size_t count,
                                               std::vector<double>* distances = nullptr) {
  std::vector<std::vector<double>> phi;
  std::vector<double> mean(width, 0);
  for (const std::int64_t text : texts) {
    std::vector<double> row(width);
    double norm = 0;
    for (std::size_t c = 0; c < width; ++c) {
      row[c] = double{features[static_cast<std::size_t>(text) * width + c]};
      norm += row[c] * row[c];
    }
    for (std::size_t c = 0; c < width; ++c) {
      row[c] /= std::sqrt(norm);
      mean[c] += row[c] / static_cast<double>(texts.size());
    }
    phi.push_back(row);
  }
  std::vector<std::int64_t> chosen;
  std::vector<bool> taken(texts.size(), false);
  std::vector<double> sum(width, 0);
  for (std::size_t k = 1; k <= count; ++k) {
    std::size_t best = texts.size();
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      double distance = 0;
      for (std::size_t c = 0; c < width; ++c) {
        const double difference = mean[c] - (phi[i][c] + sum[c]) / static_cast<double>(k);
        distance += difference * difference;
      }
      if (!taken[i] && distance < least) {
        least = distance;
        best = i;
      }
    }
    taken[best] = true;
    for (std::size_t c = 0; c < width; ++c) sum[c] += phi[best][c];
    chosen.push_back(texts[best]);
    if (distances != nullptr) distances->push_back(std::sqrt(least));
  }
  return chosen;
}

}  // namespace holdfast
