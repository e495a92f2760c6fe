// How far every tensor has moved. Tested by tests/train/drift_test.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "nn/parameters.h"

namespace holdfast {

/// A tensor's drift, d = theta - theta_old.
struct TensorDrift {
  std::string name;
  int layer = 0;
  std::int64_t size = 0;
  double moved = 0, norm = 0;  // ||d||, ||theta_old||
  double largest = 0;          // max |d_i|
  std::int64_t beyond = 0;     // weights with |d_i| > limit |theta_old,i|

  /// ||d|| / ||theta_old||; 0 where the old norm is.
  double relative() const { return norm > 0 ? moved / norm : 0; }
  double share_beyond() const { return static_cast<double>(beyond) / static_cast<double>(size); }
};

/// Of all named tensors that both have in the same shape, in the order of `now`; with them not a
/// task's new head. Summed in double in fixed pieces: the same bits for any number of threads. NaN
/// in either makes moved NaN. Throws std::invalid_argument when the arenas' types differ.
std::vector<TensorDrift> measure_tensor_drift(const ParameterArena& now, const ParameterArena& old,
                                              double limit = 0.2);

}  // namespace holdfast
