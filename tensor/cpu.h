// Which instruction set the kernels run on.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

enum class Isa { baseline, avx2, avx512 };

std::string_view name_of(Isa isa);

/// The best instruction set of this CPU, or what set_isa() or the environment variable HOLDFAST_ISA (baseline, avx2,
/// avx512; read once) asks for.
Isa isa();

/// Forces an instruction set (tests, comparisons). Throws std::invalid_argument when this CPU lacks it.
void set_isa(Isa isa);

/// Whether the instruction set in use multiplies bf16: AVX-512 with AVX512_BF16 (every CPU with AMX has it too).
bool has_bf16();

/// The CPU's model name, as the system tells it.
std::string cpu_name();

}  // namespace holdfast
