// What operations tell a profiled step: each forward and each node's backward once, and the work of
// products.
#include "base/profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "autograd/fused.h"

namespace holdfast {
namespace {

using Lines = std::vector<std::string>;

Parameter parameter(const Shape& shape, bool trainable = true) {
  return {"p", Tensor::full(shape, DType::f64, 0.5), Tensor::zeros(shape, DType::f64), false,
          trainable};
}

/// "phase name xcalls operations" of what `step` does, sorted.
Lines laps_of(const std::function<void()>& step) {
  Profile profile;
  {
    const ProfiledStep profiled(&profile, 1);
    step();
  }
  Lines out;
  for (const Profile::Row& row : profile.summary().rows) {
    out.push_back(row.phase + ' ' + row.name + " x" + std::to_string(row.calls) + ' ' +
                  std::to_string(row.operations));
  }
  std::ranges::sort(out);
  return out;
}

class Network {
 public:
  explicit Network(bool trainable) : weight2_(parameter({2, 5}, trainable)) {}
  Var loss() {
    const Var x(Tensor::full({4, 3}, DType::f64, 0.1));
    const Var hidden = linear(x, Var(weight1_), Var(bias1_), Activation::tanh);
    return sum(scale(scale(linear(hidden, Var(weight2_), Var(bias2_)), 2.0), 3.0));
  }

 private:
  Parameter weight1_ = parameter({5, 3}), bias1_ = parameter({5});
  Parameter weight2_, bias2_ = parameter({2});
};

// x is a constant, so of the first layer's backward there is one product, 2 * 4 * 3 * 5; of the
// second's there are two, 2 * 4 * 5 * 2 each.
TEST(ProfiledOperations, LapOnceEachWithTheWorkOfTheirProducts) {
  Network network(true);
  EXPECT_EQ(laps_of([&] { backward(network.loss()); }),
            (Lines{"backward linear 3->5 x1 120", "backward linear 5->2 x1 160",
                   "backward scale x2 0", "backward sum x1 0", "forward linear 3->5 x1 120",
                   "forward linear 5->2 x1 80", "forward scale x2 0", "forward sum x1 0"}));
}

TEST(ProfiledOperations, CountNoProductForAFrozenWeight) {
  Network network(false);
  const Lines laps = laps_of([&] { backward(network.loss()); });
  EXPECT_NE(std::ranges::find(laps, "backward linear 5->2 x1 80"), laps.end());
}

TEST(ProfiledOperations, LapWithoutRecordingToo) {
  Network network(true);
  EXPECT_EQ(laps_of([&] {
              const NoGrad off;
              network.loss();
            }),
            (Lines{"forward linear 3->5 x1 120", "forward linear 5->2 x1 80", "forward scale x2 0",
                   "forward sum x1 0"}));
}

}  // namespace
}  // namespace holdfast
