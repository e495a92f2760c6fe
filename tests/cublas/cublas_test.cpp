// tensor/cuda/cublas.cu, which describes row-major products to cuBLASLt in columns, against a
// stand-in for the library. Operands are small integers, so that results are exact in every type.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/cuda/product.h"
#include "tensor/cuda/stream.h"
#include "tests/cublas/stand_in/stand_in.h"
#include "tests/reference/tf32.h"

// Of CUDA's runtime cublas.cu asks for the workspace alone; of ours for the stream (runtime.cu) and
// for products that the library has no algorithm for (kernels.cu).
cudaError_t of_malloc = cudaSuccess, last_error = cudaSuccess;
extern "C" cudaError_t cudaMalloc(void** memory, std::size_t) {
  static int place;
  *memory = &place;
  return last_error = of_malloc;
}
extern "C" cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
namespace holdfast::cuda {
CUstream_st* current_stream() { return nullptr; }
int device_number = 0;
int current_device_number() { return device_number; }
void asked(const char*) {}
int plain_products = 0;
template <class T>
void multiply_plainly(const Product<T>& product) {
  ++plain_products;
  const PlainProduct<T> element{product};
  for (std::int64_t i = 0; i < product.M * product.N; ++i) element(i);
}
template void multiply_plainly(const Product<float>&);
template void multiply_plainly(const Product<double>&);
template void multiply_plainly(const Product<Bf16>&);
}  // namespace holdfast::cuda

namespace holdfast {
namespace {

using cuda::Product;

template <class T>
std::vector<T> numbers(std::int64_t count, int seed) {
  std::vector<T> x;
  for (std::int64_t i = 0; i < count; ++i) x.push_back(static_cast<T>((i * 7 + seed) % 11 - 5));
  return x;
}

// A product with what it reads and writes, every matrix `pad` elements from row to row wider than
// it is.
template <class T>
struct Case {
  using Sum = typename Product<T>::Sum;
  std::vector<T> a, b;
  std::vector<Sum> c, bias;
  Product<T> product;

  Case(bool ta, bool tb, std::int64_t M, std::int64_t N, std::int64_t K, std::int64_t pad)
      : a(numbers<T>((ta ? K : M) * ((ta ? M : K) + pad), 3)),
        b(numbers<T>((tb ? N : K) * ((tb ? K : N) + pad), 4)),
        c(numbers<Sum>(M * (N + pad), 5)),
        bias(numbers<Sum>(N, 6)),
        product{.transpose_a = ta,
                .transpose_b = tb,
                .M = M,
                .N = N,
                .K = K,
                .A = a.data(),
                .lda = (ta ? M : K) + pad,
                .B = b.data(),
                .ldb = (tb ? K : N) + pad,
                .add = false,
                .C = c.data(),
                .ldc = N + pad} {}
  Case(const Case&) = delete;

