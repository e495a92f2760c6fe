// Products by cuBLASLt, which is loaded when a device is first asked for: a program starts without
// it. Algorithms that split the sum over k are ruled out, and TF32 is not used: the same bits from
// run to run, in full f32.
#include <cublasLt.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <array>
#include <cstdint>
#include <mutex>
#include <stdexcept>

#include "tensor/cuda/stream.h"

namespace holdfast::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = 32 << 20;

// The functions of the library that are used.
struct Library {
  std::string missing;
  decltype(&cublasLtGetVersion) version = nullptr;
  decltype(&cublasLtGetStatusString) status_text = nullptr;
  decltype(&cublasLtCreate) create = nullptr;
  decltype(&cublasLtMatmulDescInit_internal) make_product = nullptr;
  decltype(&cublasLtMatmulDescSetAttribute) set_product = nullptr;
  decltype(&cublasLtMatrixLayoutInit_internal) make_layout = nullptr;
  decltype(&cublasLtMatmulPreferenceInit_internal) make_preference = nullptr;
  decltype(&cublasLtMatmulPreferenceSetAttribute) set_preference = nullptr;
  decltype(&cublasLtMatmulAlgoGetHeuristic) choose = nullptr;
  decltype(&cublasLtMatmul) multiply = nullptr;

  Library() {
    const std::string name = "libcublasLt.so." + std::to_string(CUDART_VERSION / 1000);
    void* file = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (file == nullptr) {
      missing =
          name + " was not found: install cuBLAS of CUDA " + std::to_string(CUDART_VERSION / 1000);
      return;
    }
    const auto find = [&](auto& function, const char* symbol) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(file, symbol));
      if (function == nullptr) missing = name + " has no " + symbol;
    };
    find(version, "cublasLtGetVersion");
    find(status_text, "cublasLtGetStatusString");
    find(create, "cublasLtCreate");
    find(make_product, "cublasLtMatmulDescInit_internal");
    find(set_product, "cublasLtMatmulDescSetAttribute");
    find(make_layout, "cublasLtMatrixLayoutInit_internal");
    find(make_preference, "cublasLtMatmulPreferenceInit_internal");
    find(set_preference, "cublasLtMatmulPreferenceSetAttribute");
    find(choose, "cublasLtMatmulAlgoGetHeuristic");
    find(multiply, "cublasLtMatmul");
  }
};

const Library& library() {
  static const Library instance;
  return instance;
}

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw std::runtime_error("[cuda] cuBLASLt, " + std::string(what) + ": " +
                             library().status_text(status));
  }
}

// Of a device; made once.
struct Handle {
  std::once_flag made;
  cublasLtHandle_t handle = nullptr;
  void* workspace = nullptr;
};

Handle& handle_of(int device) {
  static std::array<Handle, 64> handles;
  Handle& handle = handles.at(static_cast<std::size_t>(device));
  std::call_once(handle.made, [&] {
    check(library().create(&handle.handle), "begin");
    if (cudaMalloc(&handle.workspace, kWorkspaceBytes) != cudaSuccess)
      throw std::runtime_error("[cuda] no memory for products: 32 MiB wanted");
  });
  return handle;
}

template <class T>
constexpr cudaDataType_t kType = sizeof(T) == 8 ? CUDA_R_64F : CUDA_R_32F;
template <class T>
constexpr cublasComputeType_t kCompute = sizeof(T) == 8 ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F;

// The largest power of two up to 256 that the address is a multiple of.
std::uint32_t alignment_of(const void* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p) | 256;
  return static_cast<std::uint32_t>(address & (~address + 1));
}

cublasLtMatrixLayoutOpaque_t layout_of(cudaDataType_t type, std::int64_t rows, std::int64_t columns,
                                       std::int64_t ld) {
  cublasLtMatrixLayoutOpaque_t layout;
  check(library().make_layout(&layout, sizeof layout, type, static_cast<std::uint64_t>(rows),
                              static_cast<std::uint64_t>(columns), ld),
        "describe a matrix");
  return layout;
}

void set(cublasLtMatmulPreferenceOpaque_t& preference, cublasLtMatmulPreferenceAttributes_t name,
         const auto& value) {
  check(library().set_preference(&preference, name, &value, sizeof value), "set a preference");
}

// Row-major C = op(A) op(B) is column-major C^T = op(B)^T op(A)^T: what is stored as (rows, ld) is
// the transpose of what column-major sees, so operands change places and keep their op.
template <class T>
void multiply(bool ta, bool tb, std::int64_t M, std::int64_t N, std::int64_t K, T alpha, const T* A,
              std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C, std::int64_t ldc) {
  const Library& lt = library();
  const Handle& handle = handle_of(current_device_number());
  cublasLtMatmulDescOpaque_t product;
  check(lt.make_product(&product, sizeof product, kCompute<T>, kType<T>), "describe a product");
  const cublasOperation_t first = tb ? CUBLAS_OP_T : CUBLAS_OP_N,
                          second = ta ? CUBLAS_OP_T : CUBLAS_OP_N;
  check(lt.set_product(&product, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first), "transpose");
  check(lt.set_product(&product, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second), "transpose");
  auto b = layout_of(kType<T>, tb ? K : N, tb ? N : K, ldb);
  auto a = layout_of(kType<T>, ta ? M : K, ta ? K : M, lda);
  auto c = layout_of(kType<T>, N, M, ldc);
  cublasLtMatmulPreferenceOpaque_t preference;
  check(lt.make_preference(&preference, sizeof preference), "prefer");
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes});
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(B));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(A));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(C));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(C));
  cublasLtMatmulHeuristicResult_t choice;
  int found = 0;
  check(lt.choose(handle.handle, &product, &b, &a, &c, &c, &preference, 1, &choice, &found),
        "choose an algorithm");
  if (found == 0) throw std::runtime_error("[cuda] cuBLASLt has no algorithm for a product");
  check(lt.multiply(handle.handle, &product, &alpha, B, &b, A, &a, &beta, C, &c, C, &c,
                    &choice.algo, handle.workspace, kWorkspaceBytes, current_stream()),
        "multiply");
  asked("multiply");
}

}  // namespace

template <>
kernels::Gemm<float> device_gemm<float>() {
  return {multiply<float>};
}
template <>
kernels::Gemm<double> device_gemm<double>() {
  return {multiply<double>};
}

std::string missing_for_gemm() { return library().missing; }

std::string gemm_version() {
  if (library().version == nullptr) return "no cuBLASLt";
  const std::size_t v = library().version();
  return "cuBLASLt " + std::to_string(v / 10000) + '.' + std::to_string(v / 100 % 100) + '.' +
         std::to_string(v % 100);
}

}  // namespace holdfast::cuda
