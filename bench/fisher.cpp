// bench_fisher: every kind of importance by sums per sample in batches, beside the loop over single
// texts that others use and beside a training epoch over the same texts. Sides run in turn; ratios
// are of medians. Also how far the random kinds are from the exact diagonal: the relative L2 norm
// of the difference, its mean over draws.
//   bench_fisher [--config tiny|mini|small|base] [--texts N] [--batch B] [--tokens T] [--classes K]
//   [--rounds R] [--threads N]
// Texts have T/2 to 3T/2 tokens. Prints one JSON object; seconds are for all texts once.
#include "train/fisher.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "nn/model.h"
#include "tensor/cpu.h"
#include "tensor/random.h"
#include "train/optimizer.h"

namespace {

using namespace holdfast;
using Clock = std::chrono::steady_clock;
using Options = std::map<std::string, std::string>;

Options parse(int argc, char** argv) {
  Options options{{"config", "mini"}, {"texts", "64"}, {"batch", "32"}, {"tokens", "54"},
                  {"classes", "4"},   {"rounds", "5"}, {"threads", "2"}};
  for (int i = 1; i + 1 < argc; i += 2) options[std::string(argv[i]).substr(2)] = argv[i + 1];
  return options;
}

std::vector<Sample> make_texts(const Options& options) {
  const RandomStream stream(1, "bench");
  const auto tokens = std::stoull(options.at("tokens"));
  std::vector<Sample> samples(std::stoul(options.at("texts")));
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const std::uint64_t length = tokens / 2 + stream.below(tokens + 1, n, 0);
    for (std::uint64_t t = 0; t < length; ++t) {
      samples[n].ids.push_back(static_cast<std::int32_t>(1000 + stream.below(20000, n, t + 1)));
    }
    samples[n].label =
        static_cast<std::int32_t>(stream.below(std::stoull(options.at("classes")), n, 1u << 20));
  }
  return samples;
}

Batch batch_of(std::span<const Sample> samples) {
  std::vector<TokenSpan> texts;
  for (const Sample& sample : samples) {
    texts.push_back({sample.ids, {}, static_cast<std::int32_t>(texts.size())});
  }
  return pack(texts);
}

Var loss_of(Model& model, const Head& head, std::span<const Sample> samples,
            const DropoutPlan& dropout) {
  const Batch batch = batch_of(samples);
  std::vector<std::int32_t> labels;
  for (const Sample& sample : samples) labels.push_back(sample.label);
  const auto B = static_cast<std::int64_t>(samples.size());
  const Var logits = model.logits(model.pool(model.encode(batch, dropout), batch, dropout), head);
  return softmax_cross_entropy(logits, Tensor::from(labels, {B}),
                               Tensor::full({B}, model.dtype(), 1.0 / static_cast<double>(B)));
}

// What others do: one text, a backward pass for each class that counts, the square of every
// parameter's gradient.
void loop_over_texts(Model& model, const Head& head, std::span<const Sample> samples,
                     ImportanceKind kind) {
  const std::int64_t n = model.arena().numel();
  const Tensor fisher = Tensor::zeros({n}, model.dtype());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Batch batch = batch_of(samples.subspan(i, 1));
    const Var logits = model.logits(model.pool(model.encode(batch), batch), head);
    const std::vector<double> p = softmax(Var(logits.value())).value().to_vector();
    for (std::size_t y = 0; y < p.size(); ++y) {
      if (kind == ImportanceKind::empirical && static_cast<std::int32_t>(y) != samples[i].label)
        continue;
      std::vector<double> dlogits = p;
      dlogits[y] -= 1;
      model.arena().zero_grad();
      backward(logits, Tensor::from(dlogits, logits.shape()).to(model.dtype()));
      model.arena().clear_unreached();
      const float weight = kind == ImportanceKind::empirical ? 1.0F : static_cast<float>(p[y]);
      const float* g = model.arena().grads().data<float>();
      float* f = fisher.data<float>();
      parallel_for(n, 1 << 14, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t k = begin; k < end; ++k) f[k] += weight * g[k] * g[k];
      });
    }
  }
}

double relative_distance(const std::vector<double>& values, const std::vector<double>& exact) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    difference += (values[i] - exact[i]) * (values[i] - exact[i]);
    norm += exact[i] * exact[i];
  }
  return std::sqrt(difference / norm);
}

