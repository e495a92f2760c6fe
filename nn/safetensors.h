// The safetensors format: 8 bytes of header length, a JSON header, raw little-endian tensors. The
// reader is stricter than the reference: whatever could be read two ways is refused (reliability
// catalogue in tests/nn/safetensors_test.cpp).
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/tensor.h"

namespace holdfast {

inline constexpr std::size_t kMaxTensorName = 4096;  // bytes
inline constexpr std::string_view kMetadataKey = "__metadata__";

struct SafetensorsEntry {
  std::string name, dtype;  // dtype as written: "F32", "BF16", "I64", ...
  std::vector<std::int64_t> shape;
  std::int64_t begin = 0, end = 0;  // bytes in the data section
};

class SafetensorsFile {
 public:
  /// Opens and checks the whole header. Throws std::runtime_error with file name and reason.
  static SafetensorsFile open(const std::filesystem::path& path);
  ~SafetensorsFile();
  SafetensorsFile(SafetensorsFile&&) noexcept;

  const std::vector<SafetensorsEntry>& entries() const;  // in offset order
  const SafetensorsEntry* find(std::string_view name) const;
  const std::map<std::string, std::string>& metadata() const;
  /// Reads one tensor, converted to `dtype` (F16, BF16, F32, F64 to floats). Refuses integer
  /// tensors for float types, overflow to infinity.
  Tensor read(const SafetensorsEntry& entry, DType dtype) const;
  /// The same into `out`, which is contiguous and has as many elements, by all threads. Returns how
  /// many of them are NaN or infinite.
  std::int64_t read_into(const SafetensorsEntry& entry, const Tensor& out) const;
  /// One tensor as `shape` where it lies in the file (File::map, with what is said there), no copy.
  /// Nothing when its elements are not of `dtype` or stand at no multiple of their size.
  std::optional<Tensor> view(const SafetensorsEntry& entry, const Shape& shape, DType dtype) const;

 private:
  struct State;
  explicit SafetensorsFile(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// How many elements of a contiguous f32 or f64 tensor are NaN or infinite, by all threads.
std::int64_t count_nonfinite(const Tensor& values);

/// Writes tensors (f32, f64, i32) under these names, 64-byte aligned data, beside and renamed.
void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace holdfast
