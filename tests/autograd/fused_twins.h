// Expectations about an operation that is run beside another way to compute the same.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "audit/reference/twins.h"

namespace holdfast {

inline void expect_close(const std::vector<Tensor>& found, const std::vector<Tensor>& expected,
                         double tolerance) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_LE(difference(found[i], expected[i]), tolerance)
        << (i == 0 ? "the result" : "the gradient of input " + std::to_string(i - 1));
  }
}

/// The same results and gradients, in double to 1e-12.
inline void expect_twins(const Operation& fused, const Operation& composed,
                         const std::vector<Tensor>& inputs) {
  expect_close(run(fused, inputs), run(composed, inputs), 1e-12);
}

/// f32 against f64 from the same (rounded) numbers.
inline void expect_float_close(const Operation& operation, const std::vector<Tensor>& inputs,
                               double tolerance) {
  const std::vector<Tensor> rounded = converted(inputs, DType::f32);
  expect_close(run(operation, rounded), run(operation, converted(rounded, DType::f64)), tolerance);
}

}  // namespace holdfast
