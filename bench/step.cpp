// Training steps of a BERT classifier (dropout 0.1, clipping, AdamW): our side of bench/peers.
//   bench_step (--model DIR | --config FILE.json|PRESET) (--full BxT | --data FILE.csv [--batch B]
//   [--max-length T])
//              [--steps N] [--threads N] [--classes K]
// Tokens are real ones; GFLOP/s count useful work alone (useful_work.h). One step warms up. A step
// ends when the update's sums are known, and so with what a device was asked for.
#include "base/parallel.h"
#include "bench/training_step.h"
#include "bench/useful_work.h"
#include "tensor/cpu.h"
#include "tensor/storage.h"

using namespace holdfast;
using namespace holdfast::bench;

int main(int argc, char** argv) {
  return run_main("bench_step", [&] {
    const Options options = parse(argc, argv, kWorkload);
    set_thread_count(std::stoi(options.at("threads")));
    const Where where(options);
    const auto batches = make_batches(options, std::stoul(options.at("steps")) + 1);
    Step step(make_model(options));
    step(batches.front());
    std::vector<double> seconds;
    double total = 0, flops = 0;
    std::int64_t tokens = 0;
    for (std::size_t i = 1; i < batches.size(); ++i) {
      const auto start = Clock::now();
      step(batches[i]);
      seconds.push_back(since(start));
      total += seconds.back();
      tokens += tokens_of(batches[i]);
      flops += useful_flops(step.model.config(), batches[i]);
    }
    return Json::object({{"side", "holdfast " + std::string(name_of(isa()))},
                         {"rate", static_cast<double>(tokens) / total},
                         {"gflops", flops / total * 1e-9},
                         {"step_seconds", median(seconds)},
                         {"tokens", tokens},
                         {"peak_bytes", peak_bytes()},
                         {"peak_tensor_bytes", memory_use().peak}});
  });
}
