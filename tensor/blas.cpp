#include "tensor/blas.h"

#include <cblas.h>
#if HOLDFAST_ONEDNN
#include <omp.h>
#include <signal.h>

#include <dnnl.hpp>
#endif

#include <algorithm>
#include <atomic>
#include <stdexcept>

#include "base/parallel.h"
#include "tensor/cpu.h"
#include "tensor/kernels/dispatch.h"
#include "tensor/kernels/few_rows.h"
#include "tensor/kernels/gemm.h"
#include "tensor/storage.h"

extern "C" char* openblas_get_config();
extern "C" char* openblas_get_corename();
extern "C" void openblas_set_num_threads(int);
extern "C" int openblas_get_parallel();

namespace holdfast {
namespace {

std::atomic<std::int64_t> rows_multiplied{0};

// OpenBLAS's own threads stay out: ours are the only ones. Its flavour without threads takes no
// locks and gives wrong products under concurrent callers (0.3.21), so it is refused.
void require_threaded_openblas() {
  static const bool safe = (openblas_set_num_threads(1), openblas_get_parallel() != 0);
  if (!safe) {
    throw std::runtime_error(
        "[gemm] OpenBLAS was built without threads and is not safe under several callers: link "
        "its pthread flavour (libopenblas-pthread-dev)");
  }
}

int narrow(std::int64_t n) {
  if (n > INT32_MAX) throw std::invalid_argument("[gemm] an extent exceeds 2^31-1");
  return static_cast<int>(n);
}

CBLAS_TRANSPOSE cblas(Trans t) { return t == Trans::yes ? CblasTrans : CblasNoTrans; }

#if HOLDFAST_ONEDNN
// Measured (make bench): on AVX-512 machines oneDNN 2.6 multiplies f32 up to twice as fast as
// OpenBLAS 0.3.21, which does not know newer CPUs and falls back to AVX2; on AVX2 they are within
// 10 %. Fixed per instruction set, never a race at run time: bits must not vary. oneDNN has no f64
// GEMM.
bool use_onednn() { return isa() == Isa::avx512; }

// Blocks signals in this thread. oneDNN's f32 kernels point the stack register into a heap buffer
// when K is large; a handler that runs then writes its frame below that buffer, over other memory
// (seen as heap corruption after Ctrl-C).
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_;
};

// Of oneDNN's own, in this thread: ours are the only ones.
void one_thread() {
  thread_local const bool done = (omp_set_num_threads(1), true);
  static_cast<void>(done);
}

void onednn_sgemm(Trans ta, Trans tb, std::int64_t M, std::int64_t N, std::int64_t K, float alpha,
                  const float* A, std::int64_t lda, const float* B, std::int64_t ldb, float beta,
                  float* C, std::int64_t ldc) {
  one_thread();
  const NoSignals no_signals;
  if (dnnl_sgemm(ta == Trans::yes ? 'T' : 'N', tb == Trans::yes ? 'T' : 'N', M, N, K, alpha, A, lda,
                 B, ldb, beta, C, ldc) != dnnl_success) {
    throw std::logic_error("[gemm] oneDNN refused a valid call");
  }
}

struct Bf16Shape {
  Trans ta, tb;
  std::int64_t M, N, K, lda, ldb, ldc;
  bool add;
};

// A product of one shape, made by one thread and called by any. oneDNN keeps the code that it
// generates by shape, so that making one again costs microseconds.
class Bf16Product {
 public:
  explicit Bf16Product(const Bf16Shape& s)
      : a_(matrix(s.M, s.K, s.lda, s.ta, Type::bf16)),
        b_(matrix(s.K, s.N, s.ldb, s.tb, Type::bf16)),
        c_(matrix(s.M, s.N, s.ldc, Trans::no, Type::f32)),
        description_(describe(s.add)),
        product_(description_) {}

  void operator()(const Bf16* A, const Bf16* B, float* C) const {
    const NoSignals no_signals;
    thread_local dnnl::stream stream(engine());
    const auto scratch_description = description_.scratchpad_desc();
    const Storage scratch(static_cast<std::int64_t>(scratch_description.get_size()), Device());
    product_.execute(stream,
                     {{DNNL_ARG_SRC, {a_, engine(), const_cast<Bf16*>(A)}},
                      {DNNL_ARG_WEIGHTS, {b_, engine(), const_cast<Bf16*>(B)}},
                      {DNNL_ARG_DST, {c_, engine(), C}},
                      {DNNL_ARG_SCRATCHPAD, {scratch_description, engine(), scratch.data()}}});
    stream.wait();
  }

 private:
  using Type = dnnl::memory::data_type;

