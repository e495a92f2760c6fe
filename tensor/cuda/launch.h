// How many blocks of how many threads a kernel takes: plain arithmetic, the same where nvcc and
// where the host's compiler sees it.
#pragma once

#include <cstdint>

namespace holdfast::cuda {

/// Blocks are numbered from 0; a team of threads computes each. They may be any number: a grid of
/// at most kMaxGrid of them goes round.
struct Launch {
  std::int64_t blocks;
  int threads;
  std::int64_t shared_bytes = 0;  // memory that a block's threads share
};

inline constexpr std::int64_t kMaxGrid = 2147483647;         // blocks of a grid along x
inline constexpr std::int64_t kMaxSharedBytes = 48 * 1024;   // without asking for more
inline constexpr std::int64_t kMostSharedBytes = 99 * 1024;  // when asked, from capability 8.0 on
inline constexpr int kThreads = 256;
inline constexpr std::int64_t kElementsPerBlock = 4 * kThreads;

constexpr std::int64_t least(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
constexpr std::int64_t pieces(std::int64_t n, std::int64_t size) {
  return n <= 0 ? 0 : (n - 1) / size + 1;
}

/// Blocks that a grid really has.
constexpr std::int64_t grid_of(const Launch& launch) { return least(launch.blocks, kMaxGrid); }

/// One element after another, n of them.
constexpr Launch over_elements(std::int64_t n) { return {pieces(n, kElementsPerBlock), kThreads}; }

/// A row a block, with room for one number of so many bytes a thread.
constexpr Launch over_rows(std::int64_t rows, std::int64_t bytes) {
  return {rows < 0 ? 0 : rows, kThreads, kThreads * bytes};
}

}  // namespace holdfast::cuda
