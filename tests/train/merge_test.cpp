#include "train/merge.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "audit/reference/merge.h"
#include "base/parallel.h"
#include "tensor/random.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

using reference::Vector;

constexpr std::array kAll = {MergeMethod::linear,   MergeMethod::slerp,
                             MergeMethod::fisher,   MergeMethod::task_arithmetic,
                             MergeMethod::ties,     MergeMethod::dare_linear,
                             MergeMethod::dare_ties};

/// Three tensors with gaps between, one of several chunks, and a head of task "news".
ParameterArena layout(DType dtype) {
  ParameterArena arena;
  const auto declare = [&](const std::string& name, const Shape& shape, const std::string& task) {
    arena.declare(name, shape, {NamedSlice{.name = name, .shape = shape, .task = task}});
  };
  declare("first", {3, 5}, "");
  declare("second", {71, 83}, "");
  declare("third", {7}, "");
  declare("heads.news.weight", {2, 5}, "news");
  arena.allocate(dtype);
  return arena;
}

/// Normal values in the slices, 0 in the gaps.
Tensor values(const ParameterArena& arena, std::uint64_t seed, double spread = 1) {
  const RandomStream stream(seed, "values");
  const Tensor out = Tensor::zeros({arena.numel()}, DType::f64);
  for (const NamedSlice& slice : arena.slices()) {
    for (std::int64_t i = slice.offset; i < slice.offset + slice.size; ++i) {
      out.data<double>()[i] = spread * stream.normal(0, static_cast<std::uint64_t>(i));
    }
  }
  return out.to(arena.dtype());
}

/// a + spread * noise: a model trained on from a.
Tensor near(const Tensor& a, const ParameterArena& arena, std::uint64_t seed, double spread) {
  Vector out = a.to_vector();
  const Vector noise = values(arena, seed, spread).to_vector();
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += noise[i];
  return Tensor::from(out, a.shape()).to(a.dtype());
}

Tensor importance(const ParameterArena& arena, std::uint64_t seed) {
  Vector out = values(arena, seed).to_vector();
  for (double& x : out) x = x < -0.5 ? 0 : 1e-4 * x * x;  // some are 0
  return Tensor::from(out, {arena.numel()}).to(arena.dtype());
}

/// The elements of the slices, one tensor after the other.
Vector flat(const Tensor& x, std::span<const NamedSlice> slices) {
  Vector out;
  for (const NamedSlice& slice : slices) {
    const Vector part = x.slice(0, slice.offset, slice.offset + slice.size).to_vector();
    out.insert(out.end(), part.begin(), part.end());
  }
  return out;
}

void expect_near(const Vector& actual, const Vector& expected, double tolerance,
                 std::string_view what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_NEAR(actual[i], expected[i], tolerance * (1 + std::abs(expected[i])))
        << what << ' ' << i;
  }
}

/// Equal values, and equal signs of zeros.
void expect_same_bits(const Tensor& actual, const Tensor& expected, std::string_view what) {
  const Vector a = actual.to_vector(), b = expected.to_vector();
  for (std::size_t i = 0; i < a.size(); ++i) {
    ASSERT_EQ(std::bit_cast<std::uint64_t>(a[i]), std::bit_cast<std::uint64_t>(b[i]))
        << what << ' ' << i << ": " << a[i] << ", expected " << b[i];
  }
}

class Merge : public testing::TestWithParam<DType> {
 protected:
  Tensor merged(const MergeOptions& options, const std::vector<MergeInput>& inputs) const {
    const Tensor target = Tensor::zeros({arena_.numel()}, GetParam());
    merge(slices_, needs_base(options.method) ? base_ : Tensor(), inputs, options, target);
    return target;
  }
  Vector flat_merged(const MergeOptions& options, const std::vector<MergeInput>& inputs) const {
    return flat(merged(options, inputs), slices_);
  }
  double tolerance() const { return GetParam() == DType::f32 ? 1e-7 : 1e-14; }

  const ParameterArena arena_ = layout(GetParam());
  const std::vector<NamedSlice>& slices_ = arena_.slices();
  const Tensor base_ = values(arena_, 1), a_ = near(base_, arena_, 2, 0.1),
               b_ = near(base_, arena_, 3, 0.3), c_ = near(base_, arena_, 4, 0.01);
  const Vector flat_base_ = flat(base_, slices_), flat_a_ = flat(a_, slices_),
               flat_b_ = flat(b_, slices_), flat_c_ = flat(c_, slices_);
};

