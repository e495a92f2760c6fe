// Where a tensor's memory lies, and where arithmetic on it runs.
#pragma once

#include <compare>
#include <string>
#include <string_view>

namespace holdfast {

struct Device {
  int cuda = -1;  // the number of a GPU; -1: the CPU

  bool is_cuda() const { return cuda >= 0; }
  auto operator<=>(const Device&) const = default;
};

/// "cpu", "cuda:0", "cuda:1", ...
std::string name_of(Device device);
/// "cpu", "cuda" (the first GPU) or "cuda:N". Throws std::invalid_argument, naming these.
Device parse_device(std::string_view name);
/// Throws std::runtime_error, one line with what to do, unless this build and machine have it, and
/// for a GPU in portable numerics.
void require_device(Device device);

/// Where this thread's new tensors are made; the CPU until an OnDevice says otherwise. Worker
/// threads of parallel loops stay on the CPU.
Device current_device();

/// Makes a device the current one, to the end of the scope. Throws as require_device().
class OnDevice {
 public:
  explicit OnDevice(Device device);
  ~OnDevice();
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  Device before_;
};

}  // namespace holdfast
