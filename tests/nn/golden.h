// A golden file's inputs as a batch, and how its tensors are compared.
#pragma once

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "nn/batch.h"
#include "nn/model.h"
#include "nn/safetensors.h"

namespace holdfast::testing {

class Golden {
 public:
  explicit Golden(const std::filesystem::path& path) : file_(SafetensorsFile::open(path)) {
    const Tensor ids = ints("ids");
    const bool typed = file_.find("type_ids") != nullptr;
    const Tensor types = typed ? ints("type_ids") : Tensor();
    std::size_t at = 0;
    std::vector<TokenSpan> texts;
    for (const std::int32_t length : ints("lengths").span<std::int32_t>()) {
      const auto n = static_cast<std::size_t>(length);
      TokenSpan& text = texts.emplace_back();
      text.ids = ids.span<std::int32_t>().subspan(at, n);
      if (typed) text.type_ids = types.span<std::int32_t>().subspan(at, n);
      text.slot = static_cast<std::int32_t>(texts.size() - 1);
      at += n;
    }
    batch = pack(texts);
    labels = ints("labels");
  }

  bool has(const std::string& name) const { return file_.find(name) != nullptr; }
  Tensor ints(const std::string& name) const { return file_.read(*file_.find(name), DType::i32); }
  std::vector<double> values(const std::string& name) const {
    return file_.read(*file_.find(name), DType::f64).to_vector();
  }
  const std::string& metadata(const std::string& key) const { return file_.metadata().at(key); }

  /// Mean cross entropy of the model's first head on the batch; the logits go to `logits` when it
  /// is not null.
  Var loss(Model& model, Tensor* logits = nullptr) const {
    const Var pooled = model.pool(batch);
    const Var out = model.logits(pooled, model.heads().front());
    if (logits != nullptr) *logits = out.value();
    const Tensor weights =
        Tensor::full({batch.texts()}, model.dtype(), 1.0 / static_cast<double>(batch.texts()));
    return softmax_cross_entropy(out, labels, weights);
  }

  Batch batch;
  Tensor labels;

 private:
  SafetensorsFile file_;
};

inline double greatest(const std::vector<double>& values) {
  double most = 0.0;
  for (const double value : values) most = std::max(most, std::fabs(value));
  return most;
}

/// max|a - b| / scale; infinite when the sizes differ or a value is NaN.
inline double error(const std::vector<double>& a, const std::vector<double>& b, double scale) {
  if (a.size() != b.size()) return INFINITY;
  double most = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double difference = std::fabs(a[i] - b[i]);
    if (std::isnan(difference)) return INFINITY;
    most = std::max(most, difference);
  }
  return most / scale;
}

inline double error(const std::vector<double>& a, const std::vector<double>& b) {
  return error(a, b, greatest(b));
}

}  // namespace holdfast::testing
