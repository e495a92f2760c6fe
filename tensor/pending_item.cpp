#include "tensor/pending_item.h"

#include <stdexcept>

#include "tensor/cuda/runtime.h"

namespace holdfast {

PendingItem::PendingItem(const Tensor& x) : x_(x), device_(x.device()) {
  if (x.numel() != 1)
    throw std::invalid_argument("[item] shape " + x.shape().text() +
                                " has not exactly one element");
  if (!device_.is_cuda()) return;
  const std::int64_t bytes = size_of(x.dtype());
  landing_ = std::make_shared<Storage>(bytes, device_, Storage::Writer::host);
  std::byte* to = landing_->data();
  dispatch(x.dtype(), "item",
           [&]<class T>() { cuda::runtime()->copy(device_.cuda, x.data<T>(device_), to, bytes); });
  asked_ = cuda::runtime()->asked(device_.cuda);
}

double PendingItem::item() const {
  if (!landing_) return x_.item();
  if (cuda::runtime()->done(device_.cuda) < asked_) cuda::runtime()->wait(device_.cuda);
  return dispatch(x_.dtype(), "item", [&]<class T>() {
    return static_cast<double>(*reinterpret_cast<const T*>(landing_->read()));
  });
}

}  // namespace holdfast
