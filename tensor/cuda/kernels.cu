// The kernels, compiled for devices: a block of threads is a team (tensor/cuda/team.h).
#include "tensor/cuda/stream.h"
#include "tensor/cuda/tables.h"

namespace holdfast::cuda {
namespace {

class BlockTeam {
 public:
  explicit __device__ BlockTeam(unsigned char* memory) : memory_(memory) {}
  __device__ int rank() const { return static_cast<int>(threadIdx.x); }
  __device__ int size() const { return static_cast<int>(blockDim.x); }
  __device__ void sync() const { __syncthreads(); }
  template <class T>
  __device__ T* shared() const {
    return reinterpret_cast<T*>(memory_);
  }

 private:
  unsigned char* memory_;
};

template <class Kernel>
__global__ void run_blocks(const Kernel kernel, std::int64_t blocks) {
  extern __shared__ __align__(16) unsigned char memory[];
  BlockTeam team(memory);
  for (std::int64_t block = blockIdx.x; block < blocks; block += gridDim.x) {
    kernel(team, block);
    __syncthreads();  // shared memory is the next block's
  }
}

struct Launcher {
  template <class Kernel>
  static void run(const Kernel& kernel) {
    const Launch launch = kernel.launch();
    if (launch.blocks <= 0) return;
    run_blocks<<<static_cast<unsigned>(grid_of(launch)), static_cast<unsigned>(launch.threads),
                 static_cast<std::size_t>(launch.shared_bytes), current_stream()>>>(kernel,
                                                                                    launch.blocks);
    asked("launch a kernel");
  }
};

}  // namespace

const Tables& device_tables() {
  static const Tables tables = make_tables<Launcher>(
      device_products<float>(), device_products<double>(), device_products<Bf16>());
  return tables;
}

}  // namespace holdfast::cuda
