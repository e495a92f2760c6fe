// A number that a device has yet to compute, read later. Tested by tests/cuda/device_test.cpp.
#pragma once

#include <cstdint>
#include <memory>

#include "tensor/tensor.h"

namespace holdfast {

/// The only element of a tensor as of now. A device is asked to send it when it comes to it; the
/// host waits only when it reads before anyone has waited for the device. The tensor's page stays
/// on the device, which item() of a tensor takes from there.
class PendingItem {
 public:
  PendingItem() = default;  // undefined
  /// Throws std::invalid_argument unless numel() == 1, of f32 or f64.
  explicit PendingItem(const Tensor& x);

  bool defined() const { return x_.defined(); }
  double item() const;

 private:
  Tensor x_;                          // what is read: on a device a copy in `landing_`
  std::shared_ptr<Storage> landing_;  // of the host's; null: x_ is
  Device device_;
  std::uint64_t asked_ = 0;  // of the device when it was to send
};

}  // namespace holdfast