TEST_P(Merge, LinearEqualsTheWeightedMean) {
  expect_near(flat_merged({.method = MergeMethod::linear}, {{a_, 0.5}, {b_, 3}, {c_, 1}}),
              reference::mean_of({flat_a_, flat_b_, flat_c_}, {0.5, 3, 1}), tolerance(), "linear");
}

TEST_P(Merge, FisherEqualsTheMeanWeightedByImportance) {
  const Tensor fa = importance(arena_, 5), fb = importance(arena_, 6);
  expect_near(
      flat_merged({.method = MergeMethod::fisher, .floor = 1e-3}, {{a_, 0.5, fa}, {b_, 2, fb}}),
      reference::fisher_mean({flat_a_, flat_b_}, {0.5, 2}, {flat(fa, slices_), flat(fb, slices_)},
                             1e-3),
      tolerance(), "fisher");
}

TEST_P(Merge, FisherWithoutImportanceIsLinear) {
  const Tensor none = Tensor::zeros({arena_.numel()}, GetParam());
  expect_near(flat_merged({.method = MergeMethod::fisher}, {{a_, 1, none}, {b_, 3, none}}),
              reference::mean_of({flat_a_, flat_b_}, {1, 3}), tolerance(), "fisher");
}

TEST_P(Merge, SlerpEqualsTheArcOfEachTensorAndIsLinearWhereParallel) {
  const Tensor far = values(arena_, 9);
  const NamedSlice& third = *arena_.find("third");
  far.slice(0, third.offset, third.offset + third.size)
      .copy_from(a_.slice(0, third.offset, third.offset + third.size));
  const Tensor target = Tensor::zeros({arena_.numel()}, GetParam());
  const std::vector<MergeInput> inputs = {{a_, 0.7}, {far, 0.3}};
  const MergeReport report = merge(slices_, {}, inputs, {.method = MergeMethod::slerp}, target);
  EXPECT_EQ(report.on_arc, 3);
  EXPECT_EQ(report.tensors, 4);
  EXPECT_EQ(report.parameters, 15 + 71 * 83 + 7 + 10);
  for (const NamedSlice& slice : slices_) {
    expect_near(flat(target, {&slice, 1}),
                reference::slerp(flat(a_, {&slice, 1}), flat(far, {&slice, 1}), 0.3), tolerance(),
                slice.name);
  }
}

TEST_P(Merge, TaskArithmeticAddsScaledTaskVectors) {
  Vector sum = reference::task_vector(flat_a_, flat_base_);
  const Vector b = reference::task_vector(flat_b_, flat_base_);
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = 0.5 * sum[i] + 2 * b[i];
  for (const double scale : {0.4, -1.0}) {  // negation takes a task away
    expect_near(
        flat_merged({.method = MergeMethod::task_arithmetic, .scale = scale}, {{a_, 0.5}, {b_, 2}}),
        reference::moved(flat_base_, scale, sum), tolerance(), "task arithmetic");
  }
}

TEST_P(Merge, TiesEqualsTrimElectAndDisjointMean) {
  std::vector<Vector> taus;
  for (const Vector* model : {&flat_a_, &flat_b_, &flat_c_}) {
    taus.push_back(reference::trimmed(reference::task_vector(*model, flat_base_), 0.3));
  }
  expect_near(flat_merged({.method = MergeMethod::ties, .scale = 0.8, .density = 0.3},
                          {{a_, 1}, {b_, 0.2}, {c_, 2}}),
              reference::moved(flat_base_, 0.8, reference::elected_mean(taus, {1, 0.2, 2})),
              tolerance(), "ties");
}

TEST_P(Merge, DareKeepsTheShareThatItSaysAndDividesByIt) {
  const double density = 0.3;
  const Vector tau = reference::task_vector(flat_a_, flat_base_);
  const Vector out =
      flat_merged({.method = MergeMethod::dare_linear, .density = density}, {{a_, 1}});
  std::int64_t kept = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (out[i] == flat_base_[i]) continue;
    ++kept;
    ASSERT_NEAR(out[i], flat_base_[i] + tau[i] / density, 4 * tolerance() * (1 + std::abs(out[i])));
  }
  const double n = static_cast<double>(out.size());
  EXPECT_NEAR(static_cast<double>(kept) / n, density, 4 * std::sqrt(density * (1 - density) / n));
}

