#include "autograd/ops/op.h"

namespace holdfast::ops {

void fail(std::string_view op, const std::string& text) {
  throw std::invalid_argument("[" + std::string(op) + "] " + text);
}

void require_float(std::string_view op, const Tensor& x) {
  if (!x.defined()) fail(op, "an input is undefined: give it a value first");
  if (x.dtype() == DType::i32) fail(op, "needs f32 or f64, not i32: convert with to()");
}

void require_same_type(std::string_view op, const Tensor& a, const Tensor& b) {
  require_float(op, a);
  require_float(op, b);
  if (a.dtype() != b.dtype()) {
    fail(op, "inputs are " + std::string(name_of(a.dtype())) + " " + a.shape().text() + " and " +
                 std::string(name_of(b.dtype())) + " " + b.shape().text() +
                 ": convert one with to()");
  }
}

void require_rows(std::string_view op, std::string_view what, const Tensor& rows,
                  std::int64_t count) {
  if (!rows.defined() || rows.rank() != 1 || rows.dtype() != DType::i32) {
    fail(op, std::string(what) + " must be i32 of one axis" +
                 (rows.defined()
                      ? ", not " + std::string(name_of(rows.dtype())) + " " + rows.shape().text()
                      : std::string()));
  }
  std::int64_t n = 0;
  for (const std::int32_t row : rows.contiguous().span<std::int32_t>()) {
    if (row < 0 || row >= count) {
      fail(op, std::string(what) + "[" + std::to_string(n) + "] = " + std::to_string(row) +
                   " is outside [0," + std::to_string(count) + ")");
    }
    ++n;
  }
}

}  // namespace holdfast::ops
