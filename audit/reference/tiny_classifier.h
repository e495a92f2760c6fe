// A BERT of two layers with two heads, and texts for it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "audit/reference/small_bert.h"
#include "nn/model.h"
#include "tensor/random.h"
#include "train/sample.h"

namespace holdfast {

inline Model tiny_model(DType dtype, std::size_t classes = 3) {
  Model model = Model::create(small_bert(30, 8, 2, 0.4), dtype, 5);
  std::vector<std::string> labels;
  for (std::size_t k = 0; k < classes; ++k) labels.push_back("label " + std::to_string(k));
  model.add_head("news", labels, 6);
  model.add_head("other", {"a", "b"}, 7);
  return model;
}

// Texts of 1 to 12 tokens with repeated words, pairs among them; all of `tokens` tokens when that
// is given.
inline std::vector<Sample> texts(std::size_t count, std::int32_t classes, std::int64_t tokens = 0) {
  const RandomStream stream(9, "texts");
  std::vector<Sample> samples(count);
  for (std::size_t n = 0; n < count; ++n) {
    Sample& sample = samples[n];
    const std::size_t length =
        tokens > 0 ? static_cast<std::size_t>(tokens) : 1 + stream.below(12, n, 0);
    for (std::size_t t = 0; t < length; ++t) {
      sample.ids.push_back(static_cast<std::int32_t>(stream.below(7, n, t + 1)));
      sample.type_ids.push_back(n % 3 == 0 && t > length / 2 ? 1 : 0);
    }
    sample.label =
        static_cast<std::int32_t>(stream.below(static_cast<std::uint64_t>(classes), n, 100));
    sample.id = static_cast<std::int64_t>(n);
  }
  return samples;
}

}  // namespace holdfast
