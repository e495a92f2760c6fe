// Attention within one text and one head [Vaswani et al. 2017, eq. 1], by tiles of queries:
//   S = Q K^T / sqrt(D), P = softmax(S), out = (P * M) V, M = dropout factors.
#pragma once

#include <cstdint>

#include "tensor/kernels/dropout.h"

namespace holdfast::kernels {

/// The T rows of one text, as one head sees them: rows of q, k and v are `ld` elements apart.
template <class T>
struct AttentionHead {
  std::int64_t tokens, channels;  // T, D
  const T *q, *k, *v;             // (T, D) each
  std::int64_t ld;
  const DropoutMask* dropout;          // null: none
  std::int64_t first_octet;            // key k uses channel 8 * first_octet + k
  const std::int32_t *slots, *places;  // (T): the rows' places in the mask
};

template <class T>
struct Attention {
  /// Elements of scratch memory (64-byte aligned) for a text of so many tokens.
  std::int64_t (*scratch)(std::int64_t tokens, std::int64_t channels);
  /// out (T, D), rows ld_out apart; lse[t * ld_lse] = log sum exp S[t], unless lse is null.
  void (*forward)(const AttentionHead<T>& head, T* out, std::int64_t ld_out, T* lse,
                  std::int64_t ld_lse, T* scratch);
  /// dq, dk, dv (T, D), rows head.ld apart, from out, dout and lse. P is computed anew:
  ///   dV = (P*M)^T dout,  dS = P * (M * (dout V^T) - rowsum(dout * out)),  dQ = dS K / sqrt(D), dK
  ///   = dS^T Q / sqrt(D).
  void (*backward)(const AttentionHead<T>& head, const T* out, const T* dout, std::int64_t ld_out,
                   const T* lse, std::int64_t ld_lse, T* dq, T* dk, T* dv, T* scratch);
};

}  // namespace holdfast::kernels
