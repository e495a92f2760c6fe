// Copies of strided views, to the same type or another, and filling; as Tensor::copy_from and fill.
#pragma once

#include "tensor/cuda/operations.h"
#include "tensor/cuda/team.h"

namespace holdfast::cuda {

template <class To, class From>
struct CopyElements {
  ViewPair pair;
  const From* from;
  To* to;
  constexpr void operator()(std::int64_t i) const {
    const ViewPair::Place place = pair.at(i);
    to[place.a] = static_cast<To>(from[place.b]);
  }
};

template <class T>
struct FillElements {
  ViewPair pair;
  T value;
  T* to;
  constexpr void operator()(std::int64_t i) const { to[pair.at(i).a] = value; }
};

template <class Launcher>
void copy(const ViewPair& pair, DType type_b, const void* b, DType type_a, void* a) {
  with_type(type_a, [&]<class To>() {
    with_type(type_b, [&]<class From>() {
      for_each<Launcher>(
          CopyElements<To, From>{pair, static_cast<const From*>(b), static_cast<To*>(a)},
          pair.numel());
    });
  });
}

template <class Launcher>
void fill(const ViewPair& pair, double value, DType type_a, void* a) {
  with_type(type_a, [&]<class T>() {
    for_each<Launcher>(FillElements<T>{pair, static_cast<T>(value), static_cast<T*>(a)},
                       pair.numel());
  });
}

template <class Launcher>
constexpr Copies copies{.copy = copy<Launcher>, .fill = fill<Launcher>};

}  // namespace holdfast::cuda