  static const dnnl::engine& engine() {
    static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
  }
  static dnnl::memory::desc matrix(std::int64_t rows, std::int64_t columns, std::int64_t ld,
                                   Trans trans, Type type) {
    const dnnl::memory::dims strides =
        trans == Trans::yes ? dnnl::memory::dims{1, ld} : dnnl::memory::dims{ld, 1};
    return {{rows, columns}, type, strides};
  }
  dnnl::matmul::primitive_desc describe(bool add) const {
    one_thread();
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);  // none is shared between threads
    if (add) {
      dnnl::post_ops after;
      after.append_sum();
      attributes.set_post_ops(after);
    }
#if DNNL_VERSION_MAJOR >= 3
    return {engine(), a_, b_, c_, attributes};
#else
    return {{a_, b_, c_}, attributes, engine()};
#endif
  }

  dnnl::memory::desc a_, b_, c_;
  dnnl::matmul::primitive_desc description_;
  dnnl::matmul product_;
};
#endif

// Portable numerics: the kernels' own loops, as no two libraries add up in the same order.
template <class T>
void portable_gemm(Trans ta, Trans tb, std::int64_t M, std::int64_t N, std::int64_t K, T alpha,
                   const T* A, std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C,
                   std::int64_t ldc) {
  kernels::best<kernels::Gemm<T>>().multiply(ta == Trans::yes, tb == Trans::yes, M, N, K, alpha, A,
                                             lda, B, ldb, beta, C, ldc);
}

// Tile extents: a function of the shape alone. Large enough that a library's packing is amortised,
// small enough that a few workers share a layer's GEMM.
struct Tiles {
  std::int64_t m, n;
};

Tiles tiles(std::int64_t M, std::int64_t N, std::int64_t K) {
  const double work =
      2.0 * static_cast<double>(M) * static_cast<double>(N) * static_cast<double>(K);
  if (work < 4e6) return {M, N};
  const auto part = [](std::int64_t extent, std::int64_t parts, std::int64_t step) {
    const std::int64_t size = (extent + parts - 1) / parts;
    return std::min(extent, (size + step - 1) / step * step);
  };
  // Cut the longer side, into 8 (so that 2, 4 and 8 workers share evenly) but not below 64 rows or
  // columns.
  if (M >= N) return {part(M, std::clamp<std::int64_t>(M / 64, 1, 8), 16), N};
  return {M, part(N, std::clamp<std::int64_t>(N / 64, 1, 8), 16)};
}

}  // namespace

template <>
void gemm_serial<float>(Trans ta, Trans tb, std::int64_t M, std::int64_t N, std::int64_t K,
                        float alpha, const float* A, std::int64_t lda, const float* B,
                        std::int64_t ldb, float beta, float* C, std::int64_t ldc) {
  if (is_portable(isa()))
    return portable_gemm(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
#if HOLDFAST_ONEDNN
  if (use_onednn()) return onednn_sgemm(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
#endif
  require_threaded_openblas();
  cblas_sgemm(CblasRowMajor, cblas(ta), cblas(tb), narrow(M), narrow(N), narrow(K), alpha, A,
              narrow(lda), B, narrow(ldb), beta, C, narrow(ldc));
}

template <>
void gemm_serial<double>(Trans ta, Trans tb, std::int64_t M, std::int64_t N, std::int64_t K,
                         double alpha, const double* A, std::int64_t lda, const double* B,
                         std::int64_t ldb, double beta, double* C, std::int64_t ldc) {
  if (is_portable(isa()))
    return portable_gemm(ta, tb, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc);
  require_threaded_openblas();
  cblas_dgemm(CblasRowMajor, cblas(ta), cblas(tb), narrow(M), narrow(N), narrow(K), alpha, A,
              narrow(lda), B, narrow(ldb), beta, C, narrow(ldc));
}

template <class T>
void gemm(Trans ta, Trans tb, std::int64_t M, std::int64_t N, std::int64_t K, T alpha, const T* A,
          std::int64_t lda, const T* B, std::int64_t ldb, T beta, T* C, std::int64_t ldc) {
  if (M <= 0 || N <= 0) return;
  if (ta == Trans::no) count_gemm_rows(M);
  const bool plain = alpha == T{1} && (beta == T{0} || beta == T{1});
  if (ta == Trans::no && tb == Trans::yes && plain && M <= few_rows()) {
    return parallel_for(N, kFewRowsColumns, [&](std::int64_t begin, std::int64_t end) {
      kernels::best<kernels::FewRows<T>>().multiply(M, end - begin, K, A, lda, B + begin * ldb, ldb,
                                                    C + begin, ldc, beta == T{1});
    });
  }
  const Tiles tile = tiles(M, N, K);
  const std::int64_t across = (N + tile.n - 1) / tile.n, down = (M + tile.m - 1) / tile.m;
  parallel_for(across * down, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t m = i / across * tile.m, n = i % across * tile.n;
      gemm_serial(ta, tb, std::min(tile.m, M - m), std::min(tile.n, N - n), K, alpha,
                  A + (ta == Trans::no ? m * lda : m), lda, B + (tb == Trans::no ? n : n * ldb),
                  ldb, beta, C + m * ldc + n, ldc);
    }
  });
}

