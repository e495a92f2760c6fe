#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"
#include "tests/cublas/stand_in/stand_in.h"
#include "tests/reference/tf32.h"

namespace {

using holdfast::Bf16;

// What the opaque structures hold here.
struct Layout {
  cudaDataType type;
  std::int64_t rows, columns, ld;
};
struct Operation {
  cublasComputeType_t compute;
  cudaDataType scale;
  std::int32_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  std::uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  const void* bias = nullptr;
};
struct Preference {
  std::uint64_t workspace = 0;
  std::uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_MASK;
  std::array<std::uint32_t, 4> alignment{256, 256, 256, 256};  // of A, B, C, D
};
// A product as an algorithm was chosen for it.
struct Algorithm {
  std::uint64_t digest;
  std::array<std::uint32_t, 4> alignment;
  std::uint32_t workspace;
};

template <class T, class Opaque>
T read(const Opaque* opaque) {
  static_assert(sizeof(T) <= sizeof(Opaque));
  T value;
  std::memcpy(static_cast<void*>(&value), opaque, sizeof value);
  return value;
}
template <class T, class Opaque>
void write(Opaque* opaque, const T& value) {
  static_assert(sizeof(T) <= sizeof(Opaque));
  std::memcpy(opaque, &value, sizeof value);
}

cublasStatus_t store(auto& member, const void* buffer, std::size_t bytes) {
  if (buffer == nullptr || bytes != sizeof member) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&member, buffer, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

struct Product {
  Operation operation;
  Layout a, b, c, d;

  bool ta() const { return operation.transpose_a == CUBLAS_OP_T; }
  bool tb() const { return operation.transpose_b == CUBLAS_OP_T; }
  bool has_bias() const { return operation.epilogue == CUBLASLT_EPILOGUE_BIAS; }
  std::int64_t K() const { return ta() ? a.rows : a.columns; }

  // D = alpha op(A) op(B) + beta C + bias: shapes that fit, types of cublasLtMatmul's table.
  bool is_valid() const {
    for (const Layout& x : {a, b, c, d}) {
      if (x.rows < 1 || x.columns < 1 || x.ld < x.rows) return false;
    }
    return (ta() ? a.columns : a.rows) == d.rows && (tb() ? b.rows : b.columns) == d.columns &&
           (tb() ? b.columns : b.rows) == K() && c.rows == d.rows && c.columns == d.columns &&
           a.type == b.type && c.type == d.type && d.type == operation.scale && types_fit() &&
           (has_bias() ? operation.bias != nullptr
                       : operation.epilogue == CUBLASLT_EPILOGUE_DEFAULT);
  }
  bool types_fit() const {
    switch (operation.compute) {
      case CUBLAS_COMPUTE_64F:
        return a.type == CUDA_R_64F && d.type == CUDA_R_64F && !has_bias();
      case CUBLAS_COMPUTE_32F:
        return (a.type == CUDA_R_32F || a.type == CUDA_R_16BF) && d.type == CUDA_R_32F;
      case CUBLAS_COMPUTE_32F_FAST_TF32:
        return a.type == CUDA_R_32F && d.type == CUDA_R_32F;
      default:
        return false;
    }
  }
  // Of all that an algorithm may depend on but the alignment of the matrices.
  std::uint64_t digest() const {
    std::uint64_t sum = 0;
    const auto mix = [&](auto value) {
      sum = (sum ^ static_cast<std::uint64_t>(value)) * 0x9E3779B97F4A7C15;
      sum ^= sum >> 29;
    };
    mix(operation.compute), mix(operation.transpose_a), mix(operation.transpose_b);
    mix(operation.epilogue), mix(reinterpret_cast<std::uintptr_t>(operation.bias) & 15);
    for (const Layout& x : {a, b, c, d}) mix(x.type), mix(x.rows), mix(x.columns), mix(x.ld);
    return sum;
  }
};

double element(const void* x, cudaDataType type, std::int64_t i) {
  if (type == CUDA_R_64F) return static_cast<const double*>(x)[i];
  if (type == CUDA_R_32F) return static_cast<double>(static_cast<const float*>(x)[i]);
  return static_cast<double>(static_cast<const Bf16*>(x)[i]);
}

// Element (row, column) of op(X): columns lie `ld` apart.
double operand(const void* x, const Layout& layout, bool transpose, bool tf32, std::int64_t row,
               std::int64_t column) {
  const double value =
      element(x, layout.type, transpose ? column + row * layout.ld : row + column * layout.ld);
  return tf32 ? static_cast<double>(holdfast::nearest_tf32(static_cast<float>(value))) : value;
}

bool is_aligned(const void* p, std::uint32_t bytes) {
  return reinterpret_cast<std::uintptr_t>(p) % bytes == 0;
}

void multiply(const Product& p, double alpha, const void* A, const void* B, double beta,
              const void* C, void* D) {
  const bool tf32 = p.operation.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  for (std::int64_t n = 0; n < p.d.columns; ++n) {
    for (std::int64_t m = 0; m < p.d.rows; ++m) {
      double sum = 0;
      for (std::int64_t k = 0; k < p.K(); ++k)
        sum += operand(A, p.a, p.ta(), tf32, m, k) * operand(B, p.b, p.tb(), tf32, k, n);
      sum *= alpha;
      if (beta != 0) sum += beta * element(C, p.c.type, m + n * p.c.ld);
      if (p.has_bias()) sum += element(p.operation.bias, p.d.type, m);
      const std::int64_t at = m + n * p.d.ld;
      if (p.d.type == CUDA_R_64F) {
        static_cast<double*>(D)[at] = sum;
      } else {
        static_cast<float*>(D)[at] = static_cast<float>(sum);
      }
    }
  }
}

std::atomic<int> choices{0};
int the_handle;

}  // namespace

int cublas_stand_in_choices() { return choices; }

extern "C" {

std::size_t cublasLtGetVersion() { return 130203; }

const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS ? "success" : "refused";
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = reinterpret_cast<cublasLtHandle_t>(&the_handle);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescInit_internal(cublasLtMatmulDesc_t product, std::size_t size,
                                               cublasComputeType_t compute, cudaDataType_t scale) {
  if (size != sizeof *product) return CUBLAS_STATUS_INVALID_VALUE;
  write(product, Operation{.compute = compute, .scale = scale});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t product,
                                              cublasLtMatmulDescAttributes_t name,
                                              const void* buffer, std::size_t bytes) {
  auto operation = read<Operation>(product);
  const auto stored =
      name == CUBLASLT_MATMUL_DESC_TRANSA         ? store(operation.transpose_a, buffer, bytes)
      : name == CUBLASLT_MATMUL_DESC_TRANSB       ? store(operation.transpose_b, buffer, bytes)
      : name == CUBLASLT_MATMUL_DESC_EPILOGUE     ? store(operation.epilogue, buffer, bytes)
      : name == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? store(operation.bias, buffer, bytes)
                                                  : CUBLAS_STATUS_INVALID_VALUE;
  write(product, operation);
  return stored;
}

cublasStatus_t cublasLtMatrixLayoutInit_internal(cublasLtMatrixLayout_t layout, std::size_t size,
                                                 cudaDataType type, std::uint64_t rows,
                                                 std::uint64_t columns, std::int64_t ld) {
  if (size != sizeof *layout) return CUBLAS_STATUS_INVALID_VALUE;
  write(layout,
        Layout{type, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), ld});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceInit_internal(cublasLtMatmulPreference_t preference,
                                                     std::size_t size) {
  if (size != sizeof *preference) return CUBLAS_STATUS_INVALID_VALUE;
  write(preference, Preference{});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t name,
                                                    const void* buffer, std::size_t bytes) {
  auto wanted = read<Preference>(preference);
  cublasStatus_t stored = CUBLAS_STATUS_INVALID_VALUE;
  if (name == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES)
    stored = store(wanted.workspace, buffer, bytes);
  if (name == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK)
    stored = store(wanted.reduction, buffer, bytes);
  for (const int i : {0, 1, 2, 3}) {
    if (name == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES + i)
      stored = store(wanted.alignment[static_cast<std::size_t>(i)], buffer, bytes);
  }
  write(preference, wanted);
  return stored;
}

// None where the sum over k may be split, as its order, and so its bits, would be free.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle,
                                              cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[],
                                              int* found) {
  const Product product{read<Operation>(operation), read<Layout>(a), read<Layout>(b),
                        read<Layout>(c), read<Layout>(d)};
  const auto limits = read<Preference>(preference);
  if (handle != reinterpret_cast<cublasLtHandle_t>(&the_handle) || wanted < 1)
    return CUBLAS_STATUS_INVALID_VALUE;
  ++choices;
  *found = product.is_valid() && limits.reduction == CUBLASLT_REDUCTION_SCHEME_NONE ? 1 : 0;
  if (*found == 0) return CUBLAS_STATUS_SUCCESS;
  results[0].state = CUBLAS_STATUS_SUCCESS;
  write(&results[0].algo, Algorithm{product.digest(), limits.alignment,
                                    static_cast<std::uint32_t>(limits.workspace)});
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                              const void* alpha, const void* A, cublasLtMatrixLayout_t a,
                              const void* B, cublasLtMatrixLayout_t b, const void* beta,
                              const void* C, cublasLtMatrixLayout_t c, void* D,
                              cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t* algorithm,
                              void* workspace, std::size_t bytes, cudaStream_t) {
  const Product p{read<Operation>(operation), read<Layout>(a), read<Layout>(b), read<Layout>(c),
                  read<Layout>(d)};
  const auto chosen = read<Algorithm>(algorithm);
  const auto& [align_a, align_b, align_c, align_d] = chosen.alignment;
  const bool fits = is_aligned(A, align_a) && is_aligned(B, align_b) && is_aligned(C, align_c) &&
                    is_aligned(D, align_d) && workspace != nullptr && bytes >= chosen.workspace &&
                    (!p.has_bias() || is_aligned(p.operation.bias, 16));
  if (handle != reinterpret_cast<cublasLtHandle_t>(&the_handle) || !p.is_valid() ||
      chosen.digest != p.digest() || !fits) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  multiply(p, element(alpha, p.operation.scale, 0), A, B, element(beta, p.operation.scale, 0), C,
           D);
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
