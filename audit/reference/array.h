// The elementary operations in double, written for obviousness: every element from its own index.
// Oracles of the audit and of the tests.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/tensor.h"

namespace holdfast::reference {

using Index = std::vector<std::int64_t>;

struct Array {
  Shape shape;
  std::vector<double> data;

  explicit Array(const Shape& s) : shape(s), data(static_cast<std::size_t>(s.numel())) {}
  explicit Array(const Tensor& x) : shape(x.shape()), data(x.to_vector()) {}

  /// The element that `index` of a broadcast result reads: aligned at the right, extents of 1
  /// stretched.
  double& at(const Index& index) {
    std::int64_t at = 0;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      const std::int64_t i = index[index.size() - static_cast<std::size_t>(shape.rank() - axis)];
      at = at * shape[axis] + (shape[axis] == 1 ? 0 : i);
    }
    return data[static_cast<std::size_t>(at)];
  }
  double at(const Index& index) const { return const_cast<Array*>(this)->at(index); }
};

inline void for_each_index(const Shape& shape, const std::function<void(const Index&)>& visit) {
  for (std::int64_t n = 0; n < shape.numel(); ++n) {
    Index index(static_cast<std::size_t>(shape.rank()));
    std::int64_t rest = n;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      index[static_cast<std::size_t>(axis)] = rest % shape[axis];
      rest /= shape[axis];
    }
    visit(index);
  }
}

inline Array make(const Shape& shape, const std::function<double(const Index&)>& element) {
  Array out(shape);
  for_each_index(shape, [&](const Index& index) { out.at(index) = element(index); });
  return out;
}

inline Array map(const Array& x, const std::function<double(double)>& f) {
  return make(x.shape, [&](const Index& i) { return f(x.at(i)); });
}

inline Array combine(const Array& a, const Array& b,
                     const std::function<double(double, double)>& f) {
  return make(broadcast(a.shape, b.shape), [&](const Index& i) { return f(a.at(i), b.at(i)); });
}

inline Index with(Index index, std::size_t axis, std::int64_t value) {
  index[axis] = value;
  return index;
}

inline Array matmul(const Array& a, const Array& b) {
  const Shape batch = broadcast(a.shape.with(-1, 1).with(-2, 1), b.shape.with(-1, 1).with(-2, 1));
  return make(batch.with(-2, a.shape[-2]).with(-1, b.shape[-1]), [&](const Index& i) {
    double sum = 0.0;
    for (std::int64_t k = 0; k < a.shape[-1]; ++k) {
      sum += a.at(with(i, i.size() - 1, k)) * b.at(with(i, i.size() - 2, k));
    }
    return sum;
  });
}

inline Array sum_keep(const Array& x, int axis) {
  return make(x.shape.with(axis, 1), [&](const Index& i) {
    double sum = 0.0;
    for (std::int64_t k = 0; k < x.shape[axis]; ++k) {
      sum += x.at(with(i, static_cast<std::size_t>(x.shape.wrap(axis)), k));
    }
    return sum;
  });
}

inline Array transpose(const Array& x, int axis0, int axis1) {
  const auto a = static_cast<std::size_t>(x.shape.wrap(axis0)),
             b = static_cast<std::size_t>(x.shape.wrap(axis1));
  return make(x.shape.with(axis0, x.shape[axis1]).with(axis1, x.shape[axis0]), [&](Index i) {
    std::swap(i[a], i[b]);
    return x.at(i);
  });
}

inline Array log_softmax(const Array& x) {
  return make(x.shape, [&](const Index& i) {
    double largest = x.at(with(i, i.size() - 1, 0)), sum = 0.0;
    for (std::int64_t k = 0; k < x.shape[-1]; ++k)
      largest = std::max(largest, x.at(with(i, i.size() - 1, k)));
    for (std::int64_t k = 0; k < x.shape[-1]; ++k)
      sum += std::exp(x.at(with(i, i.size() - 1, k)) - largest);
    return x.at(i) - largest - std::log(sum);
  });
}

inline Array softmax(const Array& x) {
  return map(log_softmax(x), [](double y) { return std::exp(y); });
}

}  // namespace holdfast::reference
