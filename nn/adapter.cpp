// Adapters in the model: their places in the arena, and what they compute.
#include "nn/adapter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/parallel.h"
#include "base/utf8.h"
#include "nn/model.h"

namespace holdfast {
namespace {

constexpr std::array<std::pair<AdapterKind, std::string_view>, 4> kKinds = {
    {{AdapterKind::none, "none"},
     {AdapterKind::houlsby, "houlsby"},
     {AdapterKind::pfeiffer, "pfeiffer"},
     {AdapterKind::lora, "lora"}}};

// w += scale B A, in double and rounded once: w (C, C), B (C, r), A (r, C).
template <class T>
void add_product(double scale, const T* b, const T* a, std::int64_t rank, std::int64_t C, T* w) {
  parallel_for(C, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t j = 0; j < C; ++j) {
        double product = 0;
        for (std::int64_t k = 0; k < rank; ++k) {
          product += static_cast<double>(b[i * rank + k]) * static_cast<double>(a[k * C + j]);
        }
        w[i * C + j] = static_cast<T>(static_cast<double>(w[i * C + j]) + scale * product);
      }
    }
  });
}

void check(const AdapterConfig& config) {
  const auto impossible = [](std::string_view what) {
    throw std::invalid_argument("[adapter] " + std::string(what));
  };
  const auto fits = [](std::int64_t n) { return n >= 1 && n <= AdapterConfig::kMaxSize; };
  if (config.bottleneck() && !fits(config.size)) impossible("size must be from 1 to 65536");
  if (config.kind != AdapterKind::lora) return;
  if (!fits(config.rank)) impossible("rank must be from 1 to 65536");
  if (!(config.alpha > 0) || !std::isfinite(config.alpha)) impossible("alpha must be above 0");
}

}  // namespace

std::string_view name_of(AdapterKind kind) {
  return std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& k) { return k.first == kind; })
      ->second;
}

AdapterKind parse_adapter(std::string_view name) {
  for (const auto& [kind, known] : kKinds) {
    if (known == name) return kind;
  }
  throw std::invalid_argument("[adapter] no kind \"" + utf8::printable(name) +
                              "\": there are none, houlsby, pfeiffer and lora");
}

Model::Bottleneck Model::declare_bottleneck(const std::string& name, int layer) {
  const std::int64_t C = config_.hidden_size, r = adapter_.size;
  return {.down = declare_affine(name + ".adapter.down", r, C, layer, true),
          .up = declare_affine(name + ".adapter.up", C, r, layer, true)};
}

void Model::declare_adapters(int layer) {
  const std::int64_t C = config_.hidden_size, r = adapter_.rank;
  const std::string name = "encoder.layer." + std::to_string(layer - 1) + '.';
  Layer& out = layers_[static_cast<std::size_t>(layer) - 1];
  if (adapter_.kind == AdapterKind::houlsby)
    out.attention_adapter = declare_bottleneck(name + "attention.output", layer);
  if (adapter_.bottleneck()) out.output_adapter = declare_bottleneck(name + "output", layer);
  if (adapter_.kind != AdapterKind::lora) return;
  const std::string self = name + "attention.self.";
  const auto slice = [&](const std::string& which, const Shape& shape) {
    return NamedSlice{
        .name = self + which, .shape = shape, .layer = layer, .task = {}, .adapter = true};
  };
  const auto declare_b = [&](const std::string& which) {
    return arena_->declare(self + which, {C, r}, {slice(which, {C, r})});
  };
  out.lora = Lora{.a = arena_->declare(
                      self + "query_value.lora_A.weight", {2 * r, C},
                      {slice("query.lora_A.weight", {r, C}), slice("value.lora_A.weight", {r, C})}),
                  .query_b = declare_b("query.lora_B.weight"),
                  .value_b = declare_b("value.lora_B.weight")};
}

