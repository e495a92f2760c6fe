// Attention within one text and one head [Vaswani et al. 2017, eq. 1], by tiles of queries:
//   S = Q K^T / sqrt(D), P = softmax(S), out = (P * M) V, M = dropout factors.
#pragma once

#include <cstdint>

#include "tensor/kernels/dropout.h"

namespace holdfast::kernels {

/// One text as one head sees it: M queries over the keys and values of its T tokens.
template <class T>
struct AttentionHead {
  std::int64_t queries, tokens, channels;  // M, T, D
  const T *q, *k, *v;                      // (M, D), (T, D), (T, D)
  std::int64_t ld_q, ld;                   // elements from row to row of q; of k and of v
  const DropoutMask* dropout;              // null: none
  std::int64_t first_octet;                // key k uses channel 8 * first_octet + k
  const std::int32_t *slots, *places;      // (M): the queries' places in the mask
};

template <class T>
struct Attention {
  /// Elements of scratch memory (64-byte aligned) for so many queries over so many tokens.
  std::int64_t (*scratch)(std::int64_t queries, std::int64_t tokens, std::int64_t channels);
  /// out (M, D), rows ld_out apart; lse[m * ld_lse] = log sum exp S[m], unless lse is null.
  void (*forward)(const AttentionHead<T>& head, T* out, std::int64_t ld_out, T* lse,
                  std::int64_t ld_lse, T* scratch);
  /// dq, dk, dv, with the extents and rows of q, k, v, from out, dout and lse. P is computed anew:
  ///   dV = (P*M)^T dout,  dS = P * (M * (dout V^T) - rowsum(dout * out)),  dQ = dS K / sqrt(D), dK
  ///   = dS^T Q / sqrt(D).
  void (*backward)(const AttentionHead<T>& head, const T* out, const T* dout, std::int64_t ld_out,
                   const T* lse, std::int64_t ld_lse, T* dq, T* dk, T* dv, T* scratch);
};

}  // namespace holdfast::kernels
