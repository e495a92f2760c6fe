// Every kernel and every fused operation beside this machine's ceilings, in one table. One thread:
// what a second one gains is bench_threads' matter. Rates are per second of processor time, so that
// other work on the machine disturbs them little; the ceilings are those of the same run.
//   bench_kernels [--benchmark_filter=REGEX]
#include "bench/kernels.h"

#include <benchmark/benchmark.h>

#include <cstdio>
#include <utility>

#include "base/parallel.h"
#include "bench/ceilings.h"
#include "tensor/blas.h"
#include "tensor/cpu.h"

namespace holdfast::bench {
namespace {
const std::string kArithmetic = "GFLOP/s", kMemory = "GB/s", kBf16 = "GFLOP/s bf16";
}  // namespace

Tensor noise(const Shape& shape, double size) {
  const Tensor x = Tensor::empty(shape, DType::f32);
  std::uint32_t state = 1;
  for (float& value : x.span<float>()) {
    state = state * 1664525 + 1013904223;
    value = static_cast<float>(size * (static_cast<double>(state >> 8) / (1 << 23) - 1.0));
  }
  return x;
}

void add_row(const std::string& kernel, const std::string& shape, const Work& work,
             std::function<Call()> prepare) {
  const std::string name = kernel + ' ' + shape;
  benchmark::RegisterBenchmark(name.c_str(), [work, prepare = std::move(prepare)](
                                                 benchmark::State& state) {
    const Call call = prepare();
    call();  // the first touches new memory
    for (auto _ : state) {
      call();
      benchmark::ClobberMemory();
    }
    for (const auto& [unit, amount] :
         {std::pair{kArithmetic, work.flops}, {kMemory, work.bytes}, {kBf16, work.bf16_flops}}) {
      if (amount > 0)
        state.counters[unit] =
            benchmark::Counter(amount * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
    }
  });
}

namespace {

/// One line a row: kernel, shape, rate, ceiling, share of it.
class Table : public benchmark::BenchmarkReporter {
 public:
  explicit Table(const Ceilings& ceilings) : ceilings_(ceilings) {}

  bool ReportContext(const Context&) override {
    std::printf("%-40s%-22s%10s%10s %-13s%7s\n", "kernel", "shape", "rate", "ceiling", "", "share");
    return true;
  }

  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      const std::string name = run.benchmark_name();
      const std::size_t space = name.find(' ');
      for (const auto& [unit, rate] : run.counters) {
        const double ceiling = unit == kMemory ? ceilings_.bandwidth()
                               : unit == kBf16 ? ceilings_.bf16_gflops
                                               : ceilings_.gflops;
        std::printf("%-40s%-22s%10.1f%10.1f %-13s%6.0f%%\n", name.substr(0, space).c_str(),
                    name.substr(space + 1).c_str(), rate.value, ceiling, unit.c_str(),
                    100 * rate.value / ceiling);
      }
    }
    std::fflush(stdout);
  }

 private:
  Ceilings ceilings_;
};

int run(int argc, char** argv) {
  set_thread_count(1);
  const Ceilings ceilings = measure_ceilings();
  std::printf("%s, %s, one thread; %s\n", cpu_name().c_str(), std::string(name_of(isa())).c_str(),
              gemm_description().c_str());
  std::printf(
      "ceilings: %.0f GFLOP/s of multiply-adds, %.0f of bf16; memory, arrays of %lld MiB: copy "
      "%.1f, triad "
      "%.1f, update in place %.1f, read %.1f GB/s\n",
      ceilings.gflops, ceilings.bf16_gflops, static_cast<long long>(bytes_beyond_cache() >> 20),
      ceilings.copy, ceilings.triad, ceilings.update, ceilings.read);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  if (const std::string missing = missing_for_bf16(); !missing.empty())
    std::printf("gemm_bf16 is left out: it needs %s\n", missing.c_str());
  add_product_kernels();
  add_row_kernels();
  add_flat_kernels();
  add_operations();
  Table table(ceilings);
  benchmark::RunSpecifiedBenchmarks(&table);
  return 0;
}

}  // namespace
}  // namespace holdfast::bench

int main(int argc, char** argv) try {
  return holdfast::bench::run(argc, argv);
} catch (const std::exception& error) {
  std::fprintf(stderr, "bench_kernels: %s\n", error.what());
  return 2;
}