#if HOLDFAST_ONEDNN
void gemm(Trans ta, Trans tb, std::int64_t M, std::int64_t N, std::int64_t K, const Bf16* A,
          std::int64_t lda, const Bf16* B, std::int64_t ldb, bool add, float* C,
          std::int64_t ldc) try {
  if (!missing_for_bf16().empty())
    throw std::logic_error("[gemm] bf16 needs " + missing_for_bf16());
  if (M <= 0 || N <= 0) return;
  if (ta == Trans::no) count_gemm_rows(M);
  if (K <= 0) {
    for (std::int64_t m = 0; m < M && !add; ++m) std::fill_n(C + m * ldc, N, 0.0F);
    return;
  }
  const Tiles tile = tiles(M, N, K);
  const std::int64_t across = (N + tile.n - 1) / tile.n, down = (M + tile.m - 1) / tile.m;
  // At most one of the two extents is cut, so a tile is a whole one or the last.
  const std::int64_t last_m = M - (down - 1) * tile.m, last_n = N - (across - 1) * tile.n;
  const Bf16Product whole({ta, tb, tile.m, tile.n, K, lda, ldb, ldc, add});
  const Bf16Product last({ta, tb, last_m, last_n, K, lda, ldb, ldc, add});
  parallel_for(across * down, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t m = i / across * tile.m, n = i % across * tile.n;
      (i + 1 < across * down ? whole : last)(A + (ta == Trans::no ? m * lda : m),
                                             B + (tb == Trans::no ? n : n * ldb), C + m * ldc + n);
    }
  });
} catch (const dnnl::error& error) {
  throw std::runtime_error(std::string("[gemm] oneDNN cannot multiply bf16: ") + error.what());
}

std::string missing_for_bf16() {
  if (has_bf16()) return {};
  return "the AVX512_BF16 instructions, which this CPU, or the instruction set that HOLDFAST_ISA "
         "asks for, does not have";
}
#else
void gemm(Trans, Trans, std::int64_t, std::int64_t, std::int64_t, const Bf16*, std::int64_t,
          const Bf16*, std::int64_t, bool, float*, std::int64_t) {
  throw std::logic_error("[gemm] bf16 needs " + missing_for_bf16());
}

std::string missing_for_bf16() { return "oneDNN, which this build does not have"; }
#endif

// Measured (make bench, gemm.few_rows): MiniLM's and BERT-base's layers take 0.4 to 0.8 of oneDNN's
// time at 8 to 64 rows and as long at 128 (AVX-512); 0.6 to 0.9 of OpenBLAS's at 8 to 32 and as
// long at 48 (AVX2).
std::int64_t few_rows() {
  switch (isa()) {
    case Isa::avx512:
      return 128;
    case Isa::avx2:
      return 48;
    default:
      return 0;
  }
}

template void gemm<float>(Trans, Trans, std::int64_t, std::int64_t, std::int64_t, float,
                          const float*, std::int64_t, const float*, std::int64_t, float, float*,
                          std::int64_t);
template void gemm<double>(Trans, Trans, std::int64_t, std::int64_t, std::int64_t, double,
                           const double*, std::int64_t, const double*, std::int64_t, double,
                           double*, std::int64_t);

std::string gemm_description() {
  if (is_portable(isa())) return "portable loops";
  std::string text = openblas_get_config();
  text += std::string(" (kernels: ") + openblas_get_corename() + ")";
#if HOLDFAST_ONEDNN
  const dnnl_version_t* v = dnnl_version();
  text += "; oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
          std::to_string(v->patch) +
          (has_bf16()     ? ", used for f32 and bf16"
           : use_onednn() ? ", used for f32"
                          : ", not used on this instruction set");
#else
  text += "; built without oneDNN";
#endif
  return text;
}

std::int64_t gemm_rows() { return rows_multiplied.load(); }

void count_gemm_rows(std::int64_t rows) {
  rows_multiplied.fetch_add(rows, std::memory_order_relaxed);
}

}  // namespace holdfast
