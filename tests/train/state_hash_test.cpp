#include "train/state_hash.h"

#include <gtest/gtest.h>

#include <cmath>

#include "audit/reference/small_bert.h"
#include "base/parallel.h"
#include "nn/model.h"

namespace holdfast {
namespace {

AdamW optimizer_for(const ParameterArena& arena) {
  return AdamW(arena.numel(), arena.dtype(), {{.begin = 0, .end = arena.numel()}});
}

TEST(StateHash, AnyElementAndAnyStepChangeIt) {
  Model model = Model::create(small_bert(20, 16, 2, 0.0), DType::f32, 3);
  AdamW optimizer = optimizer_for(model.arena());
  const StateHash before = hash_state(model.arena(), optimizer);
  EXPECT_EQ(before.weights, hash_weights(model.arena()));
  float* weights = model.arena().values().data<float>();
  for (const std::int64_t at : {std::int64_t{0}, model.arena().numel() - 1}) {
    const float kept = weights[at];
    weights[at] = std::nextafter(kept, 9.0F);
    const StateHash after = hash_state(model.arena(), optimizer);
    EXPECT_NE(after.weights, before.weights) << at;
    EXPECT_EQ(after.optimizer, before.optimizer) << at;
    weights[at] = kept;
  }
  const Tensor zeros = Tensor::zeros({model.arena().numel()}, DType::f32);
  const Tensor other = zeros.clone();
  other.data<float>()[5] = 1;
  const std::vector<std::int64_t> none = {0}, one = {1};
  optimizer.restore(one, zeros, zeros);
  EXPECT_NE(hash_state(model.arena(), optimizer).optimizer, before.optimizer);
  optimizer.restore(none, other, zeros);
  const std::string first = hash_state(model.arena(), optimizer).optimizer;
  optimizer.restore(none, zeros, other);
  EXPECT_NE(first, before.optimizer);
  EXPECT_NE(hash_state(model.arena(), optimizer).optimizer, first);
  optimizer.restore(none, zeros, zeros);
  EXPECT_EQ(hash_state(model.arena(), optimizer).optimizer, before.optimizer);
}

TEST(StateHash, IntervalFollowsFromSizesAlone) {
  Model model = Model::create(small_bert(1000, 16, 2, 0.0), DType::f32, 3);
  double matrices = 0;
  for (const NamedSlice& slice : model.arena().slices()) {
    if (slice.layer > 0 && slice.shape.rank() == 2) {
      matrices += static_cast<double>(slice.size);
    }
  }
  const double bytes = 12 * static_cast<double>(model.arena().numel());
  for (const double tokens : {10.0, 1000.0, 1e9}) {
    EXPECT_EQ(hash_interval(model.arena(), tokens),
              std::max(1.0, std::ceil(200 * 16 * bytes / (6 * matrices * tokens))))
        << tokens;
  }
  EXPECT_EQ(hash_interval(model.arena(), 1e9), 1);
  const std::int64_t trained = hash_interval(model.arena(), 100);
  model.arena().train_only([](const NamedSlice& slice) { return slice.layer > 2; });
  EXPECT_GT(hash_interval(model.arena(), 100), trained);  // its steps cost less
}

}  // namespace
}  // namespace holdfast
