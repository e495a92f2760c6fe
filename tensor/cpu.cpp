#include "tensor/cpu.h"

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <stdexcept>

namespace holdfast {
namespace {

Isa checked(Isa wanted) {
  if (!supported(wanted)) {
    throw std::invalid_argument("[cpu] this CPU lacks the instructions of " +
                                std::string(name_of(wanted)));
  }
  return wanted;
}

Isa first_choice() {
  const char* asked = std::getenv("HOLDFAST_ISA");
  if (asked == nullptr || *asked == '\0') {
    return supported(Isa::avx512) ? Isa::avx512 : supported(Isa::avx2) ? Isa::avx2 : Isa::baseline;
  }
  std::string names;
  for (const Isa isa : kIsas) {
    if (name_of(isa) == asked) return checked(isa);
    names += (names.empty() ? "" : ", ") + std::string(name_of(isa));
  }
  throw std::invalid_argument("[cpu] HOLDFAST_ISA must be one of " + names + ", not \"" +
                              std::string(asked) + "\"");
}

std::atomic<Isa>& chosen() {
  static std::atomic<Isa> isa{first_choice()};
  return isa;
}

}  // namespace

std::string_view name_of(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
    case Isa::portable:
      return "portable";
    case Isa::portable_avx2:
      return "portable_avx2";
    case Isa::portable_avx512:
      return "portable_avx512";
  }
  throw std::logic_error("[cpu] an instruction set has no name");
}

bool is_portable(Isa isa) { return isa >= Isa::portable; }

bool supported(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx512:
    case Isa::portable_avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512cd");
    case Isa::avx2:
    case Isa::portable_avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("bmi2");
#endif
    default:
      return isa == Isa::baseline || isa == Isa::portable;
  }
}

Isa isa() { return chosen().load(std::memory_order_relaxed); }

void set_isa(Isa isa) { chosen().store(checked(isa)); }

std::string_view arithmetic() { return name_of(is_portable(isa()) ? Isa::portable : isa()); }

PortableNumerics::PortableNumerics(bool wanted) {
  if (!wanted || is_portable(before_)) return;
  set_isa(before_ == Isa::avx512 ? Isa::portable_avx512
          : before_ == Isa::avx2 ? Isa::portable_avx2
                                 : Isa::portable);
}

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
