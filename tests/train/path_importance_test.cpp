#include "train/path_importance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/parallel.h"
#include "nn/model.h"
#include "tensor/random.h"
#include "tests/reference/expect_error.h"
#include "tests/reference/temporary_folder.h"
#include "tests/train/tiny_classifier.h"
#include "train/importance_file.h"

namespace holdfast {
namespace {

ParameterArena vector_arena(std::int64_t n, DType dtype) {
  ParameterArena arena;
  arena.declare("weight", {n}, {NamedSlice{.name = "weight", .shape = {n}, .task = {}}});
  arena.allocate(dtype);
  return arena;
}

double random_at(std::uint64_t seed, std::int64_t step, std::int64_t i) {
  return RandomStream(seed, "test")
      .normal(static_cast<std::uint64_t>(step), static_cast<std::uint64_t>(i));
}

// Random gradients and random steps against the formula, element by element.
TEST(PathImportance, EqualsTheNaiveLoop) {
  constexpr std::int64_t kSteps = 20, kSize = 48;
  constexpr double kXi = 1e-2;
  ParameterArena arena = vector_arena(kSize, DType::f64);
  const Tensor theta = arena.values();
  for (std::int64_t i = 0; i < kSize; ++i) theta.data<double>()[i] = random_at(1, 0, i);
  const std::vector<double> start = theta.to_vector();
  std::vector<double> w(kSize, 0);
  PathImportance path(arena);
  for (std::int64_t step = 0; step < kSteps; ++step) {
    const Tensor gradient = Tensor::zeros({kSize}, DType::f64);
    for (std::int64_t i = 0; i < kSize; ++i) {
      const double g = random_at(2, step, i), move = 0.1 * random_at(3, step, i);
      gradient.data<double>()[i] = g;
      const double before = theta.data<double>()[i];
      theta.data<double>()[i] += move;
      w[static_cast<std::size_t>(i)] -= g * (theta.data<double>()[i] - before);
    }
    path.record(gradient, theta);
  }
  EXPECT_EQ(path.contributions().to_vector(), w);
  const Importance importance = path.finish(arena, "news", kXi);
  EXPECT_EQ(importance.kind, ImportanceKind::si);
  EXPECT_EQ(importance.samples, kSteps);
  EXPECT_EQ(importance.task, "news");
  EXPECT_EQ(importance.weights, weights_digest(arena));
  std::vector<double> expected;
  for (std::size_t i = 0; i < w.size(); ++i) {
    const double way = theta.data<double>()[i] - start[i];
    expected.push_back(w[i] > 0 ? w[i] / (way * way + kXi) : 0);
  }
  EXPECT_GT(std::count(expected.begin(), expected.end(), 0.0), 5);
  expect_near(importance.values.to_vector(), expected, 1e-14);
}

// Gradient descent on 1/2 sum a_i theta_i^2 down to 0: w_i is the fall of its term, 1/2 a_i
// theta_i(0)^2, as the rate goes to 0, and exceeds it by O(rate) before.
TEST(PathImportance, OfAQuadraticIsTheFallOfTheLoss) {
  constexpr std::int64_t kSize = 16;
  double last_error = std::numeric_limits<double>::infinity();
  for (const double rate : {1e-1, 1e-2, 1e-3}) {
    ParameterArena arena = vector_arena(kSize, DType::f64);
    const Tensor theta = arena.values();
    const auto curvature = [](std::int64_t i) { return 0.2 + 0.1 * static_cast<double>(i); };
    theta.fill(1.5);
    PathImportance path(arena);
    for (std::int64_t step = 0; step < std::llround(80 / rate); ++step) {
      const Tensor gradient = Tensor::zeros({kSize}, DType::f64);
      for (std::int64_t i = 0; i < kSize; ++i) {
        gradient.data<double>()[i] = curvature(i) * theta.data<double>()[i];
      }
      for (std::int64_t i = 0; i < kSize; ++i) {
        theta.data<double>()[i] -= rate * gradient.data<double>()[i];
      }
      path.record(gradient, theta);
    }
    double error = 0;
    for (std::int64_t i = 0; i < kSize; ++i) {
      const double fall = 0.5 * curvature(i) * 1.5 * 1.5;
      error = std::max(error, std::abs(path.contributions().data<double>()[i] / fall - 1));
      // exactly: w = a rate sum (1 - rate a)^2t a theta^2 = fall / (1 - rate a / 2)
      EXPECT_NEAR(path.contributions().data<double>()[i], fall / (1 - rate * curvature(i) / 2),
                  1e-9);
    }
    EXPECT_LT(error, last_error / 9);
    last_error = error;
  }
  EXPECT_LT(last_error, 1e-3);
}

// One large term, then a thousand that f32 would lose beside it.
TEST(PathImportance, SinglePrecisionAddsInDouble) {
  ParameterArena arena = vector_arena(16, DType::f32);
  const Tensor theta = arena.values(), gradient = Tensor::full({16}, DType::f32, -1);
  PathImportance path(arena);
  theta.fill(1);
  path.record(gradient, theta);
  for (int step = 0; step < 1024; ++step) {  // back and forth, downhill both ways
    const bool back = step % 2 == 0;
    gradient.fill(back ? 0x1p-26 : -0x1p-26);
    theta.fill(back ? 0 : 1);
    path.record(gradient, theta);
  }
  EXPECT_EQ(path.contributions().data<double>()[0], 1 + 1024 * 0x1p-26);
}

TEST(PathImportance, SameBitsForAnyNumberOfThreads) {
  std::vector<std::vector<double>> results;
  for (const int threads : {1, 2, 4}) {
    set_thread_count(threads);
    ParameterArena arena = vector_arena(50'000, DType::f32);
    PathImportance path(arena);
    for (std::int64_t step = 0; step < 2; ++step) {
      const Tensor gradient = Tensor::zeros({arena.numel()}, DType::f32);
      for (std::int64_t i = 0; i < 50'000; ++i) {
        gradient.data<float>()[i] = static_cast<float>(random_at(1, step, i));
        arena.values().data<float>()[i] -= 1e-3F * gradient.data<float>()[i];
      }
      path.record(gradient, arena.values());
    }
    results.push_back(path.finish(arena, "news").values.to_vector());
  }
  set_thread_count(1);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

// Heads of other tasks get none, and what is left goes through a file.
TEST(PathImportance, OfATaskIsSavedAndRead) {
  const TemporaryFolder folder;
  Model model = tiny_model(DType::f32);
  PathImportance path(model.arena());
  const Tensor gradient = Tensor::zeros({model.arena().numel()}, DType::f32);
  for (const NamedSlice& slice : model.arena().slices()) {
    gradient.slice(0, slice.offset, slice.offset + slice.size).fill(-1);
    model.arena().value(slice).fill(0.5);
  }
  path.record(gradient, model.arena().values());
  const Importance importance = path.finish(model.arena(), "news");
  for (const NamedSlice& slice : model.arena().slices()) {
    const Tensor values = importance.values.slice(0, slice.offset, slice.offset + slice.size);
    if (slice.task == "other") {
      EXPECT_EQ(values.to_vector(), std::vector<double>(values.to_vector().size(), 0.0));
    }
  }
  save_importance(folder / "si.safetensors", importance, model.arena());
  const Importance read = load_importance(folder / "si.safetensors", model.arena());
  EXPECT_EQ(read.kind, ImportanceKind::si);
  EXPECT_EQ(read.values.to_vector(), importance.values.to_vector());
}

TEST(PathImportance, RefusesWhatIsNotItsDefinition) {
  ParameterArena arena = vector_arena(16, DType::f64);
  PathImportance path(arena);
  const Tensor ones = Tensor::full({16}, DType::f64, 1);
  expect_error<std::invalid_argument>("size", "gradient is f64 (15), theta was f64 (16)", [&] {
    path.record(Tensor::zeros({15}, DType::f64), arena.values());
  });
  expect_error<std::invalid_argument>("type", "theta_after is f32 (16), theta was f64 (16)",
                                      [&] { path.record(ones, Tensor::zeros({16}, DType::f32)); });
  for (const double xi : {0.0, -1.0, std::numeric_limits<double>::infinity()}) {
    expect_error<std::invalid_argument>("xi", "xi is", [&] { path.finish(arena, "news", xi); });
  }
  arena.values().fill(0.5);
  path.record(ones, arena.values());  // uphill all along
  expect_error<std::runtime_error>("zero", "O is zero everywhere after 1 steps of task \"news\"",
                                   [&] { path.finish(arena, "news"); });
  path.record(Tensor::full({16}, DType::f64, std::numeric_limits<double>::quiet_NaN()),
              arena.values());
  expect_error<std::runtime_error>("nan", "not finite", [&] { path.finish(arena, "news"); });
}

}  // namespace
}  // namespace holdfast
