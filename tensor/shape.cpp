#include "tensor/shape.h"

#include <algorithm>
#include <stdexcept>

namespace holdfast {

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::span<const std::int64_t>(extents.begin(), extents.size())) {}

Shape::Shape(std::span<const std::int64_t> extents) : rank_(static_cast<int>(extents.size())) {
  if (extents.size() > kMaxRank) throw std::invalid_argument("[shape] more than 8 axes");
  std::copy(extents.begin(), extents.end(), extents_.begin());
  for (const std::int64_t extent : extents) {
    if (extent < 0) throw std::invalid_argument("[shape] negative extent in " + text());
  }
}

std::int64_t Shape::numel() const {
  std::int64_t n = 1;
  bool overflow = false;
  for (const std::int64_t extent : extents()) {
    if (extent == 0) return 0;
    overflow |= __builtin_mul_overflow(n, extent, &n);
  }
  if (overflow) throw std::invalid_argument("[shape] too many elements in " + text());
  return n;
}

int Shape::wrap(int axis) const {
  if (axis < -rank_ || axis >= rank_) {
    throw std::invalid_argument("[shape] axis " + std::to_string(axis) + " outside " + text());
  }
  return axis < 0 ? axis + rank_ : axis;
}

std::string Shape::text() const {
  std::string out = "(";
  for (int i = 0; i < rank_; ++i) {
    if (i > 0) out += ',';
    out += std::to_string(extents_[static_cast<std::size_t>(i)]);
  }
  return out + ")";
}

Shape Shape::with(int axis, std::int64_t extent) const {
  Shape out = *this;
  out.extents_[static_cast<std::size_t>(wrap(axis))] = extent;
  return out;
}

bool Shape::operator==(const Shape& other) const {
  return std::ranges::equal(extents(), other.extents());
}

Shape broadcast(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::array<std::int64_t, Shape::kMaxRank> extents{};
  for (int i = 1; i <= rank; ++i) {
    const std::int64_t x = i <= a.rank() ? a[-i] : 1;
    const std::int64_t y = i <= b.rank() ? b[-i] : 1;
    if (x != y && x != 1 && y != 1) {
      throw std::invalid_argument("[broadcast] shapes " + a.text() + " and " + b.text() +
                                  " do not fit: axis -" + std::to_string(i) + " has " +
                                  std::to_string(x) + " and " + std::to_string(y));
    }
    extents[static_cast<std::size_t>(rank - i)] = x == 1 ? y : x;
  }
  return Shape(std::span<const std::int64_t>(extents.data(), static_cast<std::size_t>(rank)));
}

}  // namespace holdfast
