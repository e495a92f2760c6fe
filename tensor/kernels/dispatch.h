// One table of functions an operation and element type, compiled once per instruction set, picked
// at run time.
//
// tensor/kernels/<op>.h declares a struct of function pointers, say `LayerNorm<T>`;
// tensor/kernels/<op>.cpp, compiled into namespace HOLDFAST_ISA, specialises
// `table<LayerNorm<float>>()` and `<double>`; callers write
// `kernels::best<LayerNorm<T>>().forward(...)`. Kernel files hold internal-linkage functions on raw
// pointers and include no standard header with inline functions: an AVX-512 copy of a weak symbol
// kept by the linker would crash other CPUs.
#pragma once

#include "tensor/cpu.h"

namespace holdfast::kernels {

namespace baseline {
template <class Table>
const Table& table();
}
namespace avx2 {
template <class Table>
const Table& table();
}
namespace avx512 {
template <class Table>
const Table& table();
}
namespace portable {
template <class Table>
const Table& table();
}
namespace portable_avx2 {
template <class Table>
const Table& table();
}
namespace portable_avx512 {
template <class Table>
const Table& table();
}

template <class Table>
const Table& best() {
  switch (isa()) {
#if defined(__x86_64__)
    case Isa::avx512:
      return avx512::table<Table>();
    case Isa::avx2:
      return avx2::table<Table>();
    case Isa::portable_avx512:
      return portable_avx512::table<Table>();
    case Isa::portable_avx2:
      return portable_avx2::table<Table>();
#endif
    case Isa::portable:
      return portable::table<Table>();
    default:
      return baseline::table<Table>();
  }
}

}  // namespace holdfast::kernels
