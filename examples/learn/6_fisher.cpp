// 6. The Fisher information of logistic regression, against its closed form.
//
// One learns which "Fisher" one has. For logits z = W x + b, p = softmax(z), the diagonal at W_ki
// is
//   true       F = 1/N sum_n sum_y p_ny (d log p_ny / d W_ki)^2
//                = 1/N sum_n p_nk (1 - p_nk) x_ni^2
//   empirical  1/N sum_n (p_nk - [k = y_n])^2 x_ni^2, at the labels of the data
//   sampled    the same at labels drawn from p: right on average
//   sketch     one random sum over all labels: right on average, with less noise
//   squared batch gradients
//              mean over batches of (1/B sum_b g_b)^2: what many programs compute
// Expected for independent gradients of mean 0, the last is F/B: too small by the batch size, and
// the fewer batches the noisier. holdfast squares per text, in batches, without a loop over texts
// (train/per_sample.h).
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numeric>
#include <vector>

#include "autograd/fused.h"
#include "examples/learn/toy.h"
#include "nn/batch.h"
#include "train/fisher.h"
#include "train/per_sample.h"

using namespace holdfast;

namespace {

constexpr std::size_t N = 4096, I = 20, K = 4;
using Row = std::vector<double>;

// Inputs of unlike scales, labels drawn from a softmax: the model class is right, as theory wants
// it.
struct Data {
  Row x;  // (N, I)
  std::vector<std::int32_t> labels;
  Data() {
    const RandomStream random(4, "data");
    for (std::size_t n = 0; n < N; ++n) {
      Row z(K, 0.0);
      for (std::size_t i = 0; i < I; ++i) {
        const double deviation = std::pow(0.8, static_cast<double>(i));
        x.push_back(deviation * random.normal(n, i));
        for (std::size_t k = 0; k < K; ++k) z[k] += 0.8 * random.normal(N + k, i) * x.back();
      }
      labels.push_back(label_at(softmax_row(z), random.uniform(n, 1000)));
    }
  }
  static Row softmax_row(Row z) {
    const double most = *std::max_element(z.begin(), z.end());
    double sum = 0;
    for (double& value : z) sum += value = std::exp(value - most);
    for (double& value : z) value /= sum;
    return z;
  }
};

struct Regression {
  Data data;
  ParameterArena arena;
  std::size_t weight = 0, bias = 0;
  std::vector<Row> p;  // at the optimum, a row a text

