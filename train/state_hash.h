// Hashes of what training changes, and how often the ledger takes them. Tested by
// tests/train/state_hash_test.cpp.
#pragma once

#include <cstdint>
#include <string>

#include "nn/parameters.h"
#include "train/optimizer.h"

namespace holdfast {

/// XXH3-128 (hexadecimal; base/hash.h, in pieces), the same for any number of threads.
struct StateHash {
  std::string weights;    // theta: the whole arena, frozen parameters and gaps too
  std::string optimizer;  // m, v and the steps that each range has taken
};

std::string hash_weights(const ParameterArena& arena);
StateHash hash_state(const ParameterArena& arena, const AdamW& optimizer);

/// Steps from one hash_state() to the next, such that it costs less than half a hundredth of them;
/// from sizes alone, so that every machine takes the same. With P_l the elements of the matrices
/// above the embeddings, a step's products cost at least
///   W = tokens sum_l P_l (6 where trained, else 2)   [FLOP],
/// hashing B bytes takes no longer than 16 B FLOP of products, and so the interval is
///   ceil(200 * 16 B / W), on a GPU ceil(200 * 1024 B / W).
/// `tokens`: of a step.
std::int64_t hash_interval(const ParameterArena& arena, double tokens);

}  // namespace holdfast
