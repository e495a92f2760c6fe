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

/// The CPU's model name, as the system tells it.
std::string cpu_name();

}  // namespace holdfast
