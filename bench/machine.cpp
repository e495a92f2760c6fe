// The machine that figures belong to: what it is, and its ceilings of this minute.
//   bench_machine [--threads N]
#include "base/parallel.h"
#include "base/version.h"
#include "bench/ceilings.h"
#include "bench/options.h"
#include "tensor/blas.h"
#include "tensor/cpu.h"

using namespace holdfast;
using namespace holdfast::bench;

int main(int argc, char** argv) {
  return run_main("bench_machine", [&] {
    const Options options = parse(argc, argv, {{"threads", "1"}});
    set_thread_count(std::stoi(options.at("threads")));
    const Ceilings ceilings = measure_ceilings();
    return Json::object({{"holdfast", version()},
                         {"cpu", cpu_name()},
                         {"cpus", available_cpus()},
                         {"isa", name_of(isa())},
                         {"gemm", gemm_description()},
                         {"cache_bytes", cache_bytes()},
                         {"threads", thread_count()},
                         {"fma_gflops", ceilings.gflops},
                         {"bf16_gflops", ceilings.bf16_gflops},
                         {"missing_for_bf16", missing_for_bf16()},
                         {"copy_gbs", ceilings.copy},
                         {"triad_gbs", ceilings.triad},
                         {"update_gbs", ceilings.update},
                         {"read_gbs", ceilings.read}});
  });
}
