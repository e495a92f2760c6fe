// Which set of kernels runs: compiled for an instruction set, fast or portable.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

/// The fast sets, each with rounding of its own, and the portable ones: the same bits from all of
/// them on every IEEE-754 machine (docs/numerics.md).
enum class Isa { baseline, avx2, avx512, portable, portable_avx2, portable_avx512 };
constexpr Isa kIsas[] = {Isa::baseline, Isa::avx2,          Isa::avx512,
                         Isa::portable, Isa::portable_avx2, Isa::portable_avx512};

std::string_view name_of(Isa isa);
bool is_portable(Isa isa);
/// Whether this CPU has its instructions.
bool supported(Isa isa);

/// The fast set for the best instructions of this CPU, or what set_isa() or the environment
/// variable HOLDFAST_ISA (a name; read once) asks for.
Isa isa();

/// Chooses a set. Throws std::invalid_argument when this CPU lacks its instructions.
void set_isa(Isa isa);

/// What the bits of results depend on: the name of the set, "portable" for each portable one.
std::string_view arithmetic();

/// Makes the portable set of the same instructions the one in use, to the end of the scope; does
/// nothing when not `wanted`.
class PortableNumerics {
 public:
  explicit PortableNumerics(bool wanted);
  ~PortableNumerics() { set_isa(before_); }
  PortableNumerics(const PortableNumerics&) = delete;
  PortableNumerics& operator=(const PortableNumerics&) = delete;

 private:
  Isa before_ = isa();
};

/// Whether the set in use multiplies bf16: avx512 where the CPU has AVX512_BF16 (every CPU with AMX
/// has it too).
bool has_bf16();

/// The CPU's model name, as the system tells it.
std::string cpu_name();

}  // namespace holdfast
