#include "tensor/kernels/attention.h"

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/math.h"
#include "tensor/kernels/multiply.h"
#include "tensor/kernels/philox.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

constexpr std::int64_t round_up(std::int64_t n, std::int64_t step) {
  return (n + step - 1) / step * step;
}
constexpr std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }

// Padded extents: whole vectors, and whole octets of dropout decisions along keys.
struct Extents {
  std::int64_t queries, tokens, channels;  // M, T, D
  std::int64_t keys, width;                // T and D, padded
  std::int64_t stride;  // of a transposed matrix: T, padded beyond powers of two, whose
                        // rows would compete for the same places of the cache
  std::int64_t tile;    // queries of a tile: S of a tile stays in the second-level cache
};

template <class T>
Extents extents(std::int64_t queries, std::int64_t tokens, std::int64_t channels) {
  constexpr std::int64_t kTileElements = 16384, kStep = 12;
  const std::int64_t keys = round_up(tokens, 16);
  const std::int64_t rows = kTileElements / keys / kStep * kStep;
  const std::int64_t stride = keys % 256 == 0 ? keys + 16 : keys;
  return {.queries = queries,
          .tokens = tokens,
          .channels = channels,
          .keys = keys,
          .width = round_up(channels, kLanes<T>),
          .stride = stride,
          .tile = least(queries, rows < kStep ? kStep : rows)};
}

// Hands out aligned pieces of the scratch memory.
template <class T>
struct Pieces {
  T* next;
  T* take(std::int64_t n) {
    T* piece = next;
    next += round_up(n, 16);
    return piece;
  }
};

template <class T>
std::int64_t scratch(std::int64_t queries, std::int64_t tokens, std::int64_t channels) {
  const Extents e = extents<T>(queries, tokens, channels);
  const auto piece = [](std::int64_t n) { return round_up(n, 16); };
  return 2 * piece(channels * e.stride) + 3 * piece(tokens * e.width) +
         3 * piece(e.tile * e.width) + 2 * piece(e.tile * e.keys) +
         piece(e.tile * e.keys + kFactorsSlack) + 2 * piece(e.tile);
}

template <class T>
T inverse_root(std::int64_t channels) {
  return static_cast<T>(1.0 / __builtin_sqrt(static_cast<double>(channels)));
}

// As copy(), but what lies beside the columns of `out` stays: it belongs to other heads.
template <class T>
void put(std::int64_t rows, std::int64_t columns, const T* x, std::int64_t ldx, T factor, T* out,
         std::int64_t ld) {
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) out[r * ld + c] = factor * x[r * ldx + c];
  }
}

// Each row of s (rows, n) becomes exp(s - its max) * its factors, and `total` the sum of the
// exponentials. n is a multiple of 16, factors may be null; `past_the_end` is added to the last 16
// elements of a row: minus infinity where there is no key, so that it has no part in either. Pass
// by pass, so that no row waits for another one's reductions.
template <class T>
void exponentials(std::int64_t rows, std::int64_t n, const T* past_the_end, const T* factors, T* s,
                  T* max, T* total) {
  constexpr int W = kLanes<T>;
  for (std::int64_t i = 0; i < rows; ++i) {
    T* row = s + i * n;
    T* last = row + n - 16;
    for (std::int64_t j = 0; j < 16; j += W)
      store(last + j, load(last + j) + load(past_the_end + j));
    Lanes<T> greatest = load(row);
    for (std::int64_t j = W; j < n; j += W) {
      const Lanes<T> v = load(row + j);
      greatest = v > greatest ? v : greatest;
    }
    max[i] = fold<T>(greatest, [](Lanes<T> a, Lanes<T> b) { return a > b ? a : b; });
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    T* row = s + i * n;
    const T m = max[i];
    for (std::int64_t j = 0; j < n; ++j) row[j] = exp(row[j] - m);
  }
  for (std::int64_t i = 0; i < rows; ++i) {
    const T* row = s + i * n;
    total[i] = sum<T>(
        n, [=](std::int64_t j) { return load(row + j); }, [=](std::int64_t j) { return row[j]; });
  }
  if (factors == nullptr) return;
  for (std::int64_t j = 0; j < rows * n; j += W) store(s + j, load(s + j) * load(factors + j));
}

