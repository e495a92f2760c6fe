// gemm against three nested loops: transposes, odd and cut shapes, leading dimensions, alpha and
// beta, both types; the same bits for any number of threads, on every instruction set.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "audit/reference/instruction_sets.h"
#include "tensor/blas.h"
#include "tensor/random.h"

namespace holdfast {
namespace {

struct GemmCase {
  Trans ta, tb;
  std::int64_t M, N, K;
  double alpha, beta;
  std::int64_t gap;  // added to each leading dimension
};

std::ostream& operator<<(std::ostream& out, const GemmCase& c) {
  return out << (c.ta == Trans::yes ? 'T' : 'N') << (c.tb == Trans::yes ? 'T' : 'N') << ' ' << c.M
             << 'x' << c.N << 'x' << c.K << " alpha " << c.alpha << " beta " << c.beta << " gap "
             << c.gap;
}

template <class T>
std::vector<T> random_values(std::int64_t n, std::string_view name) {
  const RandomStream stream(1, name);
  std::vector<T> values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<T>(2.0 * stream.uniform(0, i) - 1.0);
  return values;
}

template <class T>
struct Operands {
  std::int64_t lda, ldb, ldc;
  std::vector<T> a, b, c;

  explicit Operands(const GemmCase& g)
      : lda((g.ta == Trans::no ? g.K : g.M) + g.gap),
        ldb((g.tb == Trans::no ? g.N : g.K) + g.gap),
        ldc(g.N + g.gap),
        a(random_values<T>((g.ta == Trans::no ? g.M : g.K) * lda, "a")),
        b(random_values<T>((g.tb == Trans::no ? g.K : g.N) * ldb, "b")),
        c(random_values<T>(g.M * ldc, "c")) {
    // beta = 0 must not read C.
    if (g.beta == 0.0) c.assign(c.size(), std::numeric_limits<T>::quiet_NaN());
  }
};

template <class T>
std::vector<T> multiply(const GemmCase& g, bool serial = false) {
  Operands<T> x(g);
  (serial ? gemm_serial<T> : gemm<T>)(g.ta, g.tb, g.M, g.N, g.K, static_cast<T>(g.alpha),
                                      x.a.data(), x.lda, x.b.data(), x.ldb, static_cast<T>(g.beta),
                                      x.c.data(), x.ldc);
  return x.c;
}

// alpha op(A) op(B) + beta C by three nested loops, (M, N) without gaps.
template <class T>
std::vector<double> three_loops(const GemmCase& g) {
  const Operands<T> x(g);
  const auto [a_m, a_k] =
      g.ta == Trans::no ? std::pair{x.lda, std::int64_t{1}} : std::pair{std::int64_t{1}, x.lda};
  const auto [b_n, b_k] =
      g.tb == Trans::no ? std::pair{std::int64_t{1}, x.ldb} : std::pair{x.ldb, std::int64_t{1}};
  std::vector<double> y;
  for (std::int64_t m = 0; m < g.M; ++m) {
    for (std::int64_t n = 0; n < g.N; ++n) {
      const T *a = x.a.data() + m * a_m, *b = x.b.data() + n * b_n;
      double sum = 0.0;
      for (std::int64_t k = 0; k < g.K; ++k)
        sum += static_cast<double>(a[k * a_k]) * static_cast<double>(b[k * b_k]);
      const double before =
          g.beta == 0.0 ? 0.0 : static_cast<double>(x.c[static_cast<std::size_t>(m * x.ldc + n)]);
      y.push_back(g.alpha * sum + g.beta * before);
    }
  }
  return y;
}

template <class T>
void expect_product(const GemmCase& g, const std::vector<T>& found,
                    const std::vector<double>& expected) {
  const Operands<T> x(g);
  const double bound =
      static_cast<double>(std::numeric_limits<T>::epsilon()) * (2.0 + static_cast<double>(g.K));
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
  double worst = 0.0;
  for (std::int64_t m = 0; m < g.M; ++m) {
    for (std::int64_t n = 0; n < g.N; ++n) {
      const double error =
          std::abs(static_cast<double>(found[at(m * x.ldc + n)]) - expected[at(m * g.N + n)]);
      worst = std::isnan(error) ? error : std::max(worst, error);
    }
    // The gap between rows stays as it was.
    for (std::int64_t n = g.N; n < x.ldc && g.beta != 0.0; ++n)
      ASSERT_EQ(found[at(m * x.ldc + n)], x.c[at(m * x.ldc + n)]);
  }
  EXPECT_LE(worst, bound) << g;
}

std::vector<GemmCase> cases() {
  std::vector<GemmCase> all;
  const struct {
    std::int64_t M, N, K;
  } shapes[] = {
      {1, 1, 1},     {1, 7, 3},      {5, 1, 9},      {3, 4, 1},      {17, 13, 31},   {64, 64, 64},
      {65, 33, 100}, {300, 70, 130}, {70, 300, 130}, {257, 129, 65}, {1000, 3, 700}, {3, 1000, 700},
      {1, 70, 785},  {6, 66, 16},    {7, 5, 1600},   {47, 130, 769}, {128, 67, 33},
  };
  for (const Trans ta : {Trans::no, Trans::yes}) {
    for (const Trans tb : {Trans::no, Trans::yes}) {
      for (const auto& s : shapes) {
        all.push_back({ta, tb, s.M, s.N, s.K, 1.0, 0.0, 0});
        all.push_back({ta, tb, s.M, s.N, s.K, 1.0, 1.0, 3});
      }
      all.push_back({ta, tb, 300, 70, 130, -0.5, 0.25, 1});
      all.push_back({ta, tb, 9, 8, 7, 2.0, 0.0, 2});
    }
  }
  return all;
}

class Gemm : public testing::TestWithParam<GemmCase> {
 protected:
  template <class T>
  void check() const {
    const reference::KeepMachine keep;
    const std::vector<double> expected = three_loops<T>(GetParam());
    for (const Isa isa : reference::instruction_sets()) {
      set_isa(isa);
      set_thread_count(1);
      const std::vector<T> one = multiply<T>(GetParam());
      expect_product<T>(GetParam(), one, expected);
      for (const int threads : {2, 4}) {
        set_thread_count(threads);
        EXPECT_TRUE(same_bits(multiply<T>(GetParam()), one))
            << GetParam() << " on " << threads << " threads";
      }
      expect_product<T>(GetParam(), multiply<T>(GetParam(), true), expected);
    }
  }

