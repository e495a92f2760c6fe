// Predictions of a BERT classifier: our side of bench/peers.
//   bench_infer --model DIR --data FILE.csv [--batch B] [--max-length T] [--steps N] [--threads N]
// N batches from token ids to probabilities; tokenising is not timed. One batch warms up.
#include "base/parallel.h"
#include "bench/workload.h"
#include "tensor/cpu.h"
#include "train/evaluate.h"

using namespace holdfast;
using namespace holdfast::bench;

int main(int argc, char** argv) {
  return run_main("bench_infer", [&] {
    const Options options = parse(argc, argv, kWorkload);
    set_thread_count(std::stoi(options.at("threads")));
    const Where where(options);
    const auto batches = make_batches(options, std::stoul(options.at("steps")) + 1);
    Model model = Model::load(options.at("model"), DType::f32);
    if (model.heads().empty()) throw std::invalid_argument("--model: has no head");
    std::vector<double> seconds;
    double total = 0, sum = 0;
    std::int64_t texts = 0, tokens = 0;
    for (std::size_t i = 0; i < batches.size(); ++i) {
      const auto start = Clock::now();
      const std::vector<double> p =
          probabilities(model, model.heads().front(), batches[i], {}, tokens_of(batches[i]));
      if (i == 0) continue;
      seconds.push_back(since(start));
      total += seconds.back();
      texts += static_cast<std::int64_t>(batches[i].size());
      tokens += tokens_of(batches[i]);
      for (std::size_t k = 0; k < p.size(); k += model.heads().front().labels.size()) sum += p[k];
    }
    return Json::object({{"side", "holdfast " + std::string(name_of(isa()))},
                         {"rate", static_cast<double>(texts) / total},
                         {"batch_seconds", median(seconds)},
                         {"tokens", tokens},
                         {"mean_of_class_0", sum / static_cast<double>(texts)},
                         {"peak_bytes", peak_bytes()},
                         {"peak_tensor_bytes", memory_use().peak}});
  });
}
