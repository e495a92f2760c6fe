// Our side of bench-peers: training steps of a BERT classifier (dropout 0.1, clipping, AdamW), counted in real tokens.
//   bench_step --model DIR (--full BxT | --data FILE.csv --max-length T [--batch N]) [--steps N] [--threads N]
// Prints one JSON object, as bench/peers/torch_step.py does. The same texts in the same batches.
#include <sys/resource.h>

#include <cstdio>

#include "base/parallel.h"
#include "bench/training_step.h"
#include "tensor/cpu.h"

using namespace holdfast;
using namespace holdfast::bench;

int main(int argc, char** argv) try {
  const auto options = parse(argc, argv);
  set_thread_count(std::stoi(options.at("threads")));
  const auto batches = make_batches(options);

  Step step(options.at("model"));
  step(batches.front());
  std::vector<double> seconds;
  std::int64_t tokens = 0;
  for (std::size_t i = 1; i < batches.size(); ++i) {
    const auto start = Clock::now();
    tokens += step(batches[i]);
    seconds.push_back(since(start));
  }
  double total = 0;
  for (const double s : seconds) total += s;
  std::nth_element(seconds.begin(), seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2), seconds.end());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("{\"side\":\"holdfast %s\",\"tokens_per_second\":%.1f,\"median_step_seconds\":%.4f,\"peak_bytes\":%lld}\n",
              std::string(name_of(isa())).c_str(), static_cast<double>(tokens) / total, seconds[seconds.size() / 2],
              static_cast<long long>(usage.ru_maxrss) * 1024);
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_step: %s\n", error.what());
  return 2;
}
