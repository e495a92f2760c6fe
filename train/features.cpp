#include "train/features.h"

namespace holdfast {

std::vector<float> pooled_features(Model& model, std::span<const Sample> samples,
                                   const std::function<void(std::int64_t texts)>& progress,
                                   std::int64_t batch_tokens) {
  const NoGrad no_grad;
  std::vector<float> features;
  features.reserve(samples.size() * static_cast<std::size_t>(model.config().hidden_size));
  std::vector<TokenSpan> texts;
  for (std::size_t begin = 0; begin < samples.size();) {
    texts.clear();
    std::int64_t tokens = 0;
    std::size_t end = begin;
    do {
      const Sample& sample = samples[end++];
      texts.push_back({sample.ids, sample.type_ids, static_cast<std::int32_t>(texts.size())});
      tokens += static_cast<std::int64_t>(sample.ids.size());
    } while (end < samples.size() &&
             tokens + static_cast<std::int64_t>(samples[end].ids.size()) <= batch_tokens);
    const Batch batch = pack(texts);
    for (const double x : model.pool(model.encode(batch), batch).value().to_vector()) {
      features.push_back(static_cast<float>(x));
    }
    begin = end;
    if (progress) progress(static_cast<std::int64_t>(end));
  }
  return features;
}

}  // namespace holdfast