template <class T>
void forward(const AttentionHead<T>& head, T* out, std::int64_t ld_out, T* lse, std::int64_t ld_lse,
             T* memory) {
  const Extents e = extents<T>(head.queries, head.tokens, head.channels);
  const std::int64_t D = head.channels, keys = e.keys, width = e.width;
  const bool drop = head.dropout != nullptr;
  Pieces<T> pieces{memory};
  T* k = pieces.take(D * e.stride);  // K^T
  T* v = pieces.take(e.tokens * width);
  T* q = pieces.take(e.tile * width);
  T* s = pieces.take(e.tile * keys);
  T* factors = pieces.take(e.tile * keys + kFactorsSlack);
  T* o = pieces.take(e.tile * width);
  T* max = pieces.take(e.tile);
  T* total = pieces.take(e.tile);
  transpose(e.tokens, D, head.k, head.ld, T{1}, k, e.stride);
  copy(e.tokens, D, head.v, head.ld, T{1}, v, width);
  alignas(64) T past_the_end[16];
  for (std::int64_t j = 0; j < 16; ++j)
    past_the_end[j] = keys - 16 + j < e.tokens ? T{0} : -static_cast<T>(__builtin_inf());

  for (std::int64_t begin = 0; begin < e.queries; begin += e.tile) {
    const std::int64_t n = least(e.tile, e.queries - begin);
    copy(n, D, head.q + begin * head.ld_q, head.ld_q, inverse_root<T>(D), q, width);
    multiply<false>(n, keys, D, q, width, k, e.stride, s, keys, false);
    if (drop) {
      dropout_factors(*head.dropout, head.first_octet, head.slots + begin, head.places + begin, n,
                      keys / 8, factors);
    }
    exponentials(n, keys, past_the_end, drop ? factors : nullptr, s, max, total);
    multiply<false>(n, width, e.tokens, s, keys, v, width, o, width, false);
    for (std::int64_t i = 0; i < n; ++i) {
      copy(1, D, o + i * width, width, T{1} / total[i], out + (begin + i) * ld_out, D);
    }
    if (lse == nullptr) continue;
    for (std::int64_t i = 0; i < n; ++i) max[i] += log(total[i]);
    for (std::int64_t i = 0; i < n; ++i) lse[(begin + i) * ld_lse] = max[i];
  }
}

// From S and dP = dout V^T of one query: s becomes P * M, dp becomes dS.
template <class T>
void differentiate(std::int64_t n, const T* factors, T lse, T delta, T* s, T* dp) {
#pragma GCC ivdep
  for (std::int64_t j = 0; j < n; ++j) {
    const T p = exp(s[j] - lse), kept = factors[j];
    s[j] = p * kept;
    dp[j] = p * (kept * dp[j] - delta);
  }
}

template <class T>
T dot(const T* a, const T* b, std::int64_t n) {
  return sum<T>(
      n, [=](std::int64_t i) { return load(a + i) * load(b + i); },
      [=](std::int64_t i) { return a[i] * b[i]; });
}

template <class T>
void backward(const AttentionHead<T>& head, const T* out, const T* dout, std::int64_t ld_out,
              const T* lse, std::int64_t ld_lse, T* dq, T* dk, T* dv, T* memory) {
  const Extents e = extents<T>(head.queries, head.tokens, head.channels);
  const std::int64_t D = head.channels, keys = e.keys, width = e.width;
  Pieces<T> pieces{memory};
  T* k_transposed = pieces.take(D * e.stride);
  T* v_transposed = pieces.take(D * e.stride);
  T* k = pieces.take(e.tokens * width);
  T* dk_sum = pieces.take(e.tokens * width);
  T* dv_sum = pieces.take(e.tokens * width);
  T* q = pieces.take(e.tile * width);
  T* d = pieces.take(e.tile * width);  // dout
  T* dq_tile = pieces.take(e.tile * width);
  T* s = pieces.take(e.tile * keys);
  T* dp = pieces.take(e.tile * keys);
  T* factors = pieces.take(e.tile * keys + kFactorsSlack);
  const T scale = inverse_root<T>(D);
  transpose(e.tokens, D, head.k, head.ld, T{1}, k_transposed, e.stride);
  transpose(e.tokens, D, head.v, head.ld, T{1}, v_transposed, e.stride);
  copy(e.tokens, D, head.k, head.ld, T{1}, k, width);
  if (head.dropout == nullptr) {
    for (std::int64_t i = 0; i < e.tile * keys; ++i) factors[i] = 1;
  }

  for (std::int64_t begin = 0; begin < e.queries; begin += e.tile) {
    const std::int64_t n = least(e.tile, e.queries - begin);
    copy(n, D, head.q + begin * head.ld_q, head.ld_q, scale, q, width);
    copy(n, D, dout + begin * ld_out, ld_out, T{1}, d, width);
    multiply<false>(n, keys, D, q, width, k_transposed, e.stride, s, keys, false);
    multiply<false>(n, keys, D, d, width, v_transposed, e.stride, dp, keys, false);
    if (head.dropout != nullptr) {
      dropout_factors(*head.dropout, head.first_octet, head.slots + begin, head.places + begin, n,
                      keys / 8, factors);
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const T delta = dot(d + i * width, out + (begin + i) * ld_out, D);
      differentiate(keys, factors + i * keys, lse[(begin + i) * ld_lse], delta, s + i * keys,
                    dp + i * keys);
    }
    multiply<true>(e.tokens, width, n, s, keys, d, width, dv_sum, width, begin > 0);
    multiply<true>(e.tokens, width, n, dp, keys, q, width, dk_sum, width, begin > 0);
    multiply<false>(n, width, e.tokens, dp, keys, k, width, dq_tile, width, false);
    put(n, D, dq_tile, width, scale, dq + begin * head.ld_q, head.ld_q);
  }
  put(e.tokens, D, dk_sum, width, T{1}, dk, head.ld);
  put(e.tokens, D, dv_sum, width, T{1}, dv, head.ld);
}

template <class T>
constexpr Attention<T> kTable{scratch<T>, forward<T>, backward<T>};

}  // namespace

template <>
const Attention<float>& table<Attention<float>>() {
  return kTable<float>;
}
template <>
const Attention<double>& table<Attention<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
