// Products by cuBLASLt, which is loaded when a device is first asked for: a program starts without
// it. Algorithms that split the sum over k are ruled out: the same bits from run to run. Tested by
// tests/cublas against a stand-in for the library.
#include <cublasLt.h>
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <array>
#include <compare>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "tensor/cuda/stream.h"

namespace holdfast::cuda {
namespace {

constexpr std::size_t kWorkspaceBytes = 32 << 20;
constexpr std::size_t kMostChoices = 4096;  // kept: less than a megabyte

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
      missing = name + " was not found: install cuBLAS of CUDA " +
                std::to_string(CUDART_VERSION / 1000) + ", or name its folder in LD_LIBRARY_PATH";
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
  static std::array<Handle, kMostDevices> handles;
  Handle& handle = handles.at(static_cast<std::size_t>(device));
  std::call_once(handle.made, [&] {
    check(library().create(&handle.handle), "begin");
    if (cudaMalloc(&handle.workspace, kWorkspaceBytes) != cudaSuccess) {
      cudaGetLastError();  // the next call is not to report it again
      throw std::runtime_error("[cuda] no memory for products: 32 MiB wanted");
    }
  });
  return handle;
}

template <class T>
constexpr cudaDataType_t kType = std::is_same_v<T, Bf16>    ? CUDA_R_16BF
                                 : std::is_same_v<T, float> ? CUDA_R_32F
                                                            : CUDA_R_64F;

template <class T>
cublasComputeType_t compute_of(const Product<T>& p) {
  if (std::is_same_v<T, double>) return CUBLAS_COMPUTE_64F;
  return std::is_same_v<T, float> && p.tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

// The largest power of two up to 256 that the address is a multiple of.
std::uint32_t alignment_of(const void* p) {
  const auto address = reinterpret_cast<std::uintptr_t>(p) | 256;
  return static_cast<std::uint32_t>(address & (~address + 1));
}

// All that cuBLASLt is told when it chooses an algorithm. Alpha and beta are not.
struct Question {
  int device;
  cudaDataType_t operands, result;
  cublasComputeType_t compute;
  bool transpose_a, transpose_b;
  std::int64_t M, N, K, lda, ldb, ldc;
  std::uint32_t align_a, align_b, align_c, align_bias;  // align_bias 0: there is no bias
  auto operator<=>(const Question&) const = default;
};

template <class T>
Question question_of(int device, const Product<T>& p) {
  return {.device = device,
          .operands = kType<T>,
          .result = kType<typename Product<T>::Sum>,
          .compute = compute_of(p),
          .transpose_a = p.transpose_a,
          .transpose_b = p.transpose_b,
          .M = p.M,
          .N = p.N,
          .K = p.K,
          .lda = p.lda,
          .ldb = p.ldb,
          .ldc = p.ldc,
          .align_a = alignment_of(p.A),
          .align_b = alignment_of(p.B),
          .align_c = alignment_of(p.C),
          .align_bias = p.bias == nullptr ? 0 : alignment_of(p.bias)};
}

cublasLtMatrixLayoutOpaque_t layout_of(cudaDataType_t type, std::int64_t rows, std::int64_t columns,
                                       std::int64_t ld) {
  cublasLtMatrixLayoutOpaque_t layout;
  check(library().make_layout(&layout, sizeof layout, type, static_cast<std::uint64_t>(rows),
                              static_cast<std::uint64_t>(columns), ld),
        "describe a matrix");
  return layout;
}

// A product as cuBLASLt sees it, in columns. Row-major C = op(A) op(B) is column-major C^T =
// op(B)^T op(A)^T, and what is stored as rows of `ld` elements is the transpose of what
// column-major sees: so operands change places and keep their op, and a bias of C's rows, N
// numbers, is one of the columns of C^T, which is what CUBLASLT_EPILOGUE_BIAS adds.
struct Description {
  cublasLtMatmulDescOpaque_t product;
  cublasLtMatrixLayoutOpaque_t b, a, c;

  Description(const Question& q, const void* bias)
      : b(layout_of(q.operands, q.transpose_b ? q.K : q.N, q.transpose_b ? q.N : q.K, q.ldb)),
        a(layout_of(q.operands, q.transpose_a ? q.M : q.K, q.transpose_a ? q.K : q.M, q.lda)),
        c(layout_of(q.result, q.N, q.M, q.ldc)) {
    check(library().make_product(&product, sizeof product, q.compute, q.result),
          "describe a product");
    set(CUBLASLT_MATMUL_DESC_TRANSA, q.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, q.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    if (bias == nullptr) return;
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  }

 private:
  void set(cublasLtMatmulDescAttributes_t name, const auto& value) {
    check(library().set_product(&product, name, &value, sizeof value), "describe a product");
  }
};

cublasLtMatmulPreferenceOpaque_t preference_of(const Question& q) {
  cublasLtMatmulPreferenceOpaque_t preference;
  check(library().make_preference(&preference, sizeof preference), "prefer");
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
    check(library().set_preference(&preference, name, &value, sizeof value), "set a preference");
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, std::uint64_t{kWorkspaceBytes});
  set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, std::uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, q.align_b);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, q.align_a);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, q.align_c);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, q.align_c);
  return preference;
}

