#include "nn/batch.h"

#include <limits>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace holdfast {
namespace {

std::int64_t count_rows(std::span<const TokenSpan> texts) {
  if (texts.empty()) throw std::invalid_argument("[pack] a batch needs at least one text");
  std::int64_t rows = 0;
  for (const TokenSpan& text : texts) {
    if (text.ids.empty()) {
      throw std::invalid_argument("[pack] the text in slot " + std::to_string(text.slot) +
                                  " has no tokens");
    }
    if (!text.type_ids.empty() && text.type_ids.size() != text.ids.size()) {
      throw std::invalid_argument("[pack] " + std::to_string(text.ids.size()) + " token ids but " +
                                  std::to_string(text.type_ids.size()) + " type ids");
    }
    rows += static_cast<std::int64_t>(text.ids.size());
  }
  if (rows > std::numeric_limits<std::int32_t>::max()) {
    throw std::invalid_argument("[pack] more than 2^31-1 tokens in a batch");
  }
  return rows;
}

}  // namespace

Batch pack(std::span<const TokenSpan> texts) {
  const std::int64_t rows = count_rows(texts);
  const auto texts_count = static_cast<std::int64_t>(texts.size());
  const auto ints = [](std::int64_t n) { return Tensor::empty({n}, DType::i32); };
  Batch batch{.ids = ints(rows),
              .type_ids = ints(rows),
              .positions = ints(rows),
              .packing = {.offsets = ints(texts_count + 1), .slots = ints(rows), .tokens = {}},
              .first = ints(texts_count),
              .first_packing = {.offsets = ints(texts_count + 1),
                                .slots = ints(texts_count),
                                .tokens = Tensor::zeros({texts_count}, DType::i32)}};
  batch.packing.tokens = batch.positions;  // BERT's positions count from the text's first token
  auto* ids = batch.ids.data<std::int32_t>();
  auto* types = batch.type_ids.data<std::int32_t>();
  auto* positions = batch.positions.data<std::int32_t>();
  auto* slots = batch.packing.slots.data<std::int32_t>();
  auto* first = batch.first.data<std::int32_t>();
  auto* offsets = batch.packing.offsets.data<std::int32_t>();
  auto* first_slots = batch.first_packing.slots.data<std::int32_t>();
  auto* first_offsets = batch.first_packing.offsets.data<std::int32_t>();
  std::int32_t row = 0;
  for (const TokenSpan& text : texts) {
    *first++ = *offsets++ = row;
    *first_slots++ = text.slot;
    for (std::size_t i = 0; i < text.ids.size(); ++i, ++row) {
      ids[row] = text.ids[i];
      types[row] = text.type_ids.empty() ? 0 : text.type_ids[i];
      positions[row] = static_cast<std::int32_t>(i);
      slots[row] = text.slot;
    }
  }
  *offsets = row;
  std::iota(first_offsets, first_offsets + texts_count + 1, 0);
  return batch;
}

}  // namespace holdfast
