#include "tensor/device.h"

#include <charconv>
#include <stdexcept>

#include "tensor/cpu.h"
#include "tensor/cuda/runtime.h"

namespace holdfast {
namespace {

thread_local Device device_now;

}  // namespace

std::string name_of(Device device) {
  return device.is_cuda() ? "cuda:" + std::to_string(device.cuda) : "cpu";
}

Device parse_device(std::string_view name) {
  if (name == "cpu") return {};
  if (name == "cuda") return {0};
  constexpr std::string_view kPrefix = "cuda:";
  Device device{0};
  if (name.starts_with(kPrefix) && name.size() <= kPrefix.size() + 3) {
    const char* end = name.data() + name.size();
    const auto [rest, error] = std::from_chars(name.data() + kPrefix.size(), end, device.cuda);
    if (error == std::errc() && rest == end && device.is_cuda()) return device;
  }
  throw std::invalid_argument("[device] must be \"cpu\", \"cuda\" or \"cuda:N\", not \"" +
                              std::string(name) + '"');
}

void require_device(Device device) {
  if (!device.is_cuda()) return;
  const std::string wanted = "device \"" + name_of(device) + "\": ";
  if (is_portable(isa())) {
    throw std::runtime_error(wanted +
                             "portable numerics are the CPU's: unset HOLDFAST_ISA, or take the "
                             "device \"cpu\"");
  }
  const cuda::Runtime* runtime = cuda::runtime();
  if (runtime == nullptr) {
    throw std::runtime_error(wanted +
                             "this build has no CUDA: build with -DHOLDFAST_CUDA=ON (make cuda), "
                             "or take the device \"cpu\"");
  }
  const std::string missing = runtime->missing(device.cuda);
  if (!missing.empty()) throw std::runtime_error(wanted + missing + ": take the device \"cpu\"");
  if (const int count = runtime->device_count(); device.cuda >= count) {
    throw std::runtime_error(wanted + "this machine has " + std::to_string(count) +
                             (count == 1 ? " GPU" : " GPUs") + ", numbered from 0");
  }
}

Device current_device() { return device_now; }

OnDevice::OnDevice(Device device) : before_(device_now) {
  require_device(device);
  device_now = device;
}

OnDevice::~OnDevice() { device_now = before_; }

}  // namespace holdfast
