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

/// Pieces of a block's shared memory for tiles of B rows of D channels.
template <class T>
struct AttentionScratch {
  std::int64_t B, D, ld;  // ld = D + 1
  T* memory;

  constexpr AttentionScratch(std::int64_t tile, std::int64_t channels, T* shared)
      : B(tile), D(channels), ld(channels + 1), memory(shared) {}
  constexpr T* matrix(int number) const { return memory + number * B * ld; }  // (B, D): 0 to 5
  constexpr T* square(int number) const {                                     // (B, B): 0 to 2
    return memory + 6 * B * ld + number * B * B;
  }
  constexpr T* row(int number) const {  // (B): 0 to 3
    return memory + 6 * B * ld + 3 * B * B + number * B;
  }

  /// `to` = factor * x for rows < count, zero below.
  template <class Team>
  constexpr void load(Team& team, const T* x, std::int64_t ldx, std::int64_t count, T factor,
                      T* to) const {
    for (std::int64_t e = team.rank(); e < B * D; e += team.size()) {
      const std::int64_t r = e / D, d = e % D;
      to[r * ld + d] = r < count ? factor * x[r * ldx + d] : T(0);
    }
  }
  template <class Team>
  constexpr void clear(Team& team, T* to) const {
    for (std::int64_t e = team.rank(); e < B * ld; e += team.size()) to[e] = T(0);
  }
  template <class Team>
  constexpr void store(Team& team, const T* from, std::int64_t count, T factor, T* x,
                       std::int64_t ldx) const {
    for (std::int64_t e = team.rank(); e < count * D; e += team.size()) {
      const std::int64_t r = e / D, d = e % D;
      x[r * ldx + d] = factor * from[r * ld + d];
    }
  }
  constexpr T dot(const T* a, std::int64_t i, const T* b, std::int64_t j) const {
    T sum = 0;
    for (std::int64_t d = 0; d < D; ++d) sum += a[i * ld + d] * b[j * ld + d];
    return sum;
  }
};