using Algorithm = std::optional<cublasLtMatmulAlgo_t>;

// None where the library has none for such a shape and these limits.
Algorithm choose(cublasLtHandle_t handle, const Question& question, Description& d) {
  auto preference = preference_of(question);
  cublasLtMatmulHeuristicResult_t choice;
  int found = 0;
  const cublasStatus_t status =
      library().choose(handle, &d.product, &d.b, &d.a, &d.c, &d.c, &preference, 1, &choice, &found);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return {};
  check(status, "choose an algorithm");
  if (found == 0 || choice.state != CUBLAS_STATUS_SUCCESS) return {};
  return choice.algo;
}

// To choose takes tens of microseconds, as long as many products, and layers and steps ask the same
// again. An answer follows from its question alone, so bits do not depend on what was asked before.
class Choices {
 public:
  Algorithm answer(cublasLtHandle_t handle, const Question& question, Description& d) {
    const std::lock_guard lock(mutex_);
    if (const auto known = answers_.find(question); known != answers_.end()) return known->second;
    if (answers_.size() >= kMostChoices) answers_.clear();
    return answers_.emplace(question, choose(handle, question, d)).first->second;
  }

 private:
  std::mutex mutex_;
  std::map<Question, Algorithm> answers_;
};

Choices& choices() {
  static Choices instance;
  return instance;
}

template <class T>
void multiply(const Product<T>& p) {
  const int device = current_device_number();
  const Handle& handle = handle_of(device);
  const Question question = question_of(device, p);
  Description d(question, p.bias);
  const Algorithm algorithm = choices().answer(handle.handle, question, d);
  if (!algorithm) return multiply_plainly(p);
  const typename Product<T>::Sum alpha = 1, beta = p.add ? 1 : 0;
  check(library().multiply(handle.handle, &d.product, &alpha, p.B, &d.b, p.A, &d.a, &beta, p.C,
                           &d.c, p.C, &d.c, &*algorithm, handle.workspace, kWorkspaceBytes,
                           current_stream()),
        "multiply");
  asked("multiply");
}

}  // namespace

template <>
Products<float> device_products<float>() {
  return {multiply<float>};
}
template <>
Products<double> device_products<double>() {
  return {multiply<double>};
}
template <>
Products<Bf16> device_products<Bf16>() {
  return {multiply<Bf16>};
}

std::string missing_for_gemm() { return library().missing; }

std::string gemm_version() {
  if (library().version == nullptr) return "no cuBLASLt";
  const std::size_t v = library().version();
  return "cuBLASLt " + std::to_string(v / 10000) + '.' + std::to_string(v / 100 % 100) + '.' +
         std::to_string(v % 100);
}

}  // namespace holdfast::cuda
