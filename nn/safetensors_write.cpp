#include <algorithm>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <string_view>
#include <unordered_set>

#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "nn/safetensors.h"

namespace holdfast {
namespace {

constexpr std::int64_t kAlignment = 64;  // of the data section

std::string header_of(const std::vector<const std::pair<std::string, Tensor>*>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  Json header = Json::object();
  if (!metadata.empty()) {
    Json texts = Json::object();
    for (const auto& [key, text] : metadata) texts.add(key, text);
    header.add(std::string(kMetadataKey), std::move(texts));
  }
  std::int64_t at = 0;
  for (const auto* tensor : tensors) {
    const DType dtype = tensor->second.dtype();
    const std::int64_t end = at + tensor->second.numel() * size_of(dtype);
    Json shape = Json::list();
    for (const std::int64_t extent : tensor->second.shape().extents()) shape.push_back(extent);
    Json entry = Json::object();
    entry.add("dtype", dtype == DType::f32    ? "F32"
                       : dtype == DType::f64  ? "F64"
                       : dtype == DType::bf16 ? "BF16"
                                              : "I32");
    entry.add("shape", std::move(shape));
    entry.add("data_offsets", Json::list({at, end}));
    header.add(tensor->first, std::move(entry));
    at = end;
  }
  std::string text = header.dump();
  const auto size = static_cast<std::int64_t>(text.size());
  text.append(static_cast<std::size_t>((kAlignment - (8 + size) % kAlignment) % kAlignment), ' ');
  return text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& path,
                       const std::vector<std::pair<std::string, Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<const std::pair<std::string, Tensor>*> order;
  std::unordered_set<std::string_view> names;
  for (const auto& tensor : tensors) {
    const std::string& name = tensor.first;
    if (name.empty() || name.size() > kMaxTensorName || name.find('\0') != std::string::npos ||
        name == kMetadataKey || !names.insert(name).second) {
      throw std::invalid_argument("[safetensors] \"" + utf8::printable(name.substr(0, 100)) +
                                  "\" is no name for a tensor, or names two");
    }
    order.push_back(&tensor);
  }
  // Larger elements first: each tensor is then aligned to its own element size.
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return size_of(a->second.dtype()) > size_of(b->second.dtype());
  });
  const std::string header = header_of(order, metadata);
  const std::uint64_t length = header.size();
  FileWriter file(path);
  file.append(std::as_bytes(std::span(&length, 1)));
  file.append(header);
  for (const auto* tensor : order) {
    const Tensor dense = tensor->second.to(Device()).contiguous();
    const auto bytes = static_cast<std::size_t>(dense.numel() * size_of(dense.dtype()));
    file.append({dense.storage()->data() + dense.storage_offset() * size_of(dense.dtype()), bytes});
  }
  file.commit();
}

}  // namespace holdfast
