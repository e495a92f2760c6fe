// Attention within the texts of a packed batch [Vaswani et al. 2017, eq. 1], tile by tile with a
// running maximum and sum [Dao et al. 2022, algorithm 1], so that scores exist for one tile only:
//   S = Q K^T / sqrt(D), P = softmax(S), out = (P * M) V, M = dropout factors.
// Backward computes P anew from the saved log-sum-exp; dQ by tiles of queries, dK and dV by tiles
// of keys, so that every gradient has one owner and nothing is added atomically.
#pragma once

#include <type_traits>

#include "tensor/cuda/attention_bf16.h"
#include "tensor/cuda/attention_tile.h"
#include "tensor/cuda/attention_unit.h"
#include "tensor/cuda/dropout.h"
#include "tensor/cuda/operations.h"

namespace holdfast::cuda {

/// f(row, column) for a small matrix: in 32 bits, as a device divides slowly.
template <class Team, class F>
constexpr void for_matrix(const Team& team, int rows, int columns, const F& f) {
  for (int e = team.rank(); e < rows * columns; e += team.size()) f(e / columns, e % columns);
}

/// Pieces of a block's shared memory for tiles of B rows of D channels.
template <class T>
struct AttentionScratch {
  int B, D, ld;  // ld = D + 1
  T* memory;

  constexpr AttentionScratch(std::int64_t tile, std::int64_t channels, T* shared)
      : B(static_cast<int>(tile)), D(static_cast<int>(channels)), ld(D + 1), memory(shared) {}
  constexpr T* matrix(int number) const { return memory + number * B * ld; }  // (B, D): 0 to 5
  constexpr T* square(int number) const {                                     // (B, B): 0 to 2
    return memory + 6 * B * ld + number * B * B;
  }
  constexpr T* row(int number) const {  // (B): 0 to 3
    return memory + 6 * B * ld + 3 * B * B + number * B;
  }
  /// Rows of a tile when so many are left.
  constexpr int least_of(std::int64_t left) const { return static_cast<int>(least(B, left)); }

  /// `to` = factor * x for rows < count, zero below.
  template <class Team>
  constexpr void load(Team& team, const T* x, std::int64_t ldx, int count, T factor, T* to) const {
    for_matrix(team, B, D,
               [&](int r, int d) { to[r * ld + d] = r < count ? factor * x[r * ldx + d] : T(0); });
  }
  template <class Team>
  constexpr void clear(Team& team, T* to) const {
    for (int e = team.rank(); e < B * ld; e += team.size()) to[e] = T(0);
  }
  template <class Team>
  constexpr void store(Team& team, const T* from, int count, T factor, T* x,
                       std::int64_t ldx) const {
    for_matrix(team, count, D, [&](int r, int d) { x[r * ldx + d] = factor * from[r * ld + d]; });
  }
  constexpr T dot(const T* a, int i, const T* b, int j) const {
    T sum = 0;
    for (int d = 0; d < D; ++d) sum += a[i * ld + d] * b[j * ld + d];
    return sum;
  }
};

/// factors (B, B): query rows [row, row + count) of the batch, keys [key, key + B) of the text.
template <class T, class Team>
constexpr void attention_factors(Team& team, const AttentionBatch<T>& batch, std::int64_t head,
                                 std::int64_t row, int count, std::int64_t key, int B, T* factors) {
  const T scale = static_cast<T>(batch.dropout.keep_scale);
  for_matrix(team, count, B / 8, [&](int i, int o) {
    const DropoutOctet decisions(batch.dropout, (head * 65536 + key) / 8 + o, batch.slots[row + i],
                                 batch.places[row + i]);
    for (int c = 0; c < 8; ++c) factors[i * B + 8 * o + c] = decisions.kept(c) ? scale : T(0);
  });
}

template <class T>
constexpr Launch attention_launch(const AttentionBatch<T>& batch, std::int64_t rows,
                                  std::int64_t tile) {
  return {batch.texts * batch.heads * pieces(rows, tile), kThreads,
          attention_elements(tile, batch.channels) * static_cast<std::int64_t>(sizeof(T))};
}

template <class T>
struct AttentionForward {
  AttentionBatch<T> batch;
  std::int64_t tile;
  T* out;

  constexpr Launch launch() const { return attention_launch(batch, batch.most_queries, tile); }

