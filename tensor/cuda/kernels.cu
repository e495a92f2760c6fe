// The kernels, compiled for devices: a block of threads is a team (tensor/cuda/team.h).
#include <array>
#include <mutex>

#include "tensor/cuda/product.h"
#include "tensor/cuda/stream.h"
#include "tensor/cuda/tables.h"

namespace holdfast::cuda {
namespace {

class BlockTeam {
 public:
  static constexpr int kLanes = 1;
  using Rows = Fragment<BlockTeam, const std::uint32_t*, 1>;
  using Registers = Fragment<BlockTeam, std::uint32_t, 4>;

  explicit __device__ BlockTeam(unsigned char* memory) : memory_(memory) {}
  __device__ int rank() const { return static_cast<int>(threadIdx.x); }
  __device__ int size() const { return static_cast<int>(blockDim.x); }
  __device__ void sync() const { __syncthreads(); }
  template <class T>
  __device__ T* shared() const {
    return reinterpret_cast<T*>(memory_);
  }

  __device__ int warp() const { return static_cast<int>(threadIdx.x / kWarp); }
  __device__ int warps() const { return static_cast<int>(blockDim.x / kWarp); }
  __device__ int lane(int) const { return static_cast<int>(threadIdx.x % kWarp); }
  static __device__ std::uint32_t bf16_pair(float x, float y) {
    std::uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(y), "f"(x));
    return pair;
  }
  static __device__ bool aligned(const float* x) {
    return reinterpret_cast<std::uintptr_t>(x) % sizeof(float4) == 0;
  }
  static __device__ void load_four(const float* x, float (&four)[4]) {
    const float4 all = *reinterpret_cast<const float4*>(x);
    four[0] = all.x;
    four[1] = all.y;
    four[2] = all.z;
    four[3] = all.w;
  }
  // The sum is within the assembly so that no register is kept for each of many addresses.
  __device__ void load(const Rows& rows, int offset, Registers& m) const {
    asm volatile(
        "{.reg .u32 at; add.u32 at, %4, %5;"
        "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [at];}"
        : "=r"(m.of[0][0]), "=r"(m.of[0][1]), "=r"(m.of[0][2]), "=r"(m.of[0][3])
        : "r"(address(rows)), "r"(4 * offset)
        : "memory");
  }
  __device__ void load_transposed(const Rows& rows, int offset, Registers& m) const {
    asm volatile(
        "{.reg .u32 at; add.u32 at, %4, %5;"
        "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [at];}"
        : "=r"(m.of[0][0]), "=r"(m.of[0][1]), "=r"(m.of[0][2]), "=r"(m.of[0][3])
        : "r"(address(rows)), "r"(4 * offset)
        : "memory");
  }
  __device__ void multiply(Fragment<BlockTeam, float, 4>& c, const Registers& a, const Registers& b,
                           int n) const {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(c.of[0][0]), "+f"(c.of[0][1]), "+f"(c.of[0][2]), "+f"(c.of[0][3])
        : "r"(a.of[0][0]), "r"(a.of[0][1]), "r"(a.of[0][2]), "r"(a.of[0][3]), "r"(b.of[0][2 * n]),
          "r"(b.of[0][2 * n + 1]));
  }
  template <class T, int N>
  __device__ Fragment<BlockTeam, T, N> exchange(const Fragment<BlockTeam, T, N>& x,
                                                int mask) const {
    Fragment<BlockTeam, T, N> result;
    for (int i = 0; i < N; ++i) result.of[0][i] = __shfl_xor_sync(0xffffffff, x.of[0][i], mask);
    return result;
  }

 private:
  // A 32-bit address within shared memory.
  static __device__ std::uint32_t address(const Rows& rows) {
    return static_cast<std::uint32_t>(__cvta_generic_to_shared(rows.of[0][0]));
  }

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

/// A block has more shared memory than kMaxSharedBytes only where that was asked for, once for each
/// kernel and device.
template <class Kernel>
void allow_shared_memory() {
  static std::array<std::once_flag, kMostDevices> allowed;
  std::call_once(allowed.at(static_cast<std::size_t>(current_device_number())), [] {
    cudaFuncSetAttribute(run_blocks<Kernel>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                         static_cast<int>(kMostSharedBytes));
    asked("give a kernel more shared memory");
  });
}

struct Launcher {
  template <class Kernel>
  static void run(const Kernel& kernel) {
    const Launch launch = kernel.launch();
    if (launch.blocks <= 0) return;
    if (launch.shared_bytes > kMaxSharedBytes) allow_shared_memory<Kernel>();
    run_blocks<<<static_cast<unsigned>(grid_of(launch)), static_cast<unsigned>(launch.threads),
                 static_cast<std::size_t>(launch.shared_bytes), current_stream()>>>(kernel,
                                                                                    launch.blocks);
    asked("launch a kernel");
  }
};

}  // namespace

template <class T>
void multiply_plainly(const Product<T>& product) {
  for_each<Launcher>(PlainProduct<T>{product}, product.M * product.N);
}
template void multiply_plainly<float>(const Product<float>&);
template void multiply_plainly<double>(const Product<double>&);
template void multiply_plainly<Bf16>(const Product<Bf16>&);

const Tables& device_tables() {
  static const Tables tables = make_tables<Launcher>(
      device_products<float>(), device_products<double>(), device_products<Bf16>());
  return tables;
}

}  // namespace holdfast::cuda