 private:
  template <class T>
  static bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](T x, T y) { return x == y || (std::isnan(x) && std::isnan(y)); });
  }
};

TEST_P(Gemm, OfFloatsEqualsThreeLoops) { check<float>(); }
TEST_P(Gemm, OfDoublesEqualsThreeLoops) { check<double>(); }

INSTANTIATE_TEST_SUITE_P(Shapes, Gemm, testing::ValuesIn(cases()));

// Many small products at once, each in its worker: a library whose buffers are not guarded mixes
// them up now and then (OpenBLAS 0.3.21 without threads does, about once in 10^4 calls on a busy
// machine).
TEST(GemmSerial, IsSafeInsideParallelLoops) {
  const reference::KeepMachine keep;
  set_thread_count(4);
  for (const Isa isa : reference::instruction_sets()) {
    set_isa(isa);
    const GemmCase g{Trans::no, Trans::yes, 60, 60, 32, 1.0, 0.0, 0};
    const Operands<double> x(g);
    const auto run = [&](std::vector<double>& c) {
      gemm_serial(g.ta, g.tb, g.M, g.N, g.K, g.alpha, x.a.data(), x.lda, x.b.data(), x.ldb, g.beta,
                  c.data(), x.ldc);
    };
    std::vector<double> expected(x.c.size());
    run(expected);
    std::atomic<int> wrong{0};
    parallel_for(20'000, 10, [&](std::int64_t begin, std::int64_t end) {
      std::vector<double> c(expected.size());
      for (std::int64_t i = begin; i < end; ++i) {
        run(c);
        if (c != expected) ++wrong;
      }
    });
    EXPECT_EQ(wrong, 0) << name_of(isa);
  }
}

// What a text's answer is does not depend on how many are asked for with it, while all are few.
TEST(GemmOfFewRows, ComputesEachElementAlikeWhateverTheShape) {
  const reference::KeepMachine keep;
  for (const Isa isa : reference::instruction_sets()) {
    set_isa(isa);
    const std::int64_t M = few_rows(), N = 131, K = 801;
    const auto x = random_values<float>(M * K, "x"), w = random_values<float>(N * K, "w");
    const auto product = [&](std::int64_t rows, std::int64_t columns) {
      std::vector<float> y(static_cast<std::size_t>(rows * columns));
      gemm(Trans::no, Trans::yes, rows, columns, K, 1.0f, x.data(), K, w.data(), K, 0.0f, y.data(),
           columns);
      return y;
    };
    const std::vector<float> all = product(M, N);
    for (std::int64_t rows = 1; rows < M; rows += 1 + rows / 7) {
      const std::vector<float> few = product(rows, N), narrow = product(rows, 3);
      for (std::int64_t m = 0; m < rows; ++m) {
        const float* expected = all.data() + m * N;
        EXPECT_TRUE(std::equal(expected, expected + N, few.data() + m * N)) << rows;
        EXPECT_TRUE(std::equal(expected, expected + 3, narrow.data() + m * 3)) << rows;
      }
    }
  }
}

TEST(GemmRows, CountsRowsOfTheActivations) {
  const std::vector<float> a(60), b(60);
  std::vector<float> c(60);
  const std::int64_t before = gemm_rows();
  gemm(Trans::no, Trans::yes, 5, 4, 3, 1.0f, a.data(), 3, b.data(), 3, 0.0f, c.data(), 4);
  EXPECT_EQ(gemm_rows() - before, 5);
  gemm(Trans::yes, Trans::no, 5, 4, 3, 1.0f, a.data(), 5, b.data(), 4, 0.0f, c.data(), 4);
  EXPECT_EQ(gemm_rows() - before, 5);
}

TEST(GemmOfNothing, LeavesMemoryAlone) {
  std::vector<float> c{7.0f};
  gemm<float>(Trans::no, Trans::no, 0, 1, 1, 1.0f, nullptr, 1, nullptr, 1, 0.0f, c.data(), 1);
  gemm<float>(Trans::no, Trans::no, 1, 0, 1, 1.0f, nullptr, 1, nullptr, 1, 0.0f, c.data(), 1);
  EXPECT_EQ(c[0], 7.0f);
}

TEST(GemmDescription, NamesTheLibrary) {
  EXPECT_NE(gemm_description().find("OpenBLAS"), std::string::npos);
}

}  // namespace
}  // namespace holdfast