// Element i of a tensor, counted through all of its chunks, is kept when word i%4 of place i/4 of
// the stream "dare/<input>/<tensor>" is below density * 2^32.
TEST_P(Merge, DareMasksAreAFunctionOfSeedInputTensorAndPlace) {
  const Tensor out =
      merged({.method = MergeMethod::dare_linear, .density = 0.3, .seed = 9}, {{a_}});
  for (const NamedSlice& slice : slices_) {
    const RandomStream stream(9, "dare/0/" + slice.name);
    const Vector actual = flat(out, {&slice, 1}), base = flat(base_, {&slice, 1});
    for (std::size_t i = 0; i < actual.size(); ++i) {
      const bool kept = stream.bits(0, i / 4)[i % 4] < 0.3 * 0x1p32;
      ASSERT_EQ(actual[i] != base[i], kept) << slice.name << ' ' << i;
    }
  }
}

/// The masked task vector of a model on its own: DARE's masks depend on seed, place and input.
Vector dared(const Vector& base, const Vector& merged) {
  return reference::task_vector(merged, base);
}

TEST_P(Merge, DareThenLinearOrTiesEqualsTheMaskedTaskVectorsMerged) {
  const MergeOptions alone{.method = MergeMethod::dare_linear, .density = 0.5, .seed = 3};
  // The other weight 0: one masked vector, with the mask of its place.
  const Vector a = dared(flat_base_, flat_merged(alone, {{a_, 1}, {b_, 0}}));
  const Vector b = dared(flat_base_, flat_merged(alone, {{a_, 0}, {b_, 1}}));
  MergeOptions both = alone;
  both.scale = 0.6;
  expect_near(flat_merged(both, {{a_, 1}, {b_, 3}}),
              reference::moved(flat_base_, 0.6, reference::mean_of({a, b}, {1, 3})),
              8 * tolerance(), "dare-linear");
  both.method = MergeMethod::dare_ties;
  expect_near(flat_merged(both, {{a_, 1}, {b_, 3}}),
              reference::moved(flat_base_, 0.6, reference::elected_mean({a, b}, {1, 3})),
              8 * tolerance(), "dare-ties");
}

TEST_P(Merge, DareMasksOfModelsAndSeedsDiffer) {
  const MergeOptions options{.method = MergeMethod::dare_linear, .density = 0.5};
  MergeOptions other = options;
  other.seed = 8;
  const Vector first = flat_merged(options, {{a_, 1}});
  EXPECT_EQ(first, flat_merged(options, {{a_, 1}}));
  EXPECT_NE(first, flat_merged(other, {{a_, 1}}));
  EXPECT_NE(first, flat_merged(options, {{b_, 0}, {a_, 1}}));
}

TEST_P(Merge, OneModelLeftAloneComesBackBitForBit) {
  const Tensor zeros = Tensor::full({arena_.numel()}, GetParam(), -0.0);
  const Tensor f = importance(arena_, 5);
  for (const MergeMethod method : kAll) {
    const MergeOptions options{.method = method, .density = 1};
    for (const Tensor& model : {a_, zeros}) {
      for (const auto& inputs : {std::vector<MergeInput>{{model, 1, f}, {b_, 0, f}},
                                 std::vector<MergeInput>{{b_, 0, f}, {model, 1, f}}}) {
        const Tensor target = model.clone();
        for (const NamedSlice& slice : slices_) {
          target.slice(0, slice.offset, slice.offset + slice.size).fill(5);
        }
        merge(slices_, needs_base(method) ? base_ : Tensor(), inputs, options, target);
        expect_same_bits(target, model, name_of(method));
      }
    }
  }
}

TEST_P(Merge, EqualModelsMergeToThemselves) {
  const Tensor f = importance(arena_, 5), g = importance(arena_, 6);
  const Tensor model = a_.clone();
  model.slice(0, 0, 3).fill(-0.0);
  for (const MergeMethod method : kAll) {
    std::vector<MergeInput> inputs = {{model, 0.3, f}, {model, 0.6, g}};
    if (method != MergeMethod::slerp) inputs.push_back({model, 0.7, f});
    const MergeOptions options{.method = method, .density = 0.4};
    const Tensor target = Tensor::zeros({arena_.numel()}, GetParam());
    merge(slices_, model, inputs, options, target);  // the base too: task vectors are 0
    expect_same_bits(target, model, name_of(method));
  }
}

