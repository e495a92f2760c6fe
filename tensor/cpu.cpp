#include "tensor/cpu.h"

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace holdfast {
namespace {

Isa best_isa() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd")) {
    return Isa::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")) {
    return Isa::avx2;
  }
#endif
  return Isa::baseline;
}

Isa checked(Isa wanted) {
  if (wanted > best_isa()) {
    throw std::invalid_argument("[cpu] this CPU has no " + std::string(name_of(wanted)) + "; its best is " +
                                std::string(name_of(best_isa())));
  }
  return wanted;
}

Isa first_choice() {
  const char* asked = std::getenv("HOLDFAST_ISA");
  if (asked == nullptr || *asked == '\0') return best_isa();
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (name_of(isa) == asked) return checked(isa);
  }
  throw std::invalid_argument("[cpu] HOLDFAST_ISA must be baseline, avx2 or avx512, not \"" + std::string(asked) + "\"");
}

std::atomic<Isa>& chosen() {
  static std::atomic<Isa> isa{first_choice()};
  return isa;
}

}  // namespace

std::string_view name_of(Isa isa) {
  return isa == Isa::avx512 ? "avx512" : isa == Isa::avx2 ? "avx2" : "baseline";
}

Isa isa() { return chosen().load(std::memory_order_relaxed); }

void set_isa(Isa isa) { chosen().store(checked(isa)); }

bool has_bf16() {
#if defined(__x86_64__)
  return isa() == Isa::avx512 && __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown CPU";
}

}  // namespace holdfast
