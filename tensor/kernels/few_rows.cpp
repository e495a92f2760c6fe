#include "tensor/kernels/few_rows.h"

#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/lanes.h"

namespace holdfast::kernels::HOLDFAST_ISA {
namespace {

// A block of kTall x kWide results, a vector of partial sums each, stays in registers beside a
// vector of every row of x and one of W.
constexpr int kTall = kVectorRegisters == 32 ? 6 : 3, kWide = 4;
// Of the sums at a time: so much of kTall rows of x and kWide of W lies in the nearest cache.
constexpr std::int64_t kDepth = 768;
constexpr std::int64_t kLine = 64;  // bytes

template <class T>
struct Operands {
  const T* x;
  std::int64_t ldx;
  const T* W;
  std::int64_t ldw;
  T* y;
  std::int64_t ldy;
  std::int64_t depth;
  bool add;

  Operands at(std::int64_t m, std::int64_t n) const {
    return {x + m * ldx, ldx, W + n * ldw, ldw, y + m * ldy + n, ldy, depth, add};
  }
};

// kCount vectors, each of blocks of kWidth partial sums -> one vector; lane i of it is the sum of
// vector i. Of two vectors a and b: halves of a's blocks that stay where they are go beside b's,
// and get the others, exchanged, added. What is left of one vector is added within.
template <int kCount, int kWidth, class T>
[[gnu::always_inline]] inline void sum_each(Lanes<T>* v) {
  constexpr int W = kLanes<T>, kHalf = kWidth / 2;
  if constexpr (kWidth > 1) {
    Places<T> stay{}, come{};
#pragma GCC unroll 16
    for (int j = 0; j < W; ++j) {
      const bool of_b = (j & kHalf) != 0;
      stay[j] = kCount == 1 ? j / kHalf * kWidth % W + j % kHalf : of_b ? W + j : j;
      come[j] = kCount == 1 ? stay[j] + kHalf : of_b ? W + j - kHalf : j + kHalf;
    }
    constexpr int kLeft = kCount > 1 ? kCount / 2 : 1;
#pragma GCC unroll 16
    for (int i = 0; i < kLeft; ++i) {
      const Lanes<T> a = v[i], b = v[kCount > 1 ? i + kLeft : i];
      v[i] = __builtin_shuffle(a, b, stay) + __builtin_shuffle(a, b, come);
    }
    sum_each<kLeft, kHalf, T>(v);
  }
}

// The number of vectors that n are added up as: a power of two.
constexpr int group_of(int n, int most) {
  int size = 1;
  while (size < n && size < most) size *= 2;
  return size;
}

// totals[i] = sum of the lanes of sum[i], i < kSums, a register's worth at a time.
template <int kSums, class T>
[[gnu::always_inline]] inline void add_up(const Lanes<T>* sum, T* totals) {
  constexpr int W = kLanes<T>, kGroup = group_of(kSums, W);
  Lanes<T> group[kGroup];
#pragma GCC unroll 16
  for (int i = 0; i < kGroup; ++i) group[i] = i < kSums ? sum[i] : Lanes<T>{};
  sum_each<kGroup, W, T>(group);
  store(totals, group[0]);
  if constexpr (kSums > W) add_up<kSums - W, T>(sum + W, totals + W);
}

template <int kRows, int kColumns, class T>
[[gnu::always_inline]] inline void block(const Operands<T>& o) {
  constexpr int W = kLanes<T>, kSums = kRows * kColumns;
  Lanes<T> sum[kSums]{};
  std::int64_t k = 0;
  for (; k + W <= o.depth; k += W) {
    Lanes<T> x[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) x[r] = load(o.x + r * o.ldx + k);
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) {
      const Lanes<T> w = load(o.W + c * o.ldw + k);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) sum[r * kColumns + c] += x[r] * w;
    }
  }
  alignas(kVectorBytes) T totals[(kSums + W - 1) / W * W];
  add_up<kSums>(sum, totals);
  for (; k < o.depth; ++k) {
#pragma GCC unroll 32
    for (int i = 0; i < kSums; ++i)
      totals[i] += o.x[i / kColumns * o.ldx + k] * o.W[i % kColumns * o.ldw + k];
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    T* y = o.y + r * o.ldy;
#pragma GCC unroll 4
    for (int c = 0; c < kColumns; ++c) {
      const T total = totals[r * kColumns + c];
      y[c] = o.add ? y[c] + total : total;
    }
  }
}

template <int kRows, int kColumns, class T>
inline void block_of(std::int64_t rows, const Operands<T>& o) {
  if (rows == kRows) return block<kRows, kColumns>(o);
  if constexpr (kRows > 1) block_of<kRows - 1, kColumns>(rows, o);
}

// Of `count` parts of n, as equal as can be: where part i begins.
constexpr std::int64_t part(std::int64_t n, std::int64_t count, std::int64_t i) {
  return n / count * i + (i < n % count ? i : n % count);
}

// All rows of kColumns columns, in blocks of nearly equal height. Meanwhile the rows of W that come
// `ahead` elements later are fetched.
template <int kColumns, class T>
void columns(std::int64_t M, const Operands<T>& o, bool more) {
  const std::int64_t blocks = (M + kTall - 1) / kTall;
  constexpr std::int64_t kStep = kLine / static_cast<std::int64_t>(sizeof(T));
  for (std::int64_t b = 0; b < blocks; ++b) {
    const std::int64_t m = part(M, blocks, b);
    if (more) {
      const std::int64_t end = part(o.depth, blocks, b + 1);
      for (int c = 0; c < kColumns; ++c) {
        for (std::int64_t k = part(o.depth, blocks, b) / kStep * kStep; k < end; k += kStep)
          __builtin_prefetch(o.W + (kColumns + c) * o.ldw + k);
      }
    }
    block_of<kTall, kColumns>(part(M, blocks, b + 1) - m, o.at(m, 0));
  }
}

template <class T>
void multiply(std::int64_t M, std::int64_t N, std::int64_t K, const T* x, std::int64_t ldx,
              const T* W, std::int64_t ldw, T* y, std::int64_t ldy, bool add) {
  for (std::int64_t k = 0; k < K || k == 0; k += kDepth, add = true) {
    const Operands<T> all{x + k, ldx, W + k, ldw, y, ldy, K - k < kDepth ? K - k : kDepth, add};
    std::int64_t n = 0;
    for (; n + kWide <= N; n += kWide) columns<kWide>(M, all.at(0, n), n + 2 * kWide <= N);
    for (; n < N; ++n) columns<1>(M, all.at(0, n), false);
  }
}

template <class T>
constexpr FewRows<T> kTable{multiply<T>};

}  // namespace

template <>
const FewRows<float>& table<FewRows<float>>() {
  return kTable<float>;
}
template <>
const FewRows<double>& table<FewRows<double>>() {
  return kTable<double>;
}

}  // namespace holdfast::kernels::HOLDFAST_ISA
