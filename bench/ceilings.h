// What this machine can do at most, measured: the rates that benchmarks are held against.
#pragma once

#include <cstdint>

namespace holdfast::bench {

struct Ceilings {
  double gflops =
      0;  // f32 fused multiply-adds on registers, in the widest vectors that isa() allows
  double bf16_gflops = 0;  // dot products of AVX512_BF16 likewise; 0: not there. AMX can be faster.
  // Arrays of bytes_beyond_cache() each; bytes read and written, as the loop names them.
  double copy = 0;    // y = x, GB/s
  double triad = 0;   // y = a + s b
  double update = 0;  // y = y + s x, in place
  double read = 0;    // the sum of an array

  /// The fastest way of moving bytes.
  double bandwidth() const;
};

/// The best of several tries. All workers take part; rates are of all of them together per second.
Ceilings measure_ceilings();

/// So many bytes that an array has to come from memory: 64 MiB or twice the last-level cache.
std::int64_t bytes_beyond_cache();

/// Of the last-level cache, as the system tells it; 0: not known.
std::int64_t cache_bytes();

}  // namespace holdfast::bench
