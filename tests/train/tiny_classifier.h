// Expectations about a BERT of two layers with two heads.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "audit/reference/tiny_classifier.h"

namespace holdfast {

inline void expect_near(const std::vector<double>& a, const std::vector<double>& b,
                        double relative) {
  ASSERT_EQ(a.size(), b.size());
  const double largest = *std::max_element(b.begin(), b.end());
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], relative * largest) << i;
}

}  // namespace holdfast