void training_epoch(Model& model, const Head& head, std::span<const Sample> samples,
                    std::size_t batch, AdamW& optimizer) {
  for (std::size_t i = 0; i < samples.size(); i += batch) {
    model.arena().zero_grad();
    backward(loss_of(model, head, samples.subspan(i, std::min(batch, samples.size() - i)),
                     {.active = true, .seed = 1, .step = static_cast<std::uint32_t>(i)}));
    model.arena().clear_unreached();
    const double norm = gradient_norm(model.arena().grads());
    optimizer.step(model.arena().values(), model.arena().grads(), 1.0, clip_factor(norm, 1.0));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const Options options = parse(argc, argv);
  set_thread_count(std::stoi(options.at("threads")));
  Model model = Model::create(BertConfig::preset(options.at("config")), DType::f32, 3);
  model.add_head("bench", std::vector<std::string>([&] {
                   std::vector<std::string> labels;
                   for (int k = 0; k < std::stoi(options.at("classes")); ++k)
                     labels.push_back(std::to_string(k));
                   return labels;
                 }()),
                 4);
  const Head& head = *model.head("bench");
  const std::vector<Sample> samples = make_texts(options);
  const std::int64_t batch = std::stol(options.at("batch"));
  const std::vector<double> rate{1e-6};
  AdamW optimizer(model.arena().numel(), DType::f32,
                  update_ranges(model.arena(), rate, 0.01, {}));

  const auto measure = [&](ImportanceKind kind, std::uint64_t seed = 0) {
    return measure_importance(model, head, samples, {kind, batch, {}, seed});
  };
  const std::vector<std::pair<const char*, std::function<void()>>> sides{
      {"empirical", [&] { measure(ImportanceKind::empirical); }},
      {"true", [&] { measure(ImportanceKind::true_fisher); }},
      {"sampled", [&] { measure(ImportanceKind::sampled); }},
      {"sketch", [&] { measure(ImportanceKind::sketch); }},
      {"mas", [&] { measure(ImportanceKind::mas); }},
      {"loop_empirical", [&] { loop_over_texts(model, head, samples, ImportanceKind::empirical); }},
      {"loop_true", [&] { loop_over_texts(model, head, samples, ImportanceKind::true_fisher); }},
      {"training_epoch",
       [&] { training_epoch(model, head, samples, static_cast<std::size_t>(batch), optimizer); }}};
  std::vector<std::vector<double>> seconds(sides.size());
  for (int round = 0; round <= std::stoi(options.at("rounds")); ++round) {  // the first warms up
    for (std::size_t side = 0; side < sides.size(); ++side) {
      const auto start = Clock::now();
      sides[side].second();
      if (round > 0)
        seconds[side].push_back(std::chrono::duration<double>(Clock::now() - start).count());
    }
  }
  std::map<std::string, double> median;
  for (std::size_t side = 0; side < sides.size(); ++side) {
    std::sort(seconds[side].begin(), seconds[side].end());
    median[sides[side].first] = seconds[side][seconds[side].size() / 2];
    std::printf("%s\"%s_seconds\":%.4f", side == 0 ? "{" : ",", sides[side].first,
                median[sides[side].first]);
  }
  const std::vector<double> exact = measure(ImportanceKind::true_fisher).values.to_vector();
  for (const ImportanceKind kind :
       {ImportanceKind::empirical, ImportanceKind::sampled, ImportanceKind::sketch}) {
    constexpr int kDraws = 5;
    double sum = 0;
    for (std::uint64_t seed = 0; seed < kDraws; ++seed) {
      sum += relative_distance(measure(kind, seed).values.to_vector(), exact);
    }
    std::printf(",\"%s_deviation\":%.4f", std::string(name_of(kind)).c_str(), sum / kDraws);
  }
  std::printf(
      ",\"loop_over_batched_empirical\":%.2f,\"loop_over_batched_true\":%.2f,\"empirical_over_"
      "epoch\":%.2f,\"isa\":\"%s\"}\n",
      median["loop_empirical"] / median["empirical"], median["loop_true"] / median["true"],
      median["empirical"] / median["training_epoch"], std::string(name_of(isa())).c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_fisher: %s\n", error.what());
  return 2;
}
