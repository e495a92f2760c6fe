// attention.h's arithmetic with products of bf16 operands on tensor cores (warp.h), cut as in
// FlashAttention-2 [Dao 2023, section 3.3]: a warp takes 16 rows of a block's 64, and scores,
// probabilities and sums stay in its registers. q, k, v and dout are rounded to bf16 once, as they
// come into a block's memory, q before it is scaled. Then, [x] being x rounded to bf16,
//   S = Q K^T / sqrt(D), P = exp(S - m), m the running maximum, out = keep [P M] V / sum P
//   P = exp(S - lse), dP = dO V^T, dS = P (keep M dP - delta),
//   dV = keep [P M]^T dO, dQ = [dS] K / sqrt(D), dK = [dS]^T Q / sqrt(D)
// where M is 0 or 1 and keep the scale of what dropout leaves. All else is f32, and so are sums.
//
// What bounds it: a load of four matrices for every two multiplications, so shared memory about as
// much as the tensor cores; for short texts, reading f32 and rounding it. Up to 64 channels, nvcc
// takes 94 to 168 registers a thread: three to five blocks a multiprocessor.
#pragma once

#include <limits>

#include "tensor/cuda/attention_unit.h"
#include "tensor/cuda/dropout.h"
#include "tensor/cuda/warp.h"

namespace holdfast::cuda {

inline constexpr int kStrips = 4, kStripRows = 16, kTileRows = kStrips * kStripRows;

/// Channels that D are filled up to, with zeros: 32, 64 or 128; 0: there are too many.
constexpr int bf16_attention_channels(std::int64_t D) {
  return D <= 32 ? 32 : D <= 64 ? 64 : D <= 128 ? 128 : 0;
}

/// A block's memory for tiles of K channels: matrices in bf16, two numbers a register, of rows
/// kRowRegisters<K> apart; two registers a row of dropout decisions; two f32 a row.
template <int K>
struct Bf16Tiles {
  std::uint32_t* kept;
  float *lse, *delta;
  std::uint32_t* matrices;

  template <class Team>
  explicit constexpr Bf16Tiles(const Team& team)
      : kept(team.template shared<std::uint32_t>()),
        lse(team.template shared<float>() + 2 * kTileRows),
        delta(lse + kTileRows),
        matrices(kept + 4 * kTileRows) {}
  static constexpr std::int64_t bytes(int matrices) {
    return 4 * kTileRows * (4 + matrices * kRowRegisters<K>);
  }
  constexpr std::uint32_t* matrix(int number, int row = 0) const {
    return matrices + (number * kTileRows + row) * kRowRegisters<K>;
  }

