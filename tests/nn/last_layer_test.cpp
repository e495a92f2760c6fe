// The last layer's shortcut: a classifier's pooled vectors and all its gradients are those of the
// computation of every row, which a trace asks for.
#include <gtest/gtest.h>

#include <algorithm>

#include "audit/reference/adapter_models.h"
#include "tests/nn/golden.h"

namespace holdfast {
namespace {

using testing::adapted_model;
using testing::base_model;
using testing::error;
using testing::greatest;

class LastLayer : public ::testing::TestWithParam<AdapterKind> {
 protected:
  static Model model() {
    Model model = GetParam() == AdapterKind::none ? base_model(DType::f64)
                                                  : adapted_model(GetParam(), DType::f64);
    model.set_dropout(0.2);
    return model;
  }

  struct Pass {
    std::vector<double> pooled;
    Model model;  // with its gradients
  };

  static Pass pass(const Batch& batch, ActivationTrace* trace) {
    Pass out{.pooled = {}, .model = model()};
    const DropoutPlan plan{.active = true, .seed = 5, .step = 2};
    const Var pooled = out.model.pool(batch, plan, trace);
    out.pooled = pooled.value().to_vector();
    std::vector<std::int32_t> labels;
    for (std::int64_t b = 0; b < batch.texts(); ++b)
      labels.push_back(static_cast<std::int32_t>(b % 3));
    backward(softmax_cross_entropy(out.model.logits(pooled, out.model.heads().front()),
                                   Tensor::from(labels, {batch.texts()}),
                                   Tensor::full({batch.texts()}, DType::f64, 0.5)));
    out.model.arena().clear_unreached();
    return out;
  }
};

INSTANTIATE_TEST_SUITE_P(Kinds, LastLayer,
                         ::testing::Values(AdapterKind::none, AdapterKind::houlsby,
                                           AdapterKind::pfeiffer, AdapterKind::lora),
                         [](const auto& kind) { return std::string(name_of(kind.param)); });

// What a slice's gradient is compared on: its greatest element, or that of all where it is zero but
// for rounding (of key biases always, which softmax does not feel; of all queries and keys when no
// text has a second token).
double scale_of(const ParameterArena& arena, const NamedSlice& slice) {
  const double own = greatest(arena.grad(slice).to_vector());
  const double all = greatest(arena.grads().to_vector());
  return own > 1e-9 * all ? own : all;
}

TEST_P(LastLayer, EqualsTheComputationOfEveryRow) {
  const std::vector<std::int32_t> long_text = {3, 4, 40, 6, 6, 12, 30}, short_text = {9, 3},
                                  single = {7};
  const TokenSpan a{.ids = long_text, .type_ids = {}, .slot = 4},
      b{.ids = single, .type_ids = {}, .slot = 1}, c{.ids = short_text, .type_ids = {}, .slot = 0};
  for (const std::vector<TokenSpan>& texts :
       {std::vector<TokenSpan>{a, b, c}, {a}, {c}, {b}, {b, b, b}}) {
    SCOPED_TRACE(::testing::Message() << texts.size() << " texts, the first of "
                                      << texts.front().ids.size() << " tokens");
    const Batch batch = pack(texts);
    ActivationTrace trace;
    const Pass some = pass(batch, nullptr), all = pass(batch, &trace);
    const auto last = std::ranges::find(trace, "bert.encoder", &ActivationTrace::value_type::first);
    ASSERT_NE(last, trace.end());
    EXPECT_EQ(last->second.size(0), batch.tokens());
    EXPECT_LE(error(some.pooled, all.pooled), 1e-12);
    const ParameterArena &found = some.model.arena(), &expected = all.model.arena();
    for (const NamedSlice& slice : expected.slices()) {
      const double scale = scale_of(expected, slice);
      const std::vector<double> x = found.grad(slice).to_vector(),
                                y = expected.grad(slice).to_vector();
      for (std::size_t i = 0; i < x.size(); ++i)
        ASSERT_NEAR(x[i], y[i], 1e-12 * scale) << slice.name << " element " << i;
    }
  }
}

// Rows beyond the first of each text reach the result through keys and values alone, and they do.
TEST_P(LastLayer, FeelsEveryToken) {
  std::vector<std::int32_t> ids = {3, 4, 40};
  Model one = model();
  const auto pooled = [&] {
    const TokenSpan text{.ids = ids, .type_ids = {}};
    return one.pool(pack({&text, 1})).value().to_vector();
  };
  const std::vector<double> before = pooled();
  ids.back() = 41;
  EXPECT_GT(error(pooled(), before), 1e-3);
}

}  // namespace
}  // namespace holdfast
