// The configuration of a BERT that is small enough to train in a test.
#pragma once

#include <cstdint>

#include "nn/config.h"

namespace holdfast {

/// Two heads; 3/2 `width` channels in the feed-forward network, 2 `width` positions.
inline BertConfig small_bert(std::int64_t vocab_size, std::int64_t width, std::int64_t layers,
                             double initializer_range = 0.02) {
  BertConfig config;
  config.vocab_size = vocab_size;
  config.hidden_size = width;
  config.layers = layers;
  config.heads = 2;
  config.intermediate_size = 3 * width / 2;
  config.max_positions = 2 * width;
  config.initializer_range = initializer_range;
  return config;
}

}  // namespace holdfast