  /// Rows of x in bf16; zeros in channels from D on and in rows from `count` to the next sixteen.
  template <class Team>
  constexpr void load(Team& team, const float* x, std::int64_t ldx, std::int64_t count,
                      std::int64_t D, std::uint32_t* to) const {
    const bool whole = D % 4 == 0 && ldx % 4 == 0 && Team::aligned(x);
    const int end = static_cast<int>(pieces(count, kStripRows)) * kStripRows * (K / 4);
    for (int e = team.rank(); e < end; e += team.size()) {
      const int r = e / (K / 4), d = e % (K / 4) * 4;
      const float* from = x + r * ldx + d;
      float four[4] = {};
      if (r < count && d < D && whole) Team::load_four(from, four);
      for (int i = 0; i < 4 && !whole; ++i) {
        if (r < count && d + i < D) four[i] = from[i];
      }
      std::uint32_t* pairs = to + r * kRowRegisters<K> + d / 2;
      pairs[0] = Team::bf16_pair(four[0], four[1]);
      pairs[1] = Team::bf16_pair(four[2], four[3]);
    }
  }
};

/// kept: two registers for each query row [row, row + count) of the batch, a bit for each of the
/// `keys` keys from `key` on: whether dropout keeps it.
template <class Team>
constexpr void attention_decisions(Team& team, const AttentionBatch<float>& batch,
                                   std::int64_t head, std::int64_t row, std::int64_t count,
                                   std::int64_t key, std::int64_t keys, std::uint32_t* kept) {
  for (std::int64_t e = team.rank(); e < 2 * count; e += team.size()) {
    const std::int64_t at = row + e / 2, first = key + e % 2 * 32;
    std::uint32_t bits = 0;
    for (int c = 0; c < 32 && first + c < key + keys; c += 8) {
      const DropoutOctet decisions(batch.dropout, (head * 65536 + first + c) / 8, batch.slots[at],
                                   batch.places[at]);
      for (int i = 0; i < 8; ++i) bits |= static_cast<std::uint32_t>(decisions.kept(i)) << (c + i);
    }
    kept[e] = bits;
  }
}

/// Keys [key, key + kTileRows) of the text, as far as it has them, and their values: to matrices
/// `number` and the next; and what dropout keeps of them for query rows [row, row + count).
template <int K, class Team>
constexpr void load_keys(Team& team, const Bf16Tiles<K>& tiles, const AttentionBatch<float>& batch,
                         const AttentionUnit& unit, std::int64_t row, std::int64_t count,
                         const TextRows& tokens, std::int64_t key, int number) {
  const std::int64_t D = batch.channels, keys = least(kTileRows, tokens.count - key),
                     at = (tokens.begin + key) * batch.ld + unit.head * D;
  tiles.load(team, batch.k + at, batch.ld, keys, D, tiles.matrix(number));
  tiles.load(team, batch.v + at, batch.ld, keys, D, tiles.matrix(number + 1));
  if (batch.dropout.threshold > 0)
    attention_decisions(team, batch, unit.head, row, count, key, keys, tiles.kept);
}

/// Unsigned, so that a quotient and remainder are constants but for the lane: else the compiler
/// keeps both in registers for every element.
constexpr bool attention_kept(const std::uint32_t* kept, int query, int key) {
  const auto bit = static_cast<unsigned>(key);
  return (kept[2 * query + bit / 32] >> (bit % 32) & 1) != 0;
}

/// x (rows, D) = factor(row) * sum, rows [0, count).
template <int N, class Team, class Factor>
constexpr void store_strip(const Team& team, Accumulator<Team, N>& sum, std::int64_t count,
                           std::int64_t D, float* x, std::int64_t ldx, const Factor& factor) {
  for_elements<N>(team, D, [&](const Element& at) {
    if (at.row < count && at.column < D) x[at.row * ldx + at.column] = factor(at) * sum[at];
  });
}

constexpr Launch bf16_attention_launch(const AttentionBatch<float>& batch, std::int64_t rows,
                                       std::int64_t bytes) {
  return {batch.texts * batch.heads * pieces(rows, kTileRows), kStrips * kWarp, bytes};
}

constexpr float attention_keep(const AttentionBatch<float>& batch) {
  return batch.dropout.threshold > 0 ? static_cast<float>(batch.dropout.keep_scale) : 1.0F;
}

/// f(first row, whether there is one) for the strips of a tile of `count` rows: a strip a warp, all
/// warps together. A team of fewer warps than strips, as in tests, takes several rounds.
template <class Team, class F>
constexpr void for_strips(const Team& team, std::int64_t count, const F& f) {
  for (int strip = 0; strip < kStrips && strip * kStripRows < count; strip += team.warps()) {
    const int row = (strip + team.warp()) * kStripRows;
    f(row, row < least(count, kTileRows));
  }
}

template <int K>
struct AttentionForwardBf16 {
  AttentionBatch<float> batch;
  float scale;  // 1 / sqrt(D)
  float* out;