  template <class Team>
  constexpr void operator()(Team& team, std::int64_t block) const {
    const AttentionUnit unit(block, batch.heads, pieces(batch.most_queries, tile), tile);
    const TextRows queries(batch.query_offsets, unit.text), tokens(batch.offsets, unit.text);
    if (unit.first >= queries.count) return;
    const std::int64_t row = queries.begin + unit.first, channel = unit.head * batch.channels;
    const AttentionScratch<T> scratch(tile, batch.channels, team.template shared<T>());
    const int B = scratch.B, count = scratch.least_of(queries.count - unit.first);
    T *q = scratch.matrix(0), *k = scratch.matrix(1), *v = scratch.matrix(2),
      *o = scratch.matrix(3);
    T *max = scratch.row(0), *total = scratch.row(1);
    T *s = scratch.square(0), *factors = scratch.square(1);
    scratch.load(team, batch.q + row * batch.ld_q + channel, batch.ld_q, count,
                 attention_scale<T>(batch.channels), q);
    scratch.clear(team, o);
    for (int i = team.rank(); i < B; i += team.size()) total[i] = T(0);
    for (std::int64_t key = 0; key < tokens.count; key += B) {
      const int keys = scratch.least_of(tokens.count - key);
      const std::int64_t at = (tokens.begin + key) * batch.ld + channel;
      scratch.load(team, batch.k + at, batch.ld, keys, T(1), k);
      scratch.load(team, batch.v + at, batch.ld, keys, T(1), v);
      if (batch.dropout.threshold > 0)
        attention_factors(team, batch, unit.head, row, count, key, B, factors);
      team.sync();
      for_matrix(team, count, keys, [&](int i, int j) { s[i * B + j] = scratch.dot(q, i, k, j); });
      team.sync();
      exponentials(team, scratch, count, keys, key == 0);
      accumulate(team, scratch, count, keys);
      team.sync();
    }
    for_matrix(team, count, scratch.D, [&](int i, int d) {
      out[(row + i) * batch.ld_out + channel + d] = o[i * scratch.ld + d] / total[i];
    });
    for (int i = team.rank(); i < count && batch.lse != nullptr; i += team.size())
      batch.lse[(row + i) * batch.heads + unit.head] = max[i] + std::log(total[i]);
  }

 private:
  static constexpr int kParts = 4;  // of a row, each every fourth key: 2 B kParts <= B^2

  static constexpr T larger(T a, T b) { return a > b ? a : b; }
  /// The maximum of a row's scores up to this tile.
  static constexpr T new_max(const AttentionScratch<T>& scratch, int i, bool first) {
    const T* parts = scratch.square(2) + i * kParts;
    T largest = first ? parts[0] : scratch.row(0)[i];
    for (int part = 0; part < kParts; ++part) largest = larger(parts[part], largest);
    return largest;
  }

  /// Scores (square 0) become exponentials over the new maximum (row 3), times dropout factors;
  /// square 2 has the maximum of each part of a row, and behind it the sum.
  template <class Team>
  constexpr void exponentials(Team& team, const AttentionScratch<T>& scratch, int count, int keys,
                              bool first) const {
    const int B = scratch.B;
    const bool drop = batch.dropout.threshold > 0;
    T *s = scratch.square(0), *parts = scratch.square(2), *sums = parts + kParts * B;
    const T* factors = scratch.square(1);
    for_matrix(team, count, kParts, [&](int i, int part) {
      T largest = s[i * B];  // of any part: the row's maximum stays what it is
      for (int j = part; j < keys; j += kParts) largest = larger(s[i * B + j], largest);
      parts[i * kParts + part] = largest;
    });
    team.sync();
    for_matrix(team, count, kParts, [&](int i, int part) {
      const T largest = new_max(scratch, i, first);
      T sum = 0;
      for (int j = part; j < keys; j += kParts) {
        const T p = std::exp(s[i * B + j] - largest);
        sum += p;
        s[i * B + j] = drop ? p * factors[i * B + j] : p;
      }
      sums[i * kParts + part] = sum;
      if (part != 0) return;
      scratch.row(2)[i] = first ? T(0) : std::exp(scratch.row(0)[i] - largest);
      scratch.row(3)[i] = largest;
    });
    team.sync();
  }

