// Every kind of importance by sums per sample in batches, beside the loop over single texts that
// others use, beside a training epoch over the same texts, and beside bare forward and backward
// passes. Sides run in turn; ratios are of medians. Also how far the random kinds are from the
// exact diagonal: the relative L2 norm of the difference, its mean over draws.
//   bench_fisher (--model DIR | --config FILE.json|PRESET) [--texts N] [--batch B] [--tokens T |
//   --data FILE.csv]
//                [--classes K] [--all 0|1] [--steps ROUNDS] [--threads N]
// Texts have T/2 to 3T/2 tokens. Seconds are for all texts once. --all 0 leaves out the loops, the
// kinds that bench/peers does not compare, and the distances.
#include "train/fisher.h"

#include <cmath>
#include <functional>
#include <span>

#include "base/parallel.h"
#include "bench/training_step.h"
#include "tensor/cpu.h"
#include "tensor/random.h"

namespace {

using namespace holdfast;
using namespace holdfast::bench;

Options defaults() {
  Options options = kWorkload;
  options.insert({{"texts", "64"}, {"tokens", "54"}, {"all", "1"}});
  return options;
}

std::vector<Sample> random_texts(const Options& options) {
  const RandomStream stream(1, "bench");
  const auto tokens = std::stoull(options.at("tokens"));
  std::vector<Sample> samples(std::stoul(options.at("texts")));
  for (std::size_t n = 0; n < samples.size(); ++n) {
    const std::uint64_t length = tokens / 2 + stream.below(tokens + 1, n, 0);
    for (std::uint64_t t = 0; t < length; ++t)
      samples[n].ids.push_back(static_cast<std::int32_t>(1000 + stream.below(20000, n, t + 1)));
    samples[n].label =
        static_cast<std::int32_t>(stream.below(std::stoull(options.at("classes")), n, 1u << 20));
  }
  return samples;
}

Batch batch_of(std::span<const Sample> samples) {
  std::vector<TokenSpan> texts;
  for (const Sample& sample : samples)
    texts.push_back({sample.ids, {}, static_cast<std::int32_t>(texts.size())});
  return pack(texts);
}

Var logits_of_texts(Model& model, std::span<const Sample> samples) {
  const Batch batch = batch_of(samples);
  return model.logits(model.pool(batch), *model.head("bench"));
}

// What others do: one text, a backward pass for each class that counts, the square of every
// parameter's gradient.
void loop_over_texts(Model& model, std::span<const Sample> samples, ImportanceKind kind) {
  const std::int64_t n = model.arena().numel();
  const Tensor fisher = Tensor::zeros({n}, model.dtype());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Var logits = logits_of_texts(model, samples.subspan(i, 1));
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

using Work = std::pair<std::string, std::function<void()>>;

/// Median seconds of each, in turn, after a round that warms up.
std::map<std::string, double> in_turn(const std::vector<Work>& works, int rounds) {
  std::map<std::string, std::vector<double>> seconds;
  for (int round = 0; round <= rounds; ++round) {
    for (const auto& [name, work] : works) {
      const auto start = Clock::now();
      work();
      if (round > 0) seconds[name].push_back(since(start));
    }
  }
  std::map<std::string, double> medians;
  for (const auto& [name, times] : seconds) medians[name] = median(times);
  return medians;
}

double relative_distance(const std::vector<double>& values, const std::vector<double>& exact) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    difference += (values[i] - exact[i]) * (values[i] - exact[i]);
    norm += exact[i] * exact[i];
  }
  return std::sqrt(difference / norm);
}

using Measure = std::function<Tensor(ImportanceKind kind, std::uint64_t seed)>;

void add_deviations(const Measure& measure, Json& out) {
  const std::vector<double> exact = measure(ImportanceKind::true_fisher, 0).to_vector();
  for (const ImportanceKind kind :
       {ImportanceKind::empirical, ImportanceKind::sampled, ImportanceKind::sketch}) {
    constexpr int kDraws = 5;
    double sum = 0;
    for (std::uint64_t seed = 0; seed < kDraws; ++seed)
      sum += relative_distance(measure(kind, seed).to_vector(), exact);
    out.set(std::string(name_of(kind)) + "_deviation", sum / kDraws);
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_main("bench_fisher", [&] {
    const Options options = parse(argc, argv, defaults());
    set_thread_count(std::stoi(options.at("threads")));
    Step step(make_model(options));
    Model& model = step.model;
    const std::vector<Sample> samples = options.at("data").empty()
                                            ? random_texts(options)
                                            : file_texts(options, std::stoul(options.at("texts")));
    const std::size_t B = std::stoul(options.at("batch"));
    std::vector<std::vector<Sample>> batches;
    for (std::size_t i = 0; i < samples.size(); i += B)
      batches.emplace_back(
          samples.begin() + static_cast<std::ptrdiff_t>(i),
          samples.begin() + static_cast<std::ptrdiff_t>(std::min(i + B, samples.size())));

    const Measure measure = [&](ImportanceKind kind, std::uint64_t seed) {
      return measure_importance(model, *model.head("bench"), samples,
                                {kind, static_cast<std::int64_t>(B), {}, seed})
          .values;
    };
    std::vector<Work> works;
    std::vector<ImportanceKind> kinds{ImportanceKind::empirical, ImportanceKind::true_fisher,
                                      ImportanceKind::sketch};
    const bool all = options.at("all") == "1";
    if (all) kinds.insert(kinds.end(), {ImportanceKind::sampled, ImportanceKind::mas});
    for (const ImportanceKind kind : kinds)
      works.emplace_back(name_of(kind), [&, kind] { measure(kind, 0); });
    if (all) {
      works.emplace_back("loop_empirical",
                         [&] { loop_over_texts(model, samples, ImportanceKind::empirical); });
      works.emplace_back("loop_true",
                         [&] { loop_over_texts(model, samples, ImportanceKind::true_fisher); });
    }
    works.emplace_back("training_epoch", [&] {
      for (const auto& batch : batches) step(batch);
    });
    works.emplace_back("forward", [&] {
      for (const auto& batch : batches) logits_of_texts(model, batch);
    });
    works.emplace_back("forward_backward", [&] {
      for (const auto& batch : batches) step.differentiate(batch);
    });
    const auto seconds = in_turn(works, std::stoi(options.at("steps")));

    Json out = Json::object({{"side", "holdfast " + std::string(name_of(isa()))}});
    for (const auto& [name, value] : seconds) out.set(name + "_seconds", value);
    if (all) add_deviations(measure, out);
    return out;
  });
}
