#include "train/features.h"

namespace holdfast {

void for_each_pooled(Model& model, std::span<const Sample> samples, std::int64_t batch_tokens,
                     const UsePooled& use) {
  const NoGrad no_grad;
  std::vector<TokenSpan> texts;
  std::int64_t all_tokens = 0;
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
    all_tokens += tokens;
    begin = end;
    use(model.pool(batch), static_cast<std::int64_t>(end), all_tokens);
  }
}

std::vector<float> pooled_features(Model& model, std::span<const Sample> samples,
                                   const std::function<void(std::int64_t texts)>& progress,
                                   std::int64_t batch_tokens) {
  std::vector<float> features;
  features.reserve(samples.size() * static_cast<std::size_t>(model.config().hidden_size));
  for_each_pooled(model, samples, batch_tokens,
                  [&](const Var& pooled, std::int64_t texts, std::int64_t) {
                    for (const double x : pooled.value().to_vector()) {
                      features.push_back(static_cast<float>(x));
                    }
                    if (progress) progress(texts);
                  });
  return features;
}

}  // namespace holdfast
