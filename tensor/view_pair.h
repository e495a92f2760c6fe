// Two views of one shape, walked together: what copies between strided tensors and operations that
// broadcast do. Plain numbers, the same for loops of the CPU and kernels of a GPU. Tested by
// tests/tensor/view_pair_test.cpp.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace holdfast {

class Tensor;

/// Axes from the right, neighbours joined where both views step through them as through one. There
/// is at least one, so that the first is the run of a loop; two contiguous views have one.
struct ViewPair {
  struct Axis {
    std::int64_t extent = 1, step_a = 0, step_b = 0;
  };
  /// Elements from the first one of each view.
  struct Place {
    std::int64_t a = 0, b = 0;
  };

  static constexpr std::size_t kMaxRank = 8;  // of shapes (tensor/shape.h)

  std::array<Axis, kMaxRank> axes{};
  std::size_t rank = 1;

  std::int64_t numel() const {
    std::int64_t count = 1;
    for (std::size_t axis = 0; axis < rank; ++axis) count *= axes[axis].extent;
    return count;
  }

  /// Where element i is, in row-major order over axes `first` and beyond.
  constexpr Place at(std::int64_t i, std::size_t first = 0) const {
    Place place;
    for (std::size_t axis = first; axis + 1 < rank; ++axis) {
      const std::int64_t step = i % axes[axis].extent;
      i /= axes[axis].extent;
      place.a += step * axes[axis].step_a;
      place.b += step * axes[axis].step_b;
    }
    if (first < rank) {
      place.a += i * axes[rank - 1].step_a;
      place.b += i * axes[rank - 1].step_b;
    }
    return place;
  }
};

/// Of tensors of the same shape.
ViewPair view_pair(const Tensor& a, const Tensor& b);

}  // namespace holdfast