  constexpr Launch launch() const {
    return bf16_attention_launch(batch, batch.most_queries, Bf16Tiles<K>::bytes(3));
  }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t block) const {
    const AttentionUnit unit(block, batch.heads, pieces(batch.most_queries, kTileRows), kTileRows);
    const TextRows queries(batch.query_offsets, unit.text), tokens(batch.offsets, unit.text);
    if (unit.first >= queries.count) return;
    const std::int64_t D = batch.channels, channel = unit.head * D,
                       row = queries.begin + unit.first,
                       count = least(kTileRows, queries.count - unit.first);
    const Bf16Tiles<K> tiles(team);
    tiles.load(team, batch.q + row * batch.ld_q + channel, batch.ld_q, count, D, tiles.matrix(0));
    for_strips(team, count, [&](int strip, bool has_rows) {
      Strip<Team> sums{};
      for_rows(team,
               [&](const Element& at) { sums.max[at] = -std::numeric_limits<float>::infinity(); });
      for (std::int64_t key = 0; key < tokens.count; key += kTileRows) {
        const std::int64_t keys = least(kTileRows, tokens.count - key);
        load_keys(team, tiles, batch, unit, row, count, tokens, key, 1);
        team.sync();
        if (has_rows) add_keys(team, tiles, strip, keys, sums);
        team.sync();
      }
      if (has_rows) store(team, sums, row + strip, count - strip, unit.head);
    });
  }

 private:
  /// Of 16 queries: sum of P V, maximum of the scores, and sum of P, each lane's own columns.
  template <class Team>
  struct Strip {
    Accumulator<Team, K / 8> o;
    RowValues<Team> max, total;
  };

  template <class Team>
  constexpr void add_keys(Team& team, const Bf16Tiles<K>& tiles, int strip, std::int64_t keys,
                          Strip<Team>& sums) const {
    const bool drops = batch.dropout.threshold > 0;
    Accumulator<Team, kTileRows / 8> s{};
    add_product_of_rows<K>(team, tiles.matrix(0, strip), tiles.matrix(1), keys, s);
    RowValues<Team> max = sums.max;
    for_elements<kTileRows / 8>(team, keys, [&](const Element& at) {
      s[at] = at.column < keys ? scale * s[at] : -std::numeric_limits<float>::infinity();
      if (s[at] > max[at]) max[at] = s[at];
    });
    fold_rows(team, max, [](float a, float b) { return a > b ? a : b; });
    RowValues<Team> correction;
    for_rows(team, [&](const Element& at) {
      correction[at] = std::exp(sums.max[at] - max[at]);
      sums.total[at] *= correction[at];
      sums.max[at] = max[at];
    });
    for_elements<K / 8>(team, K, [&](const Element& at) { sums.o[at] *= correction[at]; });
    for_elements<kTileRows / 8>(team, keys, [&](const Element& at) {
      s[at] = std::exp(s[at] - max[at]);
      sums.total[at] += s[at];
      if (drops && !attention_kept(tiles.kept, strip + at.row, at.column)) s[at] = 0;
    });
    add_product(team, s, tiles.matrix(2), keys, sums.o);
  }

  template <class Team>
  constexpr void store(Team& team, Strip<Team>& sums, std::int64_t row, std::int64_t count,
                       std::int64_t head) const {
    const std::int64_t D = batch.channels;
    const float keep = attention_keep(batch);
    fold_rows(team, sums.total, [](float a, float b) { return a + b; });
    store_strip(team, sums.o, count, D, out + row * batch.ld_out + head * D, batch.ld_out,
                [&](const Element& at) { return keep / sums.total[at]; });
    if (batch.lse == nullptr) return;
    for_rows(team, [&](const Element& at) {
      if (at.row < count && at.column == 0)
        batch.lse[(row + at.row) * batch.heads + head] = sums.max[at] + std::log(sums.total[at]);
    });
  }
};

template <int K>
struct AttentionQueryGradientBf16 {
  AttentionBatch<float> batch;
  float scale;  // 1 / sqrt(D)
  const float *dout, *delta;
  float* dq;