  /// o = c o + s v, total = c total + the sum of exponentials: c (row 2) is what they shrink by.
  template <class Team>
  constexpr void accumulate(Team& team, const AttentionScratch<T>& scratch, int count,
                            int keys) const {
    const int B = scratch.B, ld = scratch.ld;
    const T *s = scratch.square(0), *v = scratch.matrix(2), *correction = scratch.row(2);
    const T* sums = scratch.square(2) + kParts * B;
    T *o = scratch.matrix(3), *total = scratch.row(1);
    for_matrix(team, count, scratch.D, [&](int i, int d) {
      T sum = correction[i] * o[i * ld + d];
      for (int j = 0; j < keys; ++j) sum += s[i * B + j] * v[j * ld + d];
      o[i * ld + d] = sum;
    });
    for (int i = team.rank(); i < count; i += team.size()) {
      T sum = correction[i] * total[i];
      for (int part = 0; part < kParts; ++part) sum += sums[i * kParts + part];
      total[i] = sum;
      scratch.row(0)[i] = scratch.row(3)[i];
    }
  }
};

/// delta[m, h] = sum over the head's channels of dout * out.
template <class T>
struct AttentionDelta {
  AttentionBatch<T> batch;
  const T *out, *dout;
  T* delta;
  constexpr void operator()(std::int64_t i) const {
    const std::int64_t D = batch.channels;
    const std::int64_t at = i / batch.heads * batch.ld_out + i % batch.heads * D;
    T sum = 0;
    for (std::int64_t d = 0; d < D; ++d) sum += dout[at + d] * out[at + d];
    delta[i] = sum;
  }
};

/// A tile of queries against a tile of keys, for both gradients: from Q (scaled), dO, K, V in
/// scratch matrices 0 to 3, P * M in square 0 and dS = P (M dP - delta) in square 1.
template <class T, class Team>
constexpr void attention_slopes(Team& team, const AttentionScratch<T>& scratch,
                                const AttentionBatch<T>& batch, std::int64_t head, std::int64_t row,
                                int count, std::int64_t key, int keys, const T* delta) {
  const int B = scratch.B;
  T* factors = scratch.square(2);
  const bool drop = batch.dropout.threshold > 0;
  if (drop) {
    attention_factors(team, batch, head, row, count, key, B, factors);
    team.sync();
  }
  for_matrix(team, count, keys, [&](int i, int j) {
    const std::int64_t at = (row + i) * batch.heads + head;
    const T p = std::exp(scratch.dot(scratch.matrix(0), i, scratch.matrix(2), j) - batch.lse[at]);
    const T factor = drop ? factors[i * B + j] : T(1);
    const T dp = scratch.dot(scratch.matrix(1), i, scratch.matrix(3), j);
    scratch.square(0)[i * B + j] = p * factor;
    scratch.square(1)[i * B + j] = p * (factor * dp - delta[at]);
  });
  team.sync();
}

template <class T>
struct AttentionQueryGradient {
  AttentionBatch<T> batch;
  std::int64_t tile;
  const T *dout, *delta;
  T* dq;

  constexpr Launch launch() const { return attention_launch(batch, batch.most_queries, tile); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t block) const {
    const AttentionUnit unit(block, batch.heads, pieces(batch.most_queries, tile), tile);
    const TextRows queries(batch.query_offsets, unit.text), tokens(batch.offsets, unit.text);
    if (unit.first >= queries.count) return;
    const std::int64_t row = queries.begin + unit.first, channel = unit.head * batch.channels;
    const AttentionScratch<T> scratch(tile, batch.channels, team.template shared<T>());
    const int B = scratch.B, count = scratch.least_of(queries.count - unit.first);
    const T scale = attention_scale<T>(batch.channels);
    T* sum = scratch.matrix(4);
    scratch.load(team, batch.q + row * batch.ld_q + channel, batch.ld_q, count, scale,
                 scratch.matrix(0));
    scratch.load(team, dout + row * batch.ld_out + channel, batch.ld_out, count, T(1),
                 scratch.matrix(1));
    scratch.clear(team, sum);
    for (std::int64_t key = 0; key < tokens.count; key += B) {
      const int keys = scratch.least_of(tokens.count - key);
      const std::int64_t at = (tokens.begin + key) * batch.ld + channel;
      scratch.load(team, batch.k + at, batch.ld, keys, T(1), scratch.matrix(2));
      scratch.load(team, batch.v + at, batch.ld, keys, T(1), scratch.matrix(3));
      team.sync();
      attention_slopes(team, scratch, batch, unit.head, row, count, key, keys, delta);
      for_matrix(team, count, scratch.D, [&](int i, int d) {
        T more = 0;
        for (int j = 0; j < keys; ++j)
          more += scratch.square(1)[i * B + j] * scratch.matrix(2)[j * scratch.ld + d];
        sum[i * scratch.ld + d] += more;
      });
      team.sync();
    }
    scratch.store(team, sum, count, scale, dq + row * batch.ld_q + channel, batch.ld_q);
  }
};

template <class T>
struct AttentionKeyGradient {
  AttentionBatch<T> batch;
  std::int64_t tile;
  const T *dout, *delta;
  T *dk, *dv;