void Model::add_adapter(const AdapterConfig& config, std::uint64_t seed) {
  if (adapter_.kind != AdapterKind::none) {
    throw std::invalid_argument("[model] there is an adapter already (" +
                                std::string(name_of(adapter_.kind)) + ")");
  }
  if (config.kind == AdapterKind::none)
    throw std::invalid_argument("[model] an adapter needs a kind: houlsby, pfeiffer or lora");
  AdapterConfig wanted = config;
  if (wanted.size == 0) wanted.size = std::max<std::int64_t>(1, config_.hidden_size / 16);
  check(wanted);
  adapter_ = wanted;
  rebuild();
  for (const NamedSlice& slice : arena_->slices()) {
    if (slice.adapter) initialize(slice, seed);
  }
}

void Model::train_adapters_only() {
  if (adapter_.kind == AdapterKind::none)
    throw std::invalid_argument("[model] there is no adapter to train: add_adapter() first");
  arena_->train_only([](const NamedSlice& slice) { return slice.adapter || !slice.task.empty(); });
}

void Model::merge_lora() {
  if (adapter_.kind != AdapterKind::lora)
    throw std::invalid_argument("[model] there is no lora to merge");
  for (std::int64_t layer = 0; layer < config_.layers; ++layer) {
    for (const char* which : {"query", "value"}) {
      const std::string name =
          "encoder.layer." + std::to_string(layer) + ".attention.self." + which;
      const auto value = [&](const char* part) {
        return arena_->value(*arena_->find(name + part));
      };
      dispatch(dtype(), "merge", [&]<class T>() {
        add_product(adapter_.scale(), value(".lora_B.weight").data<T>(),
                    value(".lora_A.weight").data<T>(), adapter_.rank, config_.hidden_size,
                    value(".weight").data<T>());
      });
    }
  }
  adapter_ = {};
  rebuild();
}

// With u(x) = U f(D x + d) + e:
//   houlsby   y = LN(residual + x + u(x)),  x after dropout
//   pfeiffer  y = LN(z + u(LN z)),  z = residual + x
Var Model::add_and_norm(const Var& x, const Var& residual, const Affine& norm,
                        const DropoutKey& dropout_key, const Packing& packing,
                        const std::optional<Bottleneck>& adapter) {
  const Var gamma((*arena_)[norm.weight]), beta((*arena_)[norm.bias]);
  const double eps = config_.layer_norm_eps;
  if (!adapter) {
    return dropout_residual_layer_norm(x, residual, gamma, beta, eps, dropout_key, packing);
  }
  const auto bottleneck = [&](const Var& in) {
    return apply(apply(in, adapter->down, adapter_.activation()), adapter->up);
  };
  const Var dropped =
      dropout_key.active() ? dropout(x, dropout_key, packing.slots, packing.tokens) : x;
  if (adapter_.kind == AdapterKind::houlsby) {
    return dropout_residual_layer_norm(add(dropped, bottleneck(dropped)), residual, gamma, beta,
                                       eps, {}, packing);
  }
  const Var z = add(residual, dropped);
  return dropout_residual_layer_norm(bottleneck(layer_norm(z, gamma, beta, eps)), z, gamma, beta,
                                     eps, {}, packing);
}

Model::LoraTerms Model::lora_terms(const Var& x, const Rows& rows, const Lora& lora) {
  ParameterArena& arena = *arena_;
  const std::int64_t N = x.size(0), C = config_.hidden_size, r = adapter_.rank;
  const auto product = [&](const Var& in, std::size_t weight, std::int64_t out) {
    return linear(in, Var(arena[weight]), Var(Tensor::zeros({out}, dtype())));
  };
  const Var low = scale(product(x, lora.a, 2 * r), adapter_.scale());
  return {.query = product(rows.of(slice(low, 1, 0, r)), lora.query_b, C),
          .key = Var(Tensor::zeros({N, C}, dtype())),
          .value = product(slice(low, 1, r, 2 * r), lora.value_b, C)};
}

}  // namespace holdfast
