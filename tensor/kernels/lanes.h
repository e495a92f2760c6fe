// Vectors of the widest register of an instruction set, as GCC and Clang extend C++: + - * / work
// lane by lane. For loops that compilers do not vectorise by themselves: reductions (a fixed number
// of lanes, added up in a fixed order) and register blocks. Include in kernel files only
// (tensor/kernels/dispatch.h).
#pragma once

#include <cstdint>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64, kVectorRegisters = 32;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32, kVectorRegisters = 16;
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16, kVectorRegisters = 32;
#else
constexpr int kVectorBytes = 16, kVectorRegisters = 16;
#endif

// The accumulators of sum() in one row: a register of them, and in the portable sets, whose bits
// must not depend on registers, as many as the widest one has.
#if defined(HOLDFAST_PORTABLE)
constexpr int kSumBytes = 64;
#else
constexpr int kSumBytes = kVectorBytes;
#endif

template <int kBytes>
struct IntegerOf {
  using type = std::int32_t;
};
template <>
struct IntegerOf<8> {
  using type = std::int64_t;
};

template <class T>
struct LanesOf {
  typedef typename IntegerOf<sizeof(T)>::type Places __attribute__((vector_size(kVectorBytes)));
  // Loads and stores go through `Loose`, which may lie anywhere an element may.
  typedef T Vector __attribute__((vector_size(kVectorBytes)));
  typedef T Loose __attribute__((vector_size(kVectorBytes), aligned(alignof(T)), may_alias));
  static constexpr int count = kVectorBytes / static_cast<int>(sizeof(T));
};

template <class T>
using Lanes = typename LanesOf<T>::Vector;
template <class T>
using Places = typename LanesOf<T>::Places;  // numbers of lanes
template <class T>
constexpr int kLanes = LanesOf<T>::count;

template <class T>
[[gnu::always_inline]] inline Lanes<T> load(const T* p) {
  return *reinterpret_cast<const typename LanesOf<T>::Loose*>(p);
}
template <class T>
[[gnu::always_inline]] inline void store(T* p, Lanes<T> v) {
  *reinterpret_cast<typename LanesOf<T>::Loose*>(p) = v;
}
template <class T>
[[gnu::always_inline]] inline Lanes<T> spread(T x) {
  return x - Lanes<T>{};
}

/// The product of the low 32-bit halves of each lane, in 64 bits. GCC finds the one instruction for
/// it by name only.
[[gnu::always_inline]] inline Lanes<std::uint64_t> multiply_words(Lanes<std::uint64_t> a,
                                                                  Lanes<std::uint64_t> b) {
#if defined(__AVX512F__)
  return reinterpret_cast<Lanes<std::uint64_t>>(
      _mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<Lanes<std::uint64_t>>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__x86_64__)
  return reinterpret_cast<Lanes<std::uint64_t>>(
      _mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  return (a & 0xffffffff) * (b & 0xffffffff);
#endif
}

/// All lanes joined by `join`, a function of two vectors, as a tree: halves until one lane is left.
template <class T, class Join>
[[gnu::always_inline]] inline T fold(Lanes<T> v, Join&& join) {
  constexpr int W = kLanes<T>;
#pragma GCC unroll 4
  for (int half = W / 2; half > 0; half /= 2) {
    Lanes<T> rotated{};
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) rotated[i] = v[(i + half) % W];
    v = join(v, rotated);
  }
  return v[0];
}
template <class T>
[[gnu::always_inline]] inline T sum_of(Lanes<T> v) {
  return fold<T>(v, [](Lanes<T> a, Lanes<T> b) { return a + b; });
}

/// sum over i < n of term(i), with two rows of accumulators; term(i) of lanes is term_lanes(i).
/// Rows are joined as a tree, halves to halves, and the tail is added in order.
template <class T, class LaneTerm, class Term>
[[gnu::always_inline]] inline T sum(std::int64_t n, LaneTerm&& lane_term, Term&& term) {
  constexpr int W = kLanes<T>, kVectors = kSumBytes / kVectorBytes, kRow = kVectors * W;
  Lanes<T> sums[2 * kVectors] = {};
  std::int64_t i = 0;
  for (; i + 2 * kRow <= n; i += 2 * kRow) {
#pragma GCC unroll 8
    for (int v = 0; v < 2 * kVectors; ++v) sums[v] += lane_term(i + v * W);
  }
  if (i + kRow <= n) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sums[v] += lane_term(i + v * W);
    i += kRow;
  }
#pragma GCC unroll 4
  for (int half = kVectors; half > 0; half /= 2) {
#pragma GCC unroll 4
    for (int v = 0; v < half; ++v) sums[v] += sums[v + half];
  }
  T total = sum_of<T>(sums[0]);
  for (; i < n; ++i) total += term(i);
  return total;
}

}  // namespace
}  // namespace holdfast::kernels::HOLDFAST_ISA
