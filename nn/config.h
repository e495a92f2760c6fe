// What config.json of a BERT says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "autograd/fused.h"

namespace holdfast {

struct BertConfig {
  std::int64_t vocab_size = 30522, hidden_size = 768, layers = 12, heads = 12,
               intermediate_size = 3072;
  std::int64_t max_positions = 512, type_vocab_size = 2;
  Activation activation = Activation::gelu_erf;
  double hidden_dropout = 0.1, attention_dropout = 0.1;
  double classifier_dropout = -1;  // below 0: as hidden_dropout
  double layer_norm_eps = 1e-12, initializer_range = 0.02;
  std::vector<std::string> labels;  // id2label; empty when the file has none

  /// Reads config.json; every impossible or unsupported value is named (reliability.md's
  /// catalogue).
  static BertConfig load(const std::filesystem::path& file);
  /// tiny 2x128, mini 4x256, small 4x512, base 12x768 (heads of 64 channels). Throws
  /// std::invalid_argument for another name.
  static BertConfig preset(std::string_view name);
  /// Writes config.json as transformers does (keys sorted, indent 2): a
  /// BertForSequenceClassification with these labels, or a BertModel when there are none. `dtype`
  /// is that of the weights beside it.
  void save(const std::filesystem::path& file, const std::vector<std::string>& labels,
            DType dtype = DType::f32) const;
};

}  // namespace holdfast
