// Gradual unfreezing: from the head down, one block after the other. Tested by
// tests/train/unfreeze_test.cpp.
#pragma once

#include <cstdint>

namespace holdfast {

/// The lowest layer (0 embeddings, 1..L blocks, L+1 pooler and heads) that is trained in step
/// `step` = 0, 1, ... [Howard & Ruder 2018, sec. 3.3]: stage s = floor(step / steps_per_stage)
/// trains pooler, heads and the top s blocks, and everything from stage L + 1 on:
///   max(0, L + 1 - s)
/// AdamW::train_from_layer() takes it. Throws std::invalid_argument unless steps_per_stage >= 1.
int lowest_trained_layer(std::int64_t step, std::int64_t layers, std::int64_t steps_per_stage);

}  // namespace holdfast