  constexpr Launch launch() const {
    return bf16_attention_launch(batch, batch.most_queries, Bf16Tiles<K>::bytes(4));
  }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t block) const {
    const AttentionUnit unit(block, batch.heads, pieces(batch.most_queries, kTileRows), kTileRows);
    const TextRows queries(batch.query_offsets, unit.text), tokens(batch.offsets, unit.text);
    if (unit.first >= queries.count) return;
    const std::int64_t D = batch.channels, channel = unit.head * D,
                       row = queries.begin + unit.first,
                       count = least(kTileRows, queries.count - unit.first);
    const Bf16Tiles<K> tiles(team);
    tiles.load(team, batch.q + row * batch.ld_q + channel, batch.ld_q, count, D, tiles.matrix(0));
    tiles.load(team, dout + row * batch.ld_out + channel, batch.ld_out, count, D, tiles.matrix(1));
    for_strips(team, count, [&](int strip, bool has_rows) {
      Accumulator<Team, K / 8> sum{};
      RowValues<Team> lse{}, slope{};
      for_rows(team, [&](const Element& at) {
        if (strip + at.row >= count) return;
        const std::int64_t of = (row + strip + at.row) * batch.heads + unit.head;
        lse[at] = batch.lse[of];
        slope[at] = delta[of];
      });
      for (std::int64_t key = 0; key < tokens.count; key += kTileRows) {
        const std::int64_t keys = least(kTileRows, tokens.count - key);
        load_keys(team, tiles, batch, unit, row, count, tokens, key, 2);
        team.sync();
        if (has_rows) add_keys(team, tiles, strip, keys, lse, slope, sum);
        team.sync();
      }
      if (!has_rows) return;
      store_strip(team, sum, count - strip, D, dq + (row + strip) * batch.ld_q + channel,
                  batch.ld_q, [&](const Element&) { return scale; });
    });
  }

 private:
  template <class Team>
  constexpr void add_keys(Team& team, const Bf16Tiles<K>& tiles, int strip, std::int64_t keys,
                          RowValues<Team>& lse, RowValues<Team>& slope,
                          Accumulator<Team, K / 8>& sum) const {
    const float keep = attention_keep(batch);
    const bool drops = batch.dropout.threshold > 0;
    Accumulator<Team, kTileRows / 8> s{}, dp{};
    add_product_of_rows<K>(team, tiles.matrix(0, strip), tiles.matrix(2), keys, s);
    add_product_of_rows<K>(team, tiles.matrix(1, strip), tiles.matrix(3), keys, dp);
    for_elements<kTileRows / 8>(team, keys, [&](const Element& at) {
      const float p = at.column < keys ? std::exp(scale * s[at] - lse[at]) : 0.0F;
      const bool kept = !drops || attention_kept(tiles.kept, strip + at.row, at.column);
      s[at] = p * ((kept ? keep : 0.0F) * dp[at] - slope[at]);
    });
    add_product(team, s, tiles.matrix(2), keys, sum);
  }
};

template <int K>
struct AttentionKeyGradientBf16 {
  AttentionBatch<float> batch;
  float scale;  // 1 / sqrt(D)
  const float *dout, *delta;
  float *dk, *dv;

