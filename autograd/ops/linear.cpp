#include "tensor/kernels/linear.h"

#include <algorithm>

#include "autograd/ops/fused_common.h"
#include "autograd/ops/product.h"
#include "autograd/ops/sums.h"
#include "tensor/kernels/activation.h"
#include "tensor/kernels/few_rows.h"
#include "tensor/kernels/on.h"

namespace holdfast {
namespace {

using ops::fail;

thread_local bool bf16_products_now = false, tf32_products_now = false;

template <class T>
typename kernels::Activations<T>::Forward forward_of(Device on, Activation activation) {
  const auto& table = kernels::on<kernels::Activations<T>>(on);
  switch (activation) {
    case Activation::gelu_erf:
      return table.gelu_erf;
    case Activation::gelu_tanh:
      return table.gelu_tanh;
    case Activation::tanh:
      return table.tanh;
    case Activation::relu:
      return table.relu;
    default:
      return table.none;
  }
}

template <class T>
typename kernels::Activations<T>::Backward backward_of(Device on, Activation activation) {
  const auto& table = kernels::on<kernels::Activations<T>>(on);
  switch (activation) {
    case Activation::gelu_erf:
    case Activation::gelu_tanh:
      return table.gelu_backward;
    case Activation::tanh:
      return table.tanh_backward;
    case Activation::relu:
      return table.relu_backward;
    default:
      return nullptr;
  }
}

// x rounded for a product in bf16; a GPU has no use for whole sixteens.
Tensor to_bf16(const Tensor& x) {
  return ops::to_bf16(x, x.device().is_cuda() ? x.size(0) : ops::whole_rows(x.size(0)));
}

bool is_gelu(Activation activation) {
  return activation == Activation::gelu_erf || activation == Activation::gelu_tanh;
}

// Many rows: the weight is packed once, and tiles of rows are finished in cache, activation
// included. Measured against GEMM and a pass: a tenth faster (bench/kernels). Fewer rows, or no
// vectors to speak of: GEMM, which shares its work by columns too.
constexpr std::int64_t kTileRows = 96, kManyRows = 256;

template <class T>
Tensor forward(const Tensor& x, const Tensor& weight, const Tensor& bias, Activation activation,
               std::int64_t N, const Tensor& slope) {
  const std::int64_t I = x.size(1), O = weight.size(0);
  const Device on = ops::device_of(x, weight, bias, slope);
  const auto function = forward_of<T>(on, activation);
  const auto slope_at = [&](std::int64_t row) {
    return slope.defined() ? slope.data<T>(on) + row * O : nullptr;
  };
  if (on.is_cuda()) {
    const Tensor y = Tensor::empty({N, O}, bias.dtype(), on);
    // With an activation bias and function are one pass of our own: cuBLASLt's GELU is the tanh
    // form alone, and saves what it was given, where the derivative of the erf form is wanted.
    if (activation == Activation::none && ops::product_plus_bias(x, weight, bias, y)) return y;
    ops::product(Trans::no, x, Trans::yes, weight, false, y);
    function(bias.data<T>(on), N, O, y.data<T>(on), O, y.data<T>(on), slope_at(0), O);
    return y;
  }
  if (N <= few_rows() && x.dtype() != DType::bf16) {
    const Tensor y = Tensor::empty({N, O}, x.dtype());
    count_gemm_rows(N);
    parallel_for(O, kFewRowsColumns, [&](std::int64_t begin, std::int64_t end) {
      T* columns = y.data<T>() + begin;
      kernels::best<kernels::FewRows<T>>().multiply(
          N, end - begin, I, x.data<T>(), I, weight.data<T>() + begin * I, I, columns, O, false);
      function(bias.data<T>() + begin, N, end - begin, columns, O, columns,
               slope.defined() ? slope.data<T>() + begin : nullptr, O);
    });
    return y;
  }
  if (N < kManyRows || isa() == Isa::baseline || x.dtype() == DType::bf16) {
    const Tensor y = ops::product(x, weight, Trans::yes).slice(0, 0, N);
    parallel_for(N, ops::rows_per_chunk(O), [&](std::int64_t begin, std::int64_t end) {
      T* rows = y.data<T>() + begin * O;
      function(bias.data<T>(), end - begin, O, rows, O, rows, slope_at(begin), O);
    });
    return y;
  }
  const Tensor y = Tensor::empty({N, O}, x.dtype());
  count_gemm_rows(N);
  const auto& kernel = kernels::best<kernels::Linear<T>>();
  const std::int64_t panels = (O + kernel.panel - 1) / kernel.panel;
  const Tensor packed = Tensor::empty({panels * kernel.panel * I}, x.dtype());
  parallel_for(panels, 4, [&](std::int64_t begin, std::int64_t end) {
    kernel.pack(weight.data<T>(), I, O, begin, end, packed.data<T>());
  });
  parallel_for(N, kTileRows, [&](std::int64_t begin, std::int64_t end) {
    kernel.forward(x.data<T>() + begin * I, packed.data<T>(), bias.data<T>(), end - begin, I, O,
                   function, y.data<T>() + begin * O, slope_at(begin));
  });
  return y;
}

// dpre = dout f'(pre), (N, O); in the place of dout when nobody else holds it.
Tensor activation_gradient(Activation activation, const Tensor& saved, const Tensor& dout) {
  if (activation == Activation::none) return dout;
  const Tensor dpre =
      dout.storage().use_count() == 1 ? dout : Tensor::empty(dout.shape(), dout.dtype());
  const Device on = ops::device_of(saved, dout, dpre);
  dispatch(dout.dtype(), "linear", [&]<class T>() {
    const auto derivative = backward_of<T>(on, activation);
    kernels::over(on, dout.numel(), ops::kGrain, [&](std::int64_t begin, std::int64_t end) {
      derivative(saved.data<T>(on) + begin, dout.data<T>(on) + begin, end - begin,
                 dpre.data<T>(on) + begin);
    });
  });
  return dpre;
}

// forward: pre = x W^T + b; so dx = dpre W, dW = dpre^T x, db = sum of dpre over rows. x is
// undefined when no gradient of W is wanted. Products are of the type that W was saved in.
void linear_gradients(const Tensor& x, const Tensor& weight, const Tensor& dpre,
                      Gradients& gradients) {
  const bool rounded = weight.dtype() == DType::bf16;
  const std::int64_t N = dpre.size(0), I = weight.size(1), O = weight.size(0);
  const Tensor factor = rounded ? to_bf16(dpre) : dpre;
  Parameter* weight_leaf = gradients.parameter(1);
  Parameter* bias_leaf = gradients.parameter(2);
  if (weight_leaf != nullptr) {
    gradients.parameters().linear(*weight_leaf, rounded ? nullptr : bias_leaf, x, factor);
  } else if (gradients.wants(1)) {
    Tensor dweight = Tensor::zeros({O, I}, dpre.dtype());
    if (N > 0) ops::product(Trans::yes, factor, Trans::no, x, false, dweight);
    gradients.add(1, dweight);
  }
  if (bias_leaf != nullptr && (weight_leaf == nullptr || rounded)) {
    gradients.parameters().bias(*bias_leaf, dpre);
  } else if (gradients.wants(2) && bias_leaf == nullptr) {
    gradients.add(2, ops::column_sums(dpre));
  }
  if (gradients.wants(0)) {
    gradients.add(0, ops::product(factor, weight, Trans::no).slice(0, 0, N));
  }
}

void check(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  ops::require_same_type("linear", x, weight);
  ops::require_same_type("linear", x, bias);
  if (x.rank() != 2) fail("linear", "x has shape " + x.shape().text() + ", expected (N,I)");
  if (weight.rank() != 2 || weight.size(1) != x.size(1)) {
    fail("linear", "weight has shape " + weight.shape().text() + ", expected (O," +
                       std::to_string(x.size(1)) + ") for x " + x.shape().text());
  }
  ops::require_shape("linear", "bias", bias, {weight.size(0)},
                     "one number a row of weight " + weight.shape().text());
}

}  // namespace

bool ops::bf16_products() { return bf16_products_now; }
bool ops::tf32_products() { return tf32_products_now; }

Var linear(const Var& x_var, const Var& weight_var, const Var& bias_var, Activation activation) {
  check(x_var.value(), weight_var.value(), bias_var.value());
  const std::vector<Var> inputs{x_var, weight_var, bias_var};
  Tensor x = x_var.value().contiguous(), weight = weight_var.value().contiguous();
  const Tensor bias = bias_var.value().contiguous();
  const std::int64_t N = x.size(0), O = weight.size(0);
  const Tensor slope =
      is_gelu(activation) && ops::tracked(inputs) ? Tensor::empty({N, O}, bias.dtype()) : Tensor();
  if (ops::bf16_products() && bias.dtype() == DType::f32) {
    x = to_bf16(x);
    weight = ops::to_bf16(weight, O);
  }
  const Tensor y = dispatch(bias.dtype(), "linear", [&]<class T>() {
    return forward<T>(x, weight, bias, activation, N, slope);
  });
  // What the activation's derivative follows from: itself for GELU, else the result.
  const Tensor saved = slope.defined() ? slope : activation == Activation::none ? Tensor() : y;
  const Tensor kept = weight_var.requires_grad() ? x : Tensor();
  return ops::record("linear", y, inputs,
                     [kept, weight, saved, activation, tf32 = ops::tf32_products()](
                         const Tensor& dout, Gradients& gradients) {
                       const Tf32Products scope(tf32);
                       const Tensor dpre = activation_gradient(activation, saved, dout);
                       linear_gradients(kept, weight, dpre, gradients);
                     });
}

Bf16Products::Bf16Products(bool on) : before_(bf16_products_now) {
  if (on && !current_device().is_cuda() && !missing_for_bf16().empty()) {
    throw std::runtime_error("[linear] products in bf16 need " + missing_for_bf16());
  }
  bf16_products_now = on;
}

Bf16Products::~Bf16Products() { bf16_products_now = before_; }

Tf32Products::Tf32Products(bool on) : before_(tf32_products_now) { tf32_products_now = on; }

Tf32Products::~Tf32Products() { tf32_products_now = before_; }

}  // namespace holdfast
