// The optimizer's arithmetic on a device beside the CPU's, from the same numbers.
#include <gtest/gtest.h>

#include <vector>

#include "audit/reference/small_arena.h"
#include "audit/reference/twins.h"
#include "tests/cuda/on_simulation.h"
#include "train/optimizer.h"

namespace holdfast {
namespace {

using UpdateOnDevice = OnDeviceTest;

constexpr std::int64_t kElements = 40000;  // more than a piece in the largest range

// Ranges with a gap, without decay, and one that has no anchor.
std::vector<UpdateRange> ranges() {
  return {{.begin = 0, .end = 20000, .learning_rate = 1e-3, .weight_decay = 0.1},
          {.begin = 20000, .end = 20007, .learning_rate = 2e-3},
          {.begin = 20016, .end = 39000, .learning_rate = 1e-2, .weight_decay = 0.01, .layer = 1},
          {.begin = 39000, .end = 40000, .learning_rate = 5e-3, .anchored = false, .layer = 2}};
}

struct Outcome {
  std::vector<Tensor> tensors;
  std::vector<double> sums;
};

// Three steps of a pull from random numbers that `seed` tells apart.
Outcome steps(DType dtype, Pull pull, const EwcPenalty* ewc) {
  const auto numbers = [&](std::uint64_t seed) {
    return random_tensor({kElements}, seed, 1.0, dtype);
  };
  const Tensor theta = numbers(1), anchor = numbers(2);
  pull.ewc = ewc;
  if (ewc == nullptr) pull.anchor = &anchor;
  AdamW optimizer(kElements, dtype, ranges());
  Outcome outcome;
  for (std::uint64_t t = 0; t < 3; ++t) {
    const Tensor gradient = numbers(10 + t);
    const double norm = gradient_norm(gradient, optimizer.trained_spans());
    const UpdateSums sums = optimizer.step(theta, gradient, 0.7, clip_factor(norm, 1.0), pull);
    outcome.sums.insert(outcome.sums.end(), {norm, sums.ewc, sums.l2, sums.l2_head});
  }
  outcome.tensors = {theta, optimizer.first_moment(), optimizer.second_moment()};
  return outcome;
}

// An arena of kElements, and importance that is zero over a long run.
struct Ewc {
  explicit Ewc(DType dtype) {
    arena.declare("all", {kElements}, {{.name = "all", .shape = {kElements}, .task = {}}});
    arena.allocate(dtype);
    arena.values().copy_from(random_tensor({kElements}, 2, 1.0, dtype));
    const Tensor importance = random_tensor({kElements}, 3, 1.0, dtype);
    dispatch(dtype, "test", [&]<class T>() {
      for (std::int64_t i = 0; i < kElements; ++i) {
        T& f = importance.data<T>()[i];
        f = i > 5000 && i < 15000 ? T{0} : f * f;
      }
    });
    penalty.emplace(0.3, arena);
    penalty->add(importance, Normalization::mean);
  }
  ParameterArena arena;
  std::optional<EwcPenalty> penalty;
};

TEST_P(UpdateOnDevice, EqualsTheCpus) {
  const RecAdam recadam{.slope = 0.5, .midpoint = 2, .pull = 20};
  struct Case {
    const char* name;
    Pull pull;
    bool ewc;
  };
  for (const auto& [name, pull, with_ewc] :
       {Case{"plain", {}, false}, Case{"coupled", {}, true},
        Case{"decoupled", {.l2 = {}, .coupling = Coupling::decoupled}, true},
        Case{"l2 to old", {.l2 = {.weight = 0.1, .head = 0.2}}, false},
        Case{"l2 to zero", {.l2 = {.weight = 0.1, .toward = L2Target::zero}}, true},
        Case{"recadam", {.l2 = {}, .recadam = &recadam}, false},
        Case{"all", {.l2 = {.weight = 0.1, .head = 0.2}, .recadam = &recadam}, true}}) {
    for (const DType dtype : {DType::f64, DType::f32}) {
      const auto outcome = [&, pull = pull, with_ewc = with_ewc] {
        const Ewc ewc(dtype);
        return steps(dtype, pull, with_ewc ? &*ewc.penalty : nullptr);
      };
      const Outcome expected = outcome();
      const OnDevice scope({0});
      const Outcome found = outcome();
      const double bound = dtype == DType::f64 ? 1e-12 : 2e-6;
      for (std::size_t i = 0; i < expected.tensors.size(); ++i)
        EXPECT_LE(difference(found.tensors[i], expected.tensors[i]), bound) << name << ' ' << i;
      for (std::size_t i = 0; i < expected.sums.size(); ++i) {
        EXPECT_NEAR(found.sums[i], expected.sums[i], bound * (1 + expected.sums[i]))
            << name << ' ' << i;
      }
      EXPECT_EQ(found.tensors[0].to_vector(), outcome().tensors[0].to_vector()) << name;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cuda, UpdateOnDevice, all_devices(), device_test_name);

}  // namespace
}  // namespace holdfast