/// factors (B, B): query rows [row, row + count) of the batch, keys [key, key + B) of the text.
template <class T, class Team>
constexpr void attention_factors(Team& team, const AttentionBatch<T>& batch, std::int64_t head,
                                 std::int64_t row, std::int64_t count, std::int64_t key,
                                 std::int64_t B, T* factors) {
  const std::int64_t octets = B / 8;
  const T scale = static_cast<T>(batch.dropout.keep_scale);
  for (std::int64_t e = team.rank(); e < count * octets; e += team.size()) {
    const std::int64_t i = e / octets, o = e % octets;
    const DropoutOctet decisions(batch.dropout, (head * 65536 + key) / 8 + o, batch.slots[row + i],
                                 batch.places[row + i]);
    for (int c = 0; c < 8; ++c) factors[i * B + 8 * o + c] = decisions.kept(c) ? scale : T(0);
  }
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
    const std::int64_t D = batch.channels, B = tile;
    const AttentionUnit unit(block, batch.heads, pieces(batch.most_queries, B), B);
    const TextRows queries(batch.query_offsets, unit.text), tokens(batch.offsets, unit.text);
    if (unit.first >= queries.count) return;
    const AttentionScratch<T> scratch(B, D, team.template shared<T>());
    T *q = scratch.matrix(0), *k = scratch.matrix(1), *v = scratch.matrix(2),
      *o = scratch.matrix(3);
    T *max = scratch.row(0), *total = scratch.row(1), *correction = scratch.row(2);
    T *s = scratch.square(0), *factors = scratch.square(1);
    const std::int64_t row = queries.begin + unit.first,
                       count = least(B, queries.count - unit.first);
    scratch.load(team, batch.q + row * batch.ld_q + unit.head * D, batch.ld_q, count,
                 attention_scale<T>(D), q);
    scratch.clear(team, o);
    for (std::int64_t i = team.rank(); i < B; i += team.size()) total[i] = T(0);
    for (std::int64_t key = 0; key < tokens.count; key += B) {
      const std::int64_t keys = least(B, tokens.count - key);
      const std::int64_t at = (tokens.begin + key) * batch.ld + unit.head * D;
      scratch.load(team, batch.k + at, batch.ld, keys, T(1), k);
      scratch.load(team, batch.v + at, batch.ld, keys, T(1), v);
      if (batch.dropout.threshold > 0)
        attention_factors(team, batch, unit.head, row, count, key, B, factors);
      team.sync();
      for (std::int64_t e = team.rank(); e < B * keys; e += team.size())
        s[e / keys * B + e % keys] = scratch.dot(q, e / keys, k, e % keys);
      team.sync();
      rescale(team, keys, key == 0, s, max, total, correction);
      team.sync();
      accumulate(team, scratch, count, keys, s, factors, v, correction, o);
      team.sync();
    }
    for (std::int64_t e = team.rank(); e < count * D; e += team.size()) {
      const std::int64_t i = e / D, d = e % D;
      out[(row + i) * batch.ld_out + unit.head * D + d] = o[i * scratch.ld + d] / total[i];
    }
    for (std::int64_t i = team.rank(); i < count && batch.lse != nullptr; i += team.size())
      batch.lse[(row + i) * batch.heads + unit.head] = max[i] + std::log(total[i]);
  }

 private:
  /// Scores become exponentials over the new maximum; `correction` is what sums so far shrink by.
  template <class Team>
  constexpr void rescale(Team& team, std::int64_t keys, bool first, T* s, T* max, T* total,
                         T* correction) const {
    for (std::int64_t i = team.rank(); i < tile; i += team.size()) {
      T* row = s + i * tile;
      T largest = first ? row[0] : max[i];
      for (std::int64_t j = 0; j < keys; ++j) largest = row[j] > largest ? row[j] : largest;
      correction[i] = first ? T(0) : std::exp(max[i] - largest);
      T sum = total[i] * correction[i];
      for (std::int64_t j = 0; j < keys; ++j) {
        row[j] = std::exp(row[j] - largest);
        sum += row[j];
      }
      max[i] = largest;
      total[i] = sum;
    }
  }

  /// o = correction o + (s * factors) v
  template <class Team>
  constexpr void accumulate(Team& team, const AttentionScratch<T>& scratch, std::int64_t count,
                            std::int64_t keys, const T* s, const T* factors, const T* v,
                            const T* correction, T* o) const {
    const bool drop = batch.dropout.threshold > 0;
    for (std::int64_t e = team.rank(); e < count * scratch.D; e += team.size()) {
      const std::int64_t i = e / scratch.D, d = e % scratch.D;
      T sum = correction[i] * o[i * scratch.ld + d];
      for (std::int64_t j = 0; j < keys; ++j) {
        const T p = drop ? s[i * tile + j] * factors[i * tile + j] : s[i * tile + j];
        sum += p * v[j * scratch.ld + d];
      }
      o[i * scratch.ld + d] = sum;
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
                                std::int64_t count, std::int64_t key, std::int64_t keys,
                                const T* delta) {
  const std::int64_t B = scratch.B;
  T* factors = scratch.square(2);
  const bool drop = batch.dropout.threshold > 0;
  if (drop) {
    attention_factors(team, batch, head, row, count, key, B, factors);
    team.sync();
  }
  for (std::int64_t e = team.rank(); e < B * B; e += team.size()) {
    const std::int64_t i = e / B, j = e % B;
    T kept = 0, slope = 0;
    if (i < count && j < keys) {
      const std::int64_t at = (row + i) * batch.heads + head;
      const T p = std::exp(scratch.dot(scratch.matrix(0), i, scratch.matrix(2), j) - batch.lse[at]);
      const T factor = drop ? factors[e] : T(1);
      kept = p * factor;
      slope = p * (factor * scratch.dot(scratch.matrix(1), i, scratch.matrix(3), j) - delta[at]);
    }
    scratch.square(0)[e] = kept;
    scratch.square(1)[e] = slope;
  }
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
    const std::int64_t D = batch.channels, B = tile;
    const AttentionUnit unit(block, batch.heads, pieces(batch.most_queries, B), B);
    const TextRows queries(batch.query_offsets, unit.text), tokens(batch.offsets, unit.text);
    if (unit.first >= queries.count) return;
    const AttentionScratch<T> scratch(B, D, team.template shared<T>());
    const std::int64_t row = queries.begin + unit.first,
                       count = least(B, queries.count - unit.first), channel = unit.head * D;
    const T scale = attention_scale<T>(D);
    T* sum = scratch.matrix(4);
    scratch.load(team, batch.q + row * batch.ld_q + channel, batch.ld_q, count, scale,
                 scratch.matrix(0));
    scratch.load(team, dout + row * batch.ld_out + channel, batch.ld_out, count, T(1),
                 scratch.matrix(1));
    scratch.clear(team, sum);
    for (std::int64_t key = 0; key < tokens.count; key += B) {
      const std::int64_t keys = least(B, tokens.count - key);
      const std::int64_t at = (tokens.begin + key) * batch.ld + channel;
      scratch.load(team, batch.k + at, batch.ld, keys, T(1), scratch.matrix(2));
      scratch.load(team, batch.v + at, batch.ld, keys, T(1), scratch.matrix(3));
      team.sync();
      attention_slopes(team, scratch, batch, unit.head, row, count, key, keys, delta);
      for (std::int64_t e = team.rank(); e < count * D; e += team.size()) {
        const std::int64_t i = e / D, d = e % D;
        T more = 0;
        for (std::int64_t j = 0; j < keys; ++j)
          more += scratch.square(1)[i * B + j] * scratch.matrix(2)[j * scratch.ld + d];
        sum[i * scratch.ld + d] += more;
      }
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
    const std::int64_t D = batch.channels, B = tile;
    const AttentionUnit unit(block, batch.heads, pieces(batch.most_tokens, B), B);
    const TextRows queries(batch.query_offsets, unit.text), tokens(batch.offsets, unit.text);
    if (unit.first >= tokens.count) return;
    const AttentionScratch<T> scratch(B, D, team.template shared<T>());
    const std::int64_t keys = least(B, tokens.count - unit.first), channel = unit.head * D;
    const std::int64_t at = (tokens.begin + unit.first) * batch.ld + channel;
    T *dk_sum = scratch.matrix(4), *dv_sum = scratch.matrix(5);
    scratch.load(team, batch.k + at, batch.ld, keys, T(1), scratch.matrix(2));
    scratch.load(team, batch.v + at, batch.ld, keys, T(1), scratch.matrix(3));
    scratch.clear(team, dk_sum);
    scratch.clear(team, dv_sum);
    for (std::int64_t first = 0; first < queries.count; first += B) {
      const std::int64_t row = queries.begin + first, count = least(B, queries.count - first);
      scratch.load(team, batch.q + row * batch.ld_q + channel, batch.ld_q, count,
                   attention_scale<T>(D), scratch.matrix(0));
      scratch.load(team, dout + row * batch.ld_out + channel, batch.ld_out, count, T(1),
                   scratch.matrix(1));
      team.sync();
      attention_slopes(team, scratch, batch, unit.head, row, count, unit.first, keys, delta);
      for (std::int64_t e = team.rank(); e < keys * D; e += team.size()) {
        const std::int64_t j = e / D, d = e % D;
        T more_k = 0, more_v = 0;
        for (std::int64_t i = 0; i < count; ++i) {
          more_k += scratch.square(1)[i * B + j] * scratch.matrix(0)[i * scratch.ld + d];
          more_v += scratch.square(0)[i * B + j] * scratch.matrix(1)[i * scratch.ld + d];
        }
        dk_sum[j * scratch.ld + d] += more_k;
        dv_sum[j * scratch.ld + d] += more_v;
      }
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