TEST_P(Merge, EndsOfTrainingAreTheEndsOfTheWeight) {
  const Tensor f = importance(arena_, 5);
  for (const MergeMethod method : kAll) {
    for (const auto& [weight, expected] : {std::pair{0.0, base_}, {1.0, a_}}) {
      const Tensor target = Tensor::zeros({arena_.numel()}, GetParam());
      merge_with_start(slices_, {base_, 1, f}, {a_, 1, f}, weight, {.method = method, .density = 1},
                       target);
      expect_same_bits(target, expected, name_of(method));
    }
  }
}

TEST_P(Merge, WithStartIsLinearBetweenForTaskArithmeticToo) {
  const Vector expected = reference::mean_of({flat_base_, flat_a_}, {0.65, 0.35});
  for (const MergeMethod method : {MergeMethod::linear, MergeMethod::task_arithmetic}) {
    const Tensor target = a_.clone();
    merge_with_start(slices_, {base_}, {a_}, 0.35, {.method = method}, target);
    expect_near(flat(target, slices_), expected, tolerance(), name_of(method));
  }
}

TEST_P(Merge, KeptHeadsAndGapsStayAsTheyAre) {
  const std::vector<std::string> kept = {"news"};
  const std::vector<NamedSlice> slices = slices_to_merge(arena_, kept);
  EXPECT_EQ(slices.size(), 3u);
  const Tensor target = Tensor::full({arena_.numel()}, GetParam(), 5);
  const std::vector<MergeInput> inputs = {{a_}, {b_}};
  merge(slices, {}, inputs, {.method = MergeMethod::linear}, target);
  std::vector<bool> merged(static_cast<std::size_t>(arena_.numel()), false);
  for (const NamedSlice& slice : slices) {
    for (std::int64_t i = 0; i < slice.size; ++i)
      merged[static_cast<std::size_t>(slice.offset + i)] = true;
  }
  const Vector out = target.to_vector();
  for (std::size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i] == 5, !merged[i]) << i;
}

TEST_P(Merge, TargetMayBeAnInput) {
  for (const MergeMethod method : kAll) {
    const MergeOptions options{.method = method};
    const Tensor f = importance(arena_, 5);
    const Tensor expected = merged(options, {{a_, 1, f}, {b_, 2, f}});
    const Tensor target = b_.clone();
    const std::vector<MergeInput> inputs = {{a_, 1, f}, {target, 2, f}};
    merge(slices_, needs_base(method) ? base_ : Tensor(), inputs, options, target);
    EXPECT_EQ(flat(target, slices_), flat(expected, slices_)) << name_of(method);
  }
}

TEST_P(Merge, AnyNumberOfThreadsGivesTheSameBits) {
  const int before = thread_count();
  const Tensor f = importance(arena_, 5);
  for (const MergeMethod method : kAll) {
    std::vector<Vector> results;
    for (const int threads : {1, 3}) {
      set_thread_count(threads);
      results.push_back(flat_merged({.method = method}, {{a_, 1, f}, {b_, 2, f}}));
    }
    EXPECT_EQ(results[0], results[1]) << name_of(method);
  }
  set_thread_count(before);
}

INSTANTIATE_TEST_SUITE_P(Types, Merge, testing::Values(DType::f32, DType::f64),
                         [](const auto& type) { return std::string(name_of(type.param)); });

ParameterArena vector_of(const Vector& x) {
  ParameterArena arena;
  const Shape shape{static_cast<std::int64_t>(x.size())};
  arena.declare("x", shape, {NamedSlice{.name = "x", .shape = shape, .task = {}}});
  arena.allocate(DType::f64);
  arena[0].value.copy_from(Tensor::from(x, shape));
  return arena;
}

// The procedure of Yadav et al. 2023, figure 1, worked by hand. Half of six parameters stay:
//   tau_1 = ( 3,  1, -4,  2, -1,  0.5)  ->  (3, 0, -4,  2, 0, 0)
//   tau_2 = (-2,  5,  1,  4, -3, -0.5)  ->  (0, 5,  0,  4, -3, 0)
//   tau_3 = (-7, -6, -2,  1, -9,  0.1)  ->  (-7, -6, 0, 0, -9, 0)
// Masses (+3, -7), (+5, -6), (-4), (+6), (-12), none; means of those that agree: -7, -6, -4, 3, -6.
TEST(Ties, ByHand) {
  const ParameterArena base = vector_of({1, 1, 1, 1, 1, 1});
  std::vector<ParameterArena> models;
  models.push_back(vector_of({4, 2, -3, 3, 0, 1.5}));
  models.push_back(vector_of({-1, 6, 2, 5, -2, 0.5}));
  models.push_back(vector_of({-6, -5, -1, 2, -8, 1.1}));
  std::vector<MergeInput> inputs;
  for (const ParameterArena& model : models) inputs.push_back({model.values()});
  for (const auto& [scale, expected] :
       {std::pair{1.0, Vector{-6, -5, -3, 4, -5, 1}}, {0.5, Vector{-2.5, -2, -1, 2.5, -2, 1}}}) {
    const Tensor target = Tensor::zeros(base.values().shape(), DType::f64);
    merge(base.slices(), base.values(), inputs,
          {.method = MergeMethod::ties, .scale = scale, .density = 0.5}, target);
    EXPECT_EQ(flat(target, base.slices()), expected);
  }
}

