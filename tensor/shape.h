// Extents of a tensor: at most 8 axes, row-major, sizes checked for overflow.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace holdfast {

class Shape {
 public:
  static constexpr int kMaxRank = 8;

  Shape() = default;  // rank 0: one element
  /// Throws std::invalid_argument on a negative extent or more than 8 axes.
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::span<const std::int64_t> extents);

  int rank() const { return rank_; }
  /// Extent of an axis; -1 is the last. Throws std::invalid_argument outside the rank.
  std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(wrap(axis))]; }
  /// Number of elements. Throws std::invalid_argument when it exceeds 2^63-1.
  std::int64_t numel() const;
  /// The axis counted from 0. Throws std::invalid_argument outside [-rank, rank).
  int wrap(int axis) const;
  std::span<const std::int64_t> extents() const {
    return {extents_.data(), static_cast<std::size_t>(rank_)};
  }
  /// "(8,128,384)"
  std::string text() const;
  Shape with(int axis, std::int64_t extent) const;  // a copy with one extent replaced
  bool operator==(const Shape& other) const;

 private:
  std::array<std::int64_t, kMaxRank> extents_{};
  int rank_ = 0;
};

/// Shape of an element-wise result: axes aligned at the right, extents equal or 1 [numpy, general
/// broadcasting rules]. Throws std::invalid_argument when they do not fit.
Shape broadcast(const Shape& a, const Shape& b);

}  // namespace holdfast
