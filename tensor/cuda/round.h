// f32 rounded to bf16, as tensor/kernels/round.h.
#pragma once

#include "tensor/cuda/team.h"
#include "tensor/dtype.h"
#include "tensor/kernels/round.h"

namespace holdfast::cuda {

struct ToBf16 {
  const float* x;
  Bf16* y;
  constexpr void operator()(std::int64_t i) const { y[i] = Bf16(x[i]); }
};

template <class Launcher>
constexpr kernels::Round rounding{.to_bf16 = [](const float* x, std::int64_t n, Bf16* y) {
  for_each<Launcher>(ToBf16{x, y}, n);
}};

}  // namespace holdfast::cuda