TEST(Ties, EqualMassesOfBothSignsChangeNothing) {
  const ParameterArena base = vector_of({1, 2}), up = vector_of({1.5, 3}),
                       down = vector_of({0.5, 3});
  const std::vector<MergeInput> inputs = {{up.values()}, {down.values()}};
  const Tensor target = Tensor::zeros(base.values().shape(), DType::f64);
  merge(base.slices(), base.values(), inputs, {.method = MergeMethod::ties, .density = 1}, target);
  EXPECT_EQ(flat(target, base.slices()), (Vector{1, 3}));
}

TEST(Ties, TrimsOverAllTensorsAtOnce) {
  ParameterArena base;
  for (const char* name : {"small", "large"}) {
    base.declare(name, {4}, {NamedSlice{.name = name, .shape = {4}, .task = {}}});
  }
  base.allocate(DType::f64);
  const Tensor trained = base.values().clone();
  for (std::int64_t i = 0; i < 4; ++i) {
    trained.data<double>()[base.slices()[0].offset + i] = 0.1 * static_cast<double>(i + 1);
    trained.data<double>()[base.slices()[1].offset + i] = 1.0 + static_cast<double>(i);
  }
  const MergeInput input{trained};
  const Tensor target = base.values().clone();
  merge(base.slices(), base.values(), {&input, 1}, {.method = MergeMethod::ties, .density = 0.5},
        target);
  EXPECT_EQ(flat(target, base.slices()), (Vector{0, 0, 0, 0, 1, 2, 3, 4}));
}

TEST(MergeErrors, AreNamed) {
  const ParameterArena arena = vector_of({1, 2, 3});
  const Tensor theta = arena.values(), target = theta.clone();
  const auto call = [&](const std::vector<MergeInput>& inputs, const MergeOptions& options,
                        const Tensor& base) {
    return [=, &arena] { merge(arena.slices(), base, inputs, options, target); };
  };
  const auto refused = [&](std::string_view part, const auto& body) {
    expect_error<std::invalid_argument>(part, part, body);
  };
  const MergeOptions linear, ties{.method = MergeMethod::ties};
  const double nan = std::numeric_limits<double>::quiet_NaN();
  refused("there are no models", call({}, linear, {}));
  refused("a weight is -1", call({{theta, -1}}, linear, {}));
  refused("a weight is nan", call({{theta, nan}}, linear, {}));
  refused("all weights are 0", call({{theta, 0}, {theta, 0}}, linear, {}));
  refused("the base is missing", call({{theta}}, ties, {}));
  refused("a model is f32", call({{theta.to(DType::f32)}}, linear, {}));
  refused("slerp takes two models, not 1", call({{theta}}, {.method = MergeMethod::slerp}, {}));
  refused("importance is missing", call({{theta}}, {.method = MergeMethod::fisher}, {}));
  refused("importance of x holds a negative",
          call({{theta, 1, Tensor::full(theta.shape(), DType::f64, -1)}, {theta, 1, theta}},
               {.method = MergeMethod::fisher}, {}));
  for (const double density : {0.0, 1.5, nan}) {
    refused("density is",
            call({{theta}}, {.method = MergeMethod::ties, .density = density}, theta));
  }
  refused("scale is inf", call({{theta}}, {.method = MergeMethod::ties, .scale = HUGE_VAL}, theta));
  refused("floor is 0", call({{theta}}, {.floor = 0}, {}));
  refused("weight is 1.5, it must be in [0, 1]",
          [&] { merge_with_start(arena.slices(), {theta}, {theta}, 1.5, linear, target); });
  refused("known: \"linear\", \"slerp\"", [] { parse_merge_method("average"); });
}

}  // namespace
}  // namespace holdfast
