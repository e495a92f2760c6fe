// A packed batch: the tokens of B texts in one run, and where each text begins.
#pragma once

#include <cstdint>
#include <span>

#include "autograd/fused.h"

namespace holdfast {

/// Token ids of one text, as the tokenizer gave them ([CLS] ... [SEP]).
struct TokenSpan {
  std::span<const std::int32_t> ids, type_ids;  // of equal length; empty type_ids: all 0
  std::int32_t slot = 0;                        // the text's place in the global batch (dropout)
};

struct Batch {
  Tensor ids, type_ids, positions;  // (N) i32
  Packing packing;
  Tensor first;           // (B) i32: row of each text's [CLS]
  Packing first_packing;  // of those rows alone: one row a text
  std::int64_t texts() const { return packing.texts(); }
  std::int64_t tokens() const { return packing.rows(); }
};

/// Throws std::invalid_argument for no texts, an empty text, or type ids of another length.
Batch pack(std::span<const TokenSpan> texts);

}  // namespace holdfast
