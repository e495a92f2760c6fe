// Small modules added to a frozen encoder: what they are. Their parameters lie in the model's
// arena; nn/adapter.cpp says how they compute.
#pragma once

#include <cstdint>
#include <string_view>

#include "autograd/fused.h"

namespace holdfast {

/// houlsby   a bottleneck u(x) = U f(D x + d) + e after the attention's projection and after the
///           feed-forward network: y = LN(residual + x + u(x)) [Houlsby et al. 2019; AdapterHub's
///           double_seq_bn]. f = GELU, as in the authors' code (AdapterHub's file has swish).
/// pfeiffer  one, after the feed-forward network alone: z = residual + x, y = LN(z + u(LN z))
///           [Pfeiffer et al. 2021; AdapterHub's seq_bn: original_ln_before, original_ln_after,
///           residual_before_ln]; both are the layer's own norm. f = ReLU, as published.
/// lora      W + (alpha / rank) B A on query and value, PEFT's choice for BERT [Hu et al. 2022].
/// x is what the sub-layer gave, its dropout applied; the modules have none of their own.
enum class AdapterKind { none, houlsby, pfeiffer, lora };
std::string_view name_of(AdapterKind kind);
/// Throws std::invalid_argument naming the known ones.
AdapterKind parse_adapter(std::string_view name);

struct AdapterConfig {
  static constexpr std::int64_t kMaxSize = 1 << 16;  // of a bottleneck or rank

  AdapterKind kind = AdapterKind::none;
  std::int64_t size = 0;  // channels of the bottleneck; 0: hidden size / 16, at least 1
  std::int64_t rank = 8;  // of lora
  double alpha = 16;      // of lora

  bool bottleneck() const { return kind == AdapterKind::houlsby || kind == AdapterKind::pfeiffer; }
  /// f of the bottleneck.
  Activation activation() const {
    return kind == AdapterKind::houlsby ? Activation::gelu_erf : Activation::relu;
  }
  double scale() const { return alpha / static_cast<double>(rank); }
};

}  // namespace holdfast