  constexpr Launch launch() const { return attention_launch(batch, batch.most_tokens, tile); }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t block) const {
    const AttentionUnit unit(block, batch.heads, pieces(batch.most_tokens, tile), tile);
    const TextRows queries(batch.query_offsets, unit.text), tokens(batch.offsets, unit.text);
    if (unit.first >= tokens.count) return;
    const std::int64_t channel = unit.head * batch.channels,
                       at = (tokens.begin + unit.first) * batch.ld + channel;
    const AttentionScratch<T> scratch(tile, batch.channels, team.template shared<T>());
    const int B = scratch.B, ld = scratch.ld, keys = scratch.least_of(tokens.count - unit.first);
    T *dk_sum = scratch.matrix(4), *dv_sum = scratch.matrix(5);
    scratch.load(team, batch.k + at, batch.ld, keys, T(1), scratch.matrix(2));
    scratch.load(team, batch.v + at, batch.ld, keys, T(1), scratch.matrix(3));
    scratch.clear(team, dk_sum);
    scratch.clear(team, dv_sum);
    for (std::int64_t first = 0; first < queries.count; first += B) {
      const std::int64_t row = queries.begin + first;
      const int count = scratch.least_of(queries.count - first);
      scratch.load(team, batch.q + row * batch.ld_q + channel, batch.ld_q, count,
                   attention_scale<T>(batch.channels), scratch.matrix(0));
      scratch.load(team, dout + row * batch.ld_out + channel, batch.ld_out, count, T(1),
                   scratch.matrix(1));
      team.sync();
      attention_slopes(team, scratch, batch, unit.head, row, count, unit.first, keys, delta);
      for_matrix(team, keys, scratch.D, [&](int j, int d) {
        T more_k = 0, more_v = 0;
        for (int i = 0; i < count; ++i) {
          more_k += scratch.square(1)[i * B + j] * scratch.matrix(0)[i * ld + d];
          more_v += scratch.square(0)[i * B + j] * scratch.matrix(1)[i * ld + d];
        }
        dk_sum[j * ld + d] += more_k;
        dv_sum[j * ld + d] += more_v;
      });
      team.sync();
    }
    scratch.store(team, dk_sum, keys, T(1), dk + at, batch.ld);
    scratch.store(team, dv_sum, keys, T(1), dv + at, batch.ld);
  }
};

template <class Launcher, class T>
void attention_forward(const AttentionBatch<T>& batch, T* out) {
  if constexpr (std::is_same_v<T, float>) {
    if (in_bf16(batch)) {
      return with_channels(batch.channels, [&]<int K>() {
        Launcher::run(AttentionForwardBf16<K>{batch, attention_scale<float>(batch.channels), out});
      });
    }
  }
  Launcher::run(AttentionForward<T>{batch, attention_tile(batch.channels, sizeof(T)), out});
}

template <class Launcher, class T>
void attention_backward(const AttentionBatch<T>& batch, const T* out, const T* dout, T* delta,
                        T* dq, T* dk, T* dv) {
  for_each<Launcher>(AttentionDelta<T>{batch, out, dout, delta}, batch.rows * batch.heads);
  if constexpr (std::is_same_v<T, float>) {
    if (in_bf16(batch)) {
      return with_channels(batch.channels, [&]<int K>() {
        const float scale = attention_scale<float>(batch.channels);
        Launcher::run(AttentionQueryGradientBf16<K>{batch, scale, dout, delta, dq});
        Launcher::run(AttentionKeyGradientBf16<K>{batch, scale, dout, delta, dk, dv});
      });
    }
  }
  const std::int64_t tile = attention_tile(batch.channels, sizeof(T));
  Launcher::run(AttentionQueryGradient<T>{batch, tile, dout, delta, dq});
  Launcher::run(AttentionKeyGradient<T>{batch, tile, dout, delta, dk, dv});
}

template <class Launcher, class T>
constexpr AttentionOfBatch<T> attention{.forward = attention_forward<Launcher, T>,
                                        .backward = attention_backward<Launcher, T>};

}  // namespace holdfast::cuda
