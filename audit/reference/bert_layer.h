// One encoder layer of BERT with an adapter, in double and one number at a time: the oracle of
// nn/bert.cpp and nn/adapter.cpp.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nn/model.h"

namespace holdfast::reference {

using Rows = std::vector<std::vector<double>>;  // (N, C)

/// Reads the parameters of a model by name.
class BertLayer {
 public:
  BertLayer(const Model& model, std::int64_t layer)
      : model_(&model), prefix_("encoder.layer." + std::to_string(layer) + '.') {}

  /// The layer's output for one text.
  Rows operator()(const Rows& x) const {
    const Rows query = projection(x, "query"), key = projection(x, "key"),
               value = projection(x, "value");
    const Rows projected = dense(attention(query, key, value), "attention.output.dense");
    const Rows a =
        finish(projected, x, "attention.output", model_->adapter().kind == AdapterKind::houlsby);
    const Rows outer = dense(map(dense(a, "intermediate.dense"), gelu), "output.dense");
    return finish(outer, a, "output", model_->adapter().bottleneck());
  }

 private:
  using Function = std::function<double(double)>;
  static double gelu(double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }
  static double relu(double x) { return x > 0 ? x : 0; }

  std::vector<double> values(const std::string& name) const {
    return model_->arena().value(*model_->arena().find(prefix_ + name)).to_vector();
  }
  static Rows map(Rows x, const Function& f) {
    for (auto& row : x)
      for (double& element : row) element = f(element);
    return x;
  }
  static Rows plus(Rows x, const Rows& y) {
    for (std::size_t n = 0; n < x.size(); ++n)
      for (std::size_t c = 0; c < x[n].size(); ++c) x[n][c] += y[n][c];
    return x;
  }
  /// x W^T, W (out, x's columns).
  static Rows product(const Rows& x, const std::vector<double>& weight) {
    const std::size_t in = x[0].size(), out = weight.size() / in;
    Rows y(x.size(), std::vector<double>(out));
    for (std::size_t n = 0; n < x.size(); ++n)
      for (std::size_t o = 0; o < out; ++o)
        for (std::size_t i = 0; i < in; ++i) y[n][o] += x[n][i] * weight[o * in + i];
    return y;
  }
  Rows dense(const Rows& x, const std::string& name) const {
    Rows y = product(x, values(name + ".weight"));
    const std::vector<double> bias = values(name + ".bias");
    for (auto& row : y)
      for (std::size_t o = 0; o < row.size(); ++o) row[o] += bias[o];
    return y;
  }
  Rows projection(const Rows& x, const std::string& which) const {
    const std::string name = "attention.self." + which;
    const Rows y = dense(x, name);
    const AdapterConfig& adapter = model_->adapter();
    if (adapter.kind != AdapterKind::lora || which == "key") return y;
    const Rows low = product(x, values(name + ".lora_A.weight"));
    const double scale = adapter.alpha / static_cast<double>(adapter.rank);
    return plus(y, map(product(low, values(name + ".lora_B.weight")),
                       [&](double element) { return scale * element; }));
  }
  Rows attention(const Rows& query, const Rows& key, const Rows& value) const {
    const auto heads = static_cast<std::size_t>(model_->config().heads);
    const std::size_t N = query.size(), D = query[0].size() / heads;
    Rows y(N, std::vector<double>(heads * D));
    for (std::size_t h = 0; h < heads; ++h) {
      for (std::size_t n = 0; n < N; ++n) {
        std::vector<double> p(N);
        double sum = 0;
        for (std::size_t m = 0; m < N; ++m) {
          double dot = 0;
          for (std::size_t d = h * D; d < (h + 1) * D; ++d) dot += query[n][d] * key[m][d];
          sum += p[m] = std::exp(dot / std::sqrt(static_cast<double>(D)));
        }
        for (std::size_t m = 0; m < N; ++m)
          for (std::size_t d = h * D; d < (h + 1) * D; ++d) y[n][d] += p[m] / sum * value[m][d];
      }
    }
    return y;
  }
  Rows norm(const Rows& x, const std::string& name) const {
    const std::vector<double> gamma = values(name + ".weight"), beta = values(name + ".bias");
    Rows y = x;
    for (auto& row : y) {
      const auto C = static_cast<double>(row.size());
      double mean = 0, variance = 0;
      for (const double element : row) mean += element / C;
      for (const double element : row) variance += (element - mean) * (element - mean) / C;
      for (std::size_t c = 0; c < row.size(); ++c) {
        row[c] =
            gamma[c] * (row[c] - mean) / std::sqrt(variance + model_->config().layer_norm_eps) +
            beta[c];
      }
    }
    return y;
  }
  Rows bottleneck(const Rows& x, const std::string& name, const Function& f) const {
    return dense(map(dense(x, name + ".adapter.down"), f), name + ".adapter.up");
  }
  /// The end of a sub-layer that gave x.
  Rows finish(const Rows& x, const Rows& residual, const std::string& name, bool adapted) const {
    const std::string norm_name = name + ".LayerNorm";
    if (!adapted) return norm(plus(residual, x), norm_name);
    if (model_->adapter().kind == AdapterKind::houlsby) {
      return norm(plus(plus(residual, x), bottleneck(x, name, gelu)), norm_name);
    }
    const Rows z = plus(residual, x);
    return norm(plus(z, bottleneck(norm(z, norm_name), name, relu)), norm_name);
  }

  const Model* model_;
  std::string prefix_;
};

}  // namespace holdfast::reference