  Regression() {
    weight = toy::declare(arena, "weight", {K, I});
    bias = toy::declare(arena, "bias", {K});
    arena.allocate(DType::f64);
    const Tensor y = Tensor::from(data.labels, {N}), mean = Tensor::full({N}, DType::f64, 1.0 / N);
    for (int step = 0; step < 3000; ++step) {
      backward(softmax_cross_entropy(logits(0, N), y, mean));
      toy::descend(arena, 2.0);
    }
    const Row z = logits(0, N).value().to_vector();
    for (auto at = z.begin(); at != z.end(); at += K) p.push_back(Data::softmax_row({at, at + K}));
  }
  Var logits(std::size_t begin, std::size_t end) {
    const auto rows = static_cast<std::int64_t>(end - begin);
    const Tensor x =
        Tensor::from(std::span<const double>(data.x).subspan(begin * I, rows * I), {rows, I});
    return linear(Var(x), Var(arena[weight]), Var(arena[bias]));
  }
  Row gradient_at(std::size_t n, std::int32_t label) const {  // d(-log p_y)/dz
    Row out = p[n];
    out[static_cast<std::size_t>(label)] -= 1;
    return out;
  }
  // 1/N sum_n sum_k (of_text(n)[k] . dz_n/dW)^2, the passes k side by side in of_text(n): (K,
  // passes).
  template <class OfText>
  Row squares(std::size_t passes, const OfText& of_text) {
    PerSampleSums sums(arena, SumOf::squares);
    const Var z = logits(0, N);
    std::vector<TokenSpan> single;  // a row a text
    const std::vector<std::int32_t> id = {0};
    for (std::size_t n = 0; n < N; ++n) single.push_back({.ids = id, .type_ids = {}});
    const Batch batch = pack(single);
    for (std::size_t pass = 0; pass < passes; ++pass) {
      Row delta;
      for (std::size_t n = 0; n < N; ++n) {
        const Row all = of_text(n);
        for (std::size_t k = 0; k < K; ++k) delta.push_back(all[k * passes + pass]);
      }
      sums.begin(batch.packing);
      backward(z, Tensor::from(delta, z.shape()), sums);
    }
    Row out = sums.sums().to_vector();
    out.resize(K * I);  // W alone: it comes first
    for (double& value : out) value /= N;
    return out;
  }
  Row closed_form() const {
    Row out(K * I, 0.0);
    for (std::size_t n = 0; n < N; ++n)
      for (std::size_t k = 0; k < K; ++k)
        for (std::size_t i = 0; i < I; ++i)
          out[k * I + i] += p[n][k] * (1 - p[n][k]) * data.x[n * I + i] * data.x[n * I + i] / N;
    return out;
  }
  // Mean over batches of the squared mean gradient, at the labels of the data.
  Row squared_batches(std::size_t B) {
    Row out(K * I, 0.0);
    for (std::size_t begin = 0; begin < N; begin += B) {
      const std::vector<std::int32_t> labels(
          data.labels.begin() + static_cast<std::ptrdiff_t>(begin),
          data.labels.begin() + static_cast<std::ptrdiff_t>(begin + B));
      const auto rows = static_cast<std::int64_t>(B);
      arena.zero_grad();
      backward(
          softmax_cross_entropy(logits(begin, begin + B), Tensor::from(labels, {rows}),
                                Tensor::full({rows}, DType::f64, 1.0 / static_cast<double>(B))));
      const Row gradient = arena[weight].grad.to_vector();
      for (std::size_t i = 0; i < K * I; ++i)
        out[i] += gradient[i] * gradient[i] * static_cast<double>(B) / N;
    }
    return out;
  }
};

double mean_of(const Row& row) {
  return std::accumulate(row.begin(), row.end(), 0.0) / static_cast<double>(row.size());
}

double largest_error(const Row& row, const Row& F) {
  double most = 0;
  for (std::size_t i = 0; i < F.size(); ++i) most = std::max(most, std::fabs(row[i] / F[i] - 1));
  return most;
}

double correlation(const Row& a, const Row& b) {
  const double ma = mean_of(a), mb = mean_of(b);
  double ab = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - ma) * (b[i] - mb);
    aa += (a[i] - ma) * (a[i] - ma);
    bb += (b[i] - mb) * (b[i] - mb);
  }
  return ab / std::sqrt(aa * bb);
}

void print(const char* name, const Row& row, const Row& F) {
  const double error = largest_error(row, F);
  std::printf("%-22s %8.4f  %11.4f  ", name, mean_of(row) / mean_of(F), correlation(row, F));
  error < 1e-12 ? std::printf("      < 1e-12\n") : std::printf("%12.1f%%\n", 100 * error);
}

}  // namespace

int main() {
  Regression model;
  const Row F = model.closed_form();
  const RandomStream random(6, "draws");
  std::printf("%zu texts, %zu x %zu weights; beside p (1 - p) x^2:\n", N, K, I);
  std::printf("                       mean/mean  correlation  largest error\n");
  const Row exact = model.squares(K - 1, [&](std::size_t n) { return fisher_factor(model.p[n]); });
  print("true, K-1 passes", exact, F);
  print("empirical",
        model.squares(1, [&](std::size_t n) { return model.gradient_at(n, model.data.labels[n]); }),
        F);
  print("sampled",
        model.squares(1,
                      [&](std::size_t n) {
                        return model.gradient_at(n, label_at(model.p[n], random.uniform(0, n)));
                      }),
        F);
  print("sketch",
        model.squares(1,
                      [&](std::size_t n) {
                        std::vector<int> signs;
                        for (std::size_t k = 0; k < K; ++k)
                          signs.push_back((random.bits(n, k)[0] & 1U) != 0 ? 1 : -1);
                        return sketched_gradient(model.p[n], signs);
                      }),
        F);
  std::vector<double> ratios;
  for (const std::size_t B : {1, 8, 32, 128, 512}) {
    const Row wrong = model.squared_batches(B);
    std::array<char, 40> name{};
    std::snprintf(name.data(), name.size(), "batches of %zu squared", B);
    print(name.data(), wrong, F);
    ratios.push_back(mean_of(wrong) / mean_of(F) * static_cast<double>(B));
  }
  const bool as_said = largest_error(exact, F) < 1e-12 && std::fabs(ratios[2] - 1) < 0.25;
  return as_said ? 0 : 1;
}