  // C after the product, its padding included: sums in double, element by element.
  std::vector<Sum> expected() const {
    const Product<T>& p = product;
    std::vector<Sum> y = c;
    for (std::int64_t m = 0; m < p.M; ++m) {
      for (std::int64_t n = 0; n < p.N; ++n) {
        Sum& target = y[static_cast<std::size_t>(m * p.ldc + n)];
        double sum = p.add ? static_cast<double>(target) : 0;
        if (p.bias != nullptr) sum += static_cast<double>(p.bias[n]);
        for (std::int64_t k = 0; k < p.K; ++k)
          sum += static_cast<double>(p.A[p.transpose_a ? k * p.lda + m : m * p.lda + k]) *
                 static_cast<double>(p.B[p.transpose_b ? n * p.ldb + k : k * p.ldb + n]);
        target = static_cast<Sum>(sum);
      }
    }
    return y;
  }
  void multiply() const { cuda::device_products<T>().multiply(product); }
};

template <class T>
class CublasProducts : public testing::Test {};
using Types = testing::Types<float, double, Bf16>;
TYPED_TEST_SUITE(CublasProducts, Types);

TYPED_TEST(CublasProducts, EqualNaiveOnes) {
  cuda::plain_products = 0;
  for (int which = 0; which < 16; ++which) {
    for (const std::int64_t pad : {0, 1, 4}) {
      Case<TypeParam> one(which & 1, which & 2, 5, 7, 3, pad);
      one.product.add = which & 4;
      if ((which & 8) != 0 && cuda::takes_bias(one.bias.data())) one.product.bias = one.bias.data();
      const auto expected = one.expected();
      one.multiply();
      EXPECT_EQ(one.c, expected) << which << " with rows " << pad << " wider";
    }
  }
  EXPECT_EQ(cuda::plain_products, 0);
}

TYPED_TEST(CublasProducts, WithoutAnAlgorithmAreOurOwn) {
  for (int which = 0; which < 16; ++which) {
    Case<TypeParam> one(which & 1, which & 2, 5, 7, 3, which);
    one.product.add = which & 4;
    if ((which & 8) != 0) one.product.bias = one.bias.data();
    const auto expected = one.expected();
    cuda::multiply_plainly(one.product);
    EXPECT_EQ(one.c, expected) << which;
  }
}

TYPED_TEST(CublasProducts, WorkFromAnyAddress) {
  Case<TypeParam> one(false, true, 4, 6, 8, 3);
  one.product.A += 1, one.product.B += 2;
  const auto expected = one.expected();
  one.multiply();
  EXPECT_EQ(one.c, expected);
}

TEST(CublasBias, IsTakenInFloatFromWholeSixteenBytesOn) {
  alignas(16) const float f32[8] = {};
  alignas(16) const double f64[8] = {};
  EXPECT_TRUE(cuda::takes_bias(f32));
  EXPECT_TRUE(cuda::takes_bias(f32 + 4));
  EXPECT_FALSE(cuda::takes_bias(f32 + 1));
  EXPECT_FALSE(cuda::takes_bias(f64));
  Case<double> one(false, true, 2, 2, 2, 0);
  one.product.bias = one.bias.data();
  const auto expected = one.expected();
  cuda::plain_products = 0;
  one.multiply();
  EXPECT_EQ(cuda::plain_products, 1);
  EXPECT_EQ(one.c, expected);
}

TEST(CublasTf32, RoundsWhatItReadsWhereAskedFor) {
  for (const bool tf32 : {false, true}) {
    Case<float> one(false, true, 3, 4, 1, 1);
    for (float& x : one.a) x += 0x1p-11F;  // of 12 bits and more: TF32 does not have them
    one.product.tf32 = tf32;
    std::vector<float> expected = one.expected();
    if (tf32) {
      std::vector<float> rounded = one.a;
      for (float& x : rounded) x = nearest_tf32(x);
      ASSERT_NE(rounded, one.a);
      one.product.A = rounded.data();
      expected = one.expected();
      one.product.A = one.a.data();
    }
    one.multiply();
    EXPECT_EQ(one.c, expected) << tf32;
  }
}

TEST(CublasChoices, AreMadeOnceForEachQuestion) {
  const auto choices_of = [](const auto& one) {
    const int before = cublas_stand_in_choices();
    one.multiply();
    return cublas_stand_in_choices() - before;
  };
  Case<float> one(false, true, 31, 32, 33, 0), same(false, true, 31, 32, 33, 0);
  alignas(256) float place[2 * 32 * 33] = {};
  one.product.A = one.product.B = place;
  same.product.A = same.product.B = place + 64;
  same.product.C = one.product.C;
  same.product.add = true;  // not told when an algorithm is chosen
  EXPECT_EQ(choices_of(one), 1);
  EXPECT_EQ(choices_of(one), 0);
  EXPECT_EQ(choices_of(same), 0);
  ++same.product.A;  // another alignment
  EXPECT_EQ(choices_of(same), 1);
  one.product.tf32 = true;
  EXPECT_EQ(choices_of(one), 1);
  alignas(256) const float bias[32] = {};
  one.product.bias = bias;
  EXPECT_EQ(choices_of(one), 1);
  for (std::int64_t ldc = 32; ldc < 32 + 4096; ++ldc) {
    Case<float> other(false, false, 1, 1, 1, 0);
    other.product.ldc = ldc;
    other.multiply();
  }
  EXPECT_EQ(choices_of(one), 1);  // forgotten among so many
}

TEST(CublasChoices, AreSafeAmongThreads) {
  const auto work = [] {
    for (std::int64_t N = 1; N < 60; ++N) {
      Case<float> one(true, false, 2, N, 3, 0);
      const std::vector<float> expected = one.expected();
      one.multiply();
      EXPECT_EQ(one.c, expected);
    }
  };
  std::thread other(work);
  work();
  other.join();
}

TEST(Cublas, WithoutMemorySaysSoOnceAndTriesAgain) {
  Case<float> one(false, true, 2, 3, 4, 0);
  const auto expected = one.expected();
  cuda::device_number = 1;
  of_malloc = cudaErrorMemoryAllocation;
  EXPECT_THROW(one.multiply(), std::runtime_error);
  EXPECT_EQ(last_error, cudaSuccess);
  of_malloc = cudaSuccess;
  one.multiply();
  EXPECT_EQ(one.c, expected);
  cuda::device_number = 0;
}

TEST(Cublas, IsLoadedByItsName) {
  EXPECT_EQ(cuda::gemm_version(), "cuBLASLt 13.2.3");
  EXPECT_EQ(cuda::missing_for_gemm(), "");
}

}  // namespace
}  // namespace holdfast