  constexpr Launch launch() const {
    return bf16_attention_launch(batch, batch.most_tokens, Bf16Tiles<K>::bytes(4));
  }
  template <class Team>
  constexpr void operator()(Team& team, std::int64_t block) const {
    const AttentionUnit unit(block, batch.heads, pieces(batch.most_tokens, kTileRows), kTileRows);
    const TextRows queries(batch.query_offsets, unit.text), tokens(batch.offsets, unit.text);
    if (unit.first >= tokens.count) return;
    const std::int64_t D = batch.channels, keys = least(kTileRows, tokens.count - unit.first),
                       at = (tokens.begin + unit.first) * batch.ld + unit.head * D;
    const Bf16Tiles<K> tiles(team);
    tiles.load(team, batch.k + at, batch.ld, keys, D, tiles.matrix(2));
    tiles.load(team, batch.v + at, batch.ld, keys, D, tiles.matrix(3));
    for_strips(team, keys, [&](int strip, bool has_rows) {
      Accumulator<Team, K / 8> dk_sum{}, dv_sum{};
      for (std::int64_t first = 0; first < queries.count; first += kTileRows) {
        const std::int64_t count = least(kTileRows, queries.count - first);
        load_queries(team, tiles, unit, queries.begin + first, count, keys);
        team.sync();
        if (has_rows) add_queries(team, tiles, strip, count, dk_sum, dv_sum);
        team.sync();
      }
      if (!has_rows) return;
      const float keep = attention_keep(batch);
      store_strip(team, dk_sum, keys - strip, D, dk + at + strip * batch.ld, batch.ld,
                  [&](const Element&) { return scale; });
      store_strip(team, dv_sum, keys - strip, D, dv + at + strip * batch.ld, batch.ld,
                  [&](const Element&) { return keep; });
    });
  }

 private:
  template <class Team>
  constexpr void load_queries(Team& team, const Bf16Tiles<K>& tiles, const AttentionUnit& unit,
                              std::int64_t row, std::int64_t count, std::int64_t keys) const {
    const std::int64_t D = batch.channels, channel = unit.head * D;
    tiles.load(team, batch.q + row * batch.ld_q + channel, batch.ld_q, count, D, tiles.matrix(0));
    tiles.load(team, dout + row * batch.ld_out + channel, batch.ld_out, count, D, tiles.matrix(1));
    if (batch.dropout.threshold > 0)
      attention_decisions(team, batch, unit.head, row, count, unit.first, keys, tiles.kept);
    for (std::int64_t i = team.rank(); i < count; i += team.size()) {
      tiles.lse[i] = batch.lse[(row + i) * batch.heads + unit.head];
      tiles.delta[i] = delta[(row + i) * batch.heads + unit.head];
    }
  }

  /// Everything transposed: rows are keys, columns queries.
  template <class Team>
  constexpr void add_queries(Team& team, const Bf16Tiles<K>& tiles, int strip, std::int64_t count,
                             Accumulator<Team, K / 8>& dk_sum,
                             Accumulator<Team, K / 8>& dv_sum) const {
    const float keep = attention_keep(batch);
    const bool drops = batch.dropout.threshold > 0;
    Accumulator<Team, kTileRows / 8> p{}, ds{};
    add_product_of_rows<K>(team, tiles.matrix(2, strip), tiles.matrix(0), count, p);
    add_product_of_rows<K>(team, tiles.matrix(3, strip), tiles.matrix(1), count, ds);
    for_elements<kTileRows / 8>(team, count, [&](const Element& at) {
      if (at.column >= count) return;  // no such query: products of zeros, P must be 0 too
      const float all = std::exp(scale * p[at] - tiles.lse[at.column]);
      const bool kept = !drops || attention_kept(tiles.kept, at.column, strip + at.row);
      p[at] = kept ? all : 0.0F;
      ds[at] = all * ((kept ? keep : 0.0F) * ds[at] - tiles.delta[at.column]);
    });
    add_product(team, p, tiles.matrix(1), count, dv_sum);
    add_product(team, ds, tiles.matrix(0), count, dk_sum);
  }
};

/// Whether these kernels serve; all else has f32 products.
constexpr bool in_bf16(const AttentionBatch<float>& batch) {
  return batch.bf16 && bf16_attention_channels(batch.channels) > 0;
}

/// f<K>() with the K of bf16_attention_channels(D), which is not 0.
template <class F>
constexpr void with_channels(std::int64_t D, const F& f) {
  switch (bf16_attention_channels(D)) {
    case 32:
      return f.template operator()<32>();
    case 64:
      return f.template operator()<64>();
    default:
      return f.template operator()<128>();
  }
}

}  // namespace holdfast::cuda
