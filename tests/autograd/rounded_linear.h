// linear() whose products round their operands, and the same in double from rounded operands.
#pragma once

#include <cstdint>
#include <vector>

#include "audit/reference/twins.h"

namespace holdfast {

/// x (N, I), weight (O, I) and bias (O) like those of a trained layer, in f32.
inline std::vector<Tensor> linear_inputs(std::int64_t N, std::int64_t I, std::int64_t O) {
  return converted({random_tensor({N, I}, 1), random_tensor({O, I}, 2, 0.1), random_tensor({O}, 3)},
                   DType::f32);
}

/// linear() within a scope of Bf16Products or Tf32Products; its gradients are asked for outside.
template <class Scope>
Operation linear_within(Activation activation, bool on = true) {
  return [=](const std::vector<Var>& v) {
    const Scope scope(on);
    return linear(v[0], v[1], v[2], activation);
  };
}

template <class Round>
Tensor rounded(const Tensor& x, Round round) {
  std::vector<double> values = x.to_vector();
  for (double& value : values) value = round(value);
  return Tensor::from(values, x.shape());
}

/// y = R(x) R(W)^T + b, dx = R(dout) R(W), dW = R(dout)^T R(x), db = sum of dout, R: `round`; dout
/// as run() has it.
template <class Round>
std::vector<Tensor> linear_of_rounded(const std::vector<Tensor>& inputs, Round round) {
  const Var x(rounded(inputs[0], round)), w(rounded(inputs[1], round)), b(inputs[2].to(DType::f64));
  const Tensor dout = random_tensor({inputs[0].size(0), inputs[1].size(0)}, 99).to(DType::f32);
  const Var delta(rounded(dout, round));
  return {add(matmul(x, transpose(w, 0, 1)), b).value(), matmul(delta, w).value(),
          matmul(transpose(delta, 0, 1), x).value(), sum(Var(dout.to(DType::f64)), 0).value()};
}

}  // namespace holdfast
