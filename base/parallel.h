// The worker threads, and loops over fixed chunks. Chunk boundaries never depend on the number of
// threads: that, and reductions in chunk order, is what makes a run give the same bits for any
// thread count.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace holdfast {

/// Workers that take part in parallel loops, the caller included.
int thread_count();

/// Sets the number of workers (>= 1). Must not be called from inside a parallel loop.
/// Throws std::invalid_argument when threads < 1.
void set_thread_count(int threads);

/// CPUs that this process may run on.
int available_cpus();

namespace detail {
using ChunkFunction = void (*)(void* body, std::int64_t begin, std::int64_t end);
void parallel_run(std::int64_t n, std::int64_t grain, ChunkFunction function, void* body);
}  // namespace detail

/// Calls body(begin, end) for every chunk [k*grain, min(n, (k+1)*grain)) of [0, n), on all workers;
/// returns when all are done. A call from inside a body runs in the calling worker. The first
/// exception that a body throws is rethrown.
template <class Body>
void parallel_for(std::int64_t n, std::int64_t grain, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  detail::parallel_run(
      n, grain,
      [](void* b, std::int64_t begin, std::int64_t end) { (*static_cast<Plain*>(b))(begin, end); },
      const_cast<void*>(static_cast<const void*>(std::addressof(body))));
}

}  // namespace holdfast
