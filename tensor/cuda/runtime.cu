// CUDA itself: devices, managed memory, one stream a device. The CUDA runtime is linked statically
// and looks for the driver when it is first asked, so that a program with it starts on any machine.
#include <cuda_runtime.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <stdexcept>

#include "tensor/cuda/built_in.h"
#include "tensor/cuda/runtime.h"
#include "tensor/cuda/stream.h"

namespace holdfast::cuda {
namespace {

constexpr int kLeastMajor = 8;  // compute capability 8.0: what this is compiled for

void check(cudaError_t error, const char* what) {
  if (error != cudaSuccess) {
    cudaGetLastError();  // the next call is not to report it again
    throw std::runtime_error("[cuda] " + std::string(what) + ": " + cudaGetErrorString(error));
  }
}

struct DeviceState {
  std::once_flag made;
  cudaStream_t stream = nullptr;
  std::int64_t room = 0;  // bytes for tensors: what was free at first, less some for code
  std::atomic<std::int64_t> taken{0};
  std::atomic<std::uint64_t> asked{0}, done{0};  // done: what is known to be
};

DeviceState& state_of(int device) {
  static std::array<DeviceState, kMostDevices> states;
  return states.at(static_cast<std::size_t>(device));
}

thread_local int selected = -1;

void select(int device) {
  if (selected == device) return;
  check(cudaSetDevice(device), "select a device");
  selected = device;
}

DeviceState& ready(int device) {
  select(device);
  DeviceState& state = state_of(device);
  std::call_once(state.made, [&] {
    std::size_t free = 0, all = 0;
    check(cudaMemGetInfo(&free, &all), "ask for free memory");
    state.room = static_cast<std::int64_t>(free - free / 16);
    check(cudaStreamCreateWithFlags(&state.stream, cudaStreamNonBlocking), "make a stream");
  });
  return state;
}

int count_devices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? std::min(count, kMostDevices) : 0;
}

int attribute(cudaDeviceAttr name, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, name, device), "ask for an attribute");
  return value;
}

std::string missing_of(int device) {
  const std::string name = "GPU " + std::to_string(device);
  if (attribute(cudaDevAttrComputeCapabilityMajor, device) < kLeastMajor)
    return name + " is older than compute capability 8.0";
  if (attribute(cudaDevAttrConcurrentManagedAccess, device) == 0)
    return name + " does not share memory with the CPU (concurrentManagedAccess)";
  return {};
}

std::string missing(int device) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();
    return std::string("CUDA finds no GPU here (") + cudaGetErrorString(error) + ')';
  }
  if (count == 0) return "CUDA finds no GPU here";
  std::string text = device < count_devices() ? missing_of(device) : "";
  return text.empty() ? missing_for_gemm() : text;
}

DeviceFacts facts(int device) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, device), "ask for a device");
  return {.name = properties.name,
          .memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem),
          .major = properties.major,
          .minor = properties.minor};
}

// "13.0" of 13000.
std::string version_text(int version) {
  return std::to_string(version / 1000) + '.' + std::to_string(version % 1000 / 10);
}

std::string description() {
  int driver = 0, runtime = 0;
  check(cudaDriverGetVersion(&driver), "ask for the driver");
  check(cudaRuntimeGetVersion(&runtime), "ask for the runtime");
  return "CUDA " + version_text(runtime) + ", driver for " + version_text(driver) + ", " +
         gemm_version();
}

void prefer_device(void* memory, std::size_t bytes, int device) {
#if CUDART_VERSION >= 13000
  const cudaMemLocation location{cudaMemLocationTypeDevice, device};
  check(cudaMemAdvise(memory, bytes, cudaMemAdviseSetPreferredLocation, location), "place memory");
#else
  check(cudaMemAdvise(memory, bytes, cudaMemAdviseSetPreferredLocation, device), "place memory");
#endif
}

void* allocate(int device, std::int64_t bytes) {
  DeviceState& state = ready(device);
  if (bytes > state.room - state.taken) return nullptr;
  void* memory = nullptr;
  const cudaError_t error = cudaMallocManaged(&memory, static_cast<std::size_t>(bytes));
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(error, "allocate memory");
  state.taken += bytes;
  prefer_device(memory, static_cast<std::size_t>(bytes), device);
  return memory;
}

void* allocate_pinned(int device, std::int64_t bytes) {
  ready(device);
  void* memory = nullptr;
  const cudaError_t error =
      cudaHostAlloc(&memory, static_cast<std::size_t>(bytes), cudaHostAllocPortable);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return nullptr;
  }
  check(error, "allocate memory of the host");
  return memory;
}

// A wait that begins after work was counted covers it, whoever asked for it.
void wait(int device) {
  DeviceState& state = state_of(device);
  const std::uint64_t asked = state.asked.load(std::memory_order_acquire);
  std::uint64_t done = state.done.load(std::memory_order_acquire);
  if (done >= asked) return;
  check(cudaStreamSynchronize(state.stream), "run a kernel");
  while (done < asked &&
         !state.done.compare_exchange_weak(done, asked, std::memory_order_acq_rel)) {
  }
}

void release(int device, void* memory, std::int64_t bytes) {
  wait(device);
  check(cudaFree(memory), "free memory");
  state_of(device).taken -= bytes;
}

void release_pinned(int device, void* memory) {
  wait(device);
  check(cudaFreeHost(memory), "free memory of the host");
}

void zero(int device, void* memory, std::int64_t bytes) {
  DeviceState& state = ready(device);
  cudaMemsetAsync(memory, 0, static_cast<std::size_t>(bytes), state.stream);
  asked("clear memory");
}

void copy(int device, const void* from, void* to, std::int64_t bytes) {
  DeviceState& state = ready(device);
  cudaMemcpyAsync(to, from, static_cast<std::size_t>(bytes), cudaMemcpyDefault, state.stream);
  asked("copy memory");
}

void select_ready(int device) { ready(device); }

std::uint64_t asked_so_far(int device) {
  return state_of(device).asked.load(std::memory_order_acquire);
}
std::uint64_t done_so_far(int device) {
  return state_of(device).done.load(std::memory_order_acquire);
}

}  // namespace

CUstream_st* current_stream() { return state_of(selected).stream; }
int current_device_number() { return selected; }

void asked(const char* what) {
  check(cudaGetLastError(), what);
  state_of(selected).asked.fetch_add(1, std::memory_order_acq_rel);
}

const Runtime* built_in() {
  static const Runtime runtime{.missing = missing,
                               .device_count = count_devices,
                               .facts = facts,
                               .description = description,
                               .allocate = allocate,
                               .release = release,
                               .allocate_pinned = allocate_pinned,
                               .release_pinned = release_pinned,
                               .zero = zero,
                               .copy = copy,
                               .wait = wait,
                               .asked = asked_so_far,
                               .done = done_so_far,
                               .select = select_ready,
                               .tables = &device_tables()};
  return &runtime;
}

}  // namespace holdfast::cuda
