// Tensors of several devices that meet in one operation, and what the current device decides: an
// operation whose tensors are not all on one GPU is the CPU's, and right.
#include <gtest/gtest.h>

#include <array>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "audit/gradient_cases.h"
#include "audit/reference/small_arena.h"
#include "audit/reference/tiny_classifier.h"
#include "audit/reference/twins.h"
#include "base/parallel.h"
#include "tensor/cpu.h"
#include "tests/cuda/on_simulation.h"
#include "tests/reference/expect_error.h"
#include "tests/reference/temporary_folder.h"
#include "train/evaluate.h"
#include "train/optimizer.h"
#include "train/per_sample.h"

namespace holdfast {
namespace {

using Vars = std::vector<Var>;
constexpr Device kCpu{}, kFirst{0};

using MixedDevices = OnDeviceTest;

/// Another one than the first, where there are two.
Device second() { return {cuda::runtime()->device_count() > 1 ? 1 : 0}; }

Tensor placed(const Tensor& tensor, Device device) {
  const OnDevice scope(device);
  return tensor.clone();
}

/// Where inputs are (in turn), and which device is the current one meanwhile.
struct Placing {
  const char* name;
  std::array<Device, 2> inputs;
  Device forward, backward;
};
std::vector<Placing> placings() {
  return {Placing{"every second input there", {kCpu, kFirst}, kFirst, kFirst},
          Placing{"the others there", {kFirst, kCpu}, kFirst, kFirst},
          Placing{"all inputs there, results here", {kFirst, kFirst}, kCpu, kCpu},
          Placing{"all inputs here, results there", {kCpu, kCpu}, kFirst, kFirst},
          Placing{"two devices", {kFirst, second()}, second(), second()},
          Placing{"all on one, another the current", {kFirst, kFirst}, second(), second()},
          Placing{"forward there, backward here", {kFirst, kFirst}, kFirst, kCpu},
          Placing{"forward here, backward there", {kFirst, kCpu}, kCpu, kFirst}};
}

/// As run(), with inputs and their gradients where `placing` says.
std::vector<Tensor> run_placed(const Operation& operation, const std::vector<Tensor>& inputs,
                               const Placing& placing) {
  std::vector<Parameter> parameters;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Device device = placing.inputs[i % 2];
    parameters.push_back({.name = "input",
                          .value = placed(inputs[i], device),
                          .grad = placed(Tensor::zeros(inputs[i].shape(), inputs[i].dtype()),
                                         placing.inputs[(i + 1) % 2])});
  }
  std::vector<Var> vars;
  for (Parameter& parameter : parameters) vars.emplace_back(parameter);
  const Var y = [&] {
    const OnDevice scope(placing.forward);
    return operation(vars);
  }();
  const OnDevice scope(placing.backward);
  backward(y, random_tensor(y.shape(), 99).to(y.dtype()));
  std::vector<Tensor> results{y.value()};
  for (const Parameter& parameter : parameters) results.push_back(parameter.grad);
  return results;
}

struct Case {
  std::string name;
  std::vector<Tensor> inputs;
  Operation function;
};

Tensor numbers(const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {std::ssize(values)});
}

/// One of each, with ids, labels and offsets on the current device.
std::vector<Case> fused() {
  const Packing packing = packing_of({3, 1, 5}), queries = packing_of({1, 1, 2});
  const DropoutKey key = dropout_key(0.2);
  const Tensor ids = numbers({1, 5, 1, 0, 6, 2, 2, 5, 3}),
               labels = numbers({2, 0, 3, 3, 1, 0, 0, 2, 1}),
               weights = Tensor::full({9}, DType::f64, 0.25);
  const std::int64_t C = 6;
  return {{"linear",
           {random_tensor({9, 4}, 1), random_tensor({C, 4}, 2), random_tensor({C}, 3)},
           [](const Vars& v) { return linear(v[0], v[1], v[2], Activation::gelu_erf); }},
          {"dropout_residual_layer_norm",
           {random_tensor({9, C}, 1), random_tensor({9, C}, 2), random_tensor({C}, 3),
            random_tensor({C}, 4)},
           [=](const Vars& v) {
             return dropout_residual_layer_norm(v[0], v[1], v[2], v[3], 1e-5, key, packing);
           }},
          {"embedding_layer_norm",
           {random_tensor({7, C}, 1), random_tensor({8, C}, 2), random_tensor({8, C}, 3),
            random_tensor({C}, 4), random_tensor({C}, 5)},
           [=](const Vars& v) {
             return embedding_layer_norm(v[0], v[1], v[2], ids, packing.tokens, packing.tokens,
                                         v[3], v[4], 1e-5, key, packing);
           }},
          {"attention",
           {random_tensor({9, 3 * C}, 1)},
           [=](const Vars& v) { return attention(v[0], 2, packing, key); }},
          {"attention of some queries",
           {random_tensor({4, C}, 1), random_tensor({9, 2 * C}, 2)},
           [=](const Vars& v) { return attention(v[0], v[1], 2, queries, packing, key); }},
          {"dropout",
           {random_tensor({9, C}, 1)},
           [=](const Vars& v) { return dropout(v[0], key, packing.slots, packing.tokens); }},
          {"gather", {random_tensor({9, C}, 1)}, [=](const Vars& v) { return gather(v[0], ids); }},
          {"softmax_cross_entropy", {random_tensor({9, 4}, 1)}, [=](const Vars& v) {
             return softmax_cross_entropy(v[0], labels, weights, 0.1);
           }}};
}

void expect_equal(const std::string& name, const std::vector<Tensor>& found,
                  const std::vector<Tensor>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_LE(difference(found[i], expected[i]), 1e-12) << name << ": " << i;
}

TEST_P(MixedDevices, ElementaryOperationsAreRight) {
  for (const GradientCase& one : gradient_cases()) {
    const std::vector<Tensor> expected = run(one.function, one.inputs);
    for (const Placing& placing : placings()) {
      expect_equal(one.name + ", " + placing.name, run_placed(one.function, one.inputs, placing),
                   expected);
    }
  }
}

TEST_P(MixedDevices, FusedOperationsAreRightWhereverTheirIdsAre) {
  const std::vector<Case> cases = fused();
  for (const Device ids : {kCpu, kFirst, second()}) {
    const std::vector<Case> here = [&] {
      const OnDevice scope(ids);
      return fused();
    }();
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const std::vector<Tensor> expected = run(cases[i].function, cases[i].inputs);
      for (const Placing& placing : placings()) {
        expect_equal(cases[i].name + ", ids on " + name_of(ids) + ", " + placing.name,
                     run_placed(here[i].function, cases[i].inputs, placing), expected);
      }
    }
  }
}

// The simulation reads any memory; a GPU does not. So no kernel may be asked for unless all that an
// operation reads and writes is there.
TEST_P(MixedDevices, AnOperationOfMixedTensorsRunsNoKernel) {
  if (GetParam() == kGpu) return;  // which does not count
  const auto kernels_of = [](const Case& one, const Placing& placing) {
    std::vector<Tensor> inputs;
    for (std::size_t i = 0; i < one.inputs.size(); ++i)
      inputs.push_back(placed(one.inputs[i], placing.inputs[i % 2]));
    const auto run_so_far = [] {
      cuda::runtime()->wait(0);
      cuda::runtime()->wait(1);
      return kernels_run();
    };
    const std::int64_t before = run_so_far();
    const OnDevice scope(placing.forward);
    one.function({inputs.begin(), inputs.end()});
    return run_so_far() - before;
  };
  // But for the result of the cross entropy, a number that a kernel fills in where it is.
  const auto elsewhere = [](const Case& one, Device result) {
    return one.name == "softmax_cross_entropy" && result.is_cuda() ? 1 : 0;
  };
  const Placing all{"all there", {kFirst, kFirst}, kFirst, kFirst};
  const std::vector<Case> here = fused();
  const std::vector<Case> there = [] {
    const OnDevice scope(kFirst);
    return fused();
  }();
  for (std::size_t i = 0; i < here.size(); ++i) {
    EXPECT_GT(kernels_of(there[i], all), 0) << here[i].name;
    if (here[i].name != "linear") {  // has no ids
      EXPECT_EQ(kernels_of(here[i], all), elsewhere(here[i], kFirst)) << here[i].name;
    }
    for (const Placing& placing : placings()) {
      const Device device = placing.inputs[0];
      const bool together = here[i].inputs.size() == 1 || placing.inputs[1] == device;
      // linear() makes its result where its inputs are, others on the current device.
      const bool at_one = together && (device == placing.forward || here[i].name == "linear");
      if (!at_one) {
        EXPECT_EQ(kernels_of(there[i], placing), elsewhere(here[i], placing.forward))
            << here[i].name << ", " << placing.name;
      }
    }
  }
}

TEST_P(MixedDevices, CopiesAndViewsAreRight) {
  const Tensor x = random_tensor({4, 6}, 1);
  for (const Device from : {kCpu, kFirst, second()}) {
    for (const Device to : {kCpu, kFirst, second()}) {
      const OnDevice scope(to);
      const Tensor source = placed(x, from), copy = Tensor::empty({4, 6}, DType::f64);
      copy.copy_from(source);
      EXPECT_EQ(copy.to_vector(), x.to_vector());
      EXPECT_EQ(source.to(DType::f32).to_vector(), x.to(DType::f32).to_vector());
      EXPECT_EQ(source.transpose(0, 1).contiguous().to_vector(),
                x.transpose(0, 1).contiguous().to_vector());
      EXPECT_EQ(source.slice(1, 2, 5).clone().to_vector(), x.slice(1, 2, 5).clone().to_vector());
      EXPECT_EQ(source.slice(0, 1, 3).device(), from);
      EXPECT_EQ(source.clone().device(), to);
    }
  }
}

// What is asked of a device after the host has read a tensor is waited for when it is read again;
// and a tensor's memory may go to another while a device still has work with it.
TEST_P(MixedDevices, HostAndDeviceTakeTurns) {
  const OnDevice scope(kFirst);
  Tensor x = Tensor::full({300}, DType::f64, 1);
  for (int turn = 0; turn < 4; ++turn) {
    x = scale(Var(x), 2.0).value();  // its memory is free again
    x.data<double>()[0] += 1;
    x = scale(Var(x), 1.0).value();
  }
  EXPECT_EQ(x.data<double>()[0], 16 + 8 + 4 + 2 + 1);
  EXPECT_EQ(x.data<double>()[299], 16);
}

TEST_P(MixedDevices, AModelAnswersWhereverItIs) {
  const std::vector<Sample> samples = texts(5, 3);
  const auto answers = [&](Model& model) {
    return probabilities(model, *model.head("news"), samples);
  };
  Model here = tiny_model(DType::f64);
  const std::vector<double> expected = answers(here);
  const auto near = [&](const std::vector<double>& found, const char* name) {
    ASSERT_EQ(found.size(), expected.size()) << name;
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-9) << name;
  };
  Model there = [&] {
    const OnDevice scope(kFirst);
    return here.clone();
  }();
  EXPECT_EQ(there.arena().values().device(), kFirst);
  EXPECT_EQ(answers(there), expected);  // all of it is the CPU's: its bits
  const TemporaryFolder folder;
  there.save(folder.path(), "news");
  const OnDevice scope(kFirst);
  near(answers(there), "there");
  near(answers(here), "the model here, texts there");
  Model mapped = Model::map(folder.path(), DType::f64);
  near(answers(mapped), "a mapped file");
  const OnDevice other(second());
  near(answers(there), "texts on another device");
  EXPECT_EQ(there.clone().arena().values().device(), second());
}

TEST_P(MixedDevices, SumsOfSamplesAreRight) {
  const auto sums = [](Device of_sums, Device of_batch) {
    ParameterArena arena = small_arena(1, DType::f64, 6);
    const auto made = [&] {
      const OnDevice scope(of_sums);
      return PerSampleSums(arena, SumOf::squares);
    };
    PerSampleSums all = made();
    const OnDevice scope(of_batch);
    all.begin(packing_of({3, 1, 2}));
    all.linear(arena[1], &arena[2], random_tensor({6, 6}, 1), random_tensor({6, 7}, 2));
    all.norm(arena[3], arena[4], random_tensor({6, 7}, 3), random_tensor({6, 7}, 4));
    all.embedding(arena[0], numbers({4, 1, 4, 4, 0, 1}), random_tensor({6, 6}, 5));
    return all.sums();
  };
  const Tensor expected = sums(kCpu, kCpu);
  for (const auto& [of_sums, of_batch] : {std::pair(kFirst, kCpu), std::pair(kCpu, kFirst),
                                          std::pair(second(), kFirst), std::pair(kFirst, kFirst)})
    EXPECT_LE(difference(sums(of_sums, of_batch), expected), 1e-12);
}

TEST_P(MixedDevices, TheOptimizerIsRight) {
  const auto stepped = [](Device weights, Device gradient, Device moments) {
    const Tensor theta = placed(random_tensor({100}, 1), weights);
    AdamW optimizer = [&] {
      const OnDevice scope(moments);
      return AdamW(100, DType::f64, {{.begin = 3, .end = 90, .learning_rate = 0.1}});
    }();
    for (std::uint64_t t = 0; t < 3; ++t) {
      const Tensor g = placed(random_tensor({100}, 2 + t), gradient);
      optimizer.step(theta, g, 1, clip_factor(gradient_norm(g, optimizer.trained_spans()), 1));
    }
    return theta;
  };
  const Tensor expected = stepped(kCpu, kCpu, kCpu);
  for (const auto& [weights, gradient, moments] : {std::array{kFirst, kCpu, kCpu},
                                                   {kCpu, kFirst, kCpu},
                                                   {kCpu, kCpu, kFirst},
                                                   {kFirst, kFirst, second()},
                                                   {kFirst, kFirst, kFirst}})
    EXPECT_LE(difference(stepped(weights, gradient, moments), expected), 1e-12);
}

TEST_P(MixedDevices, TheCurrentDeviceComesBackWhateverIsThrown) {
  const OnDevice outer(kFirst);
  EXPECT_THROW(
      {
        const OnDevice inner(second());
        EXPECT_EQ(current_device(), second());
        throw std::runtime_error("in between");
      },
      std::runtime_error);
  EXPECT_EQ(current_device(), kFirst);
  EXPECT_THROW(OnDevice({99}), std::runtime_error);
  EXPECT_EQ(current_device(), kFirst);
}

TEST_P(MixedDevices, PortableNumericsAreTheCpus) {
  const PortableNumerics portable(true);
  expect_error<std::runtime_error>("portable", "device \"cuda:0\": portable numerics are the CPU's",
                                   [] { OnDevice({0}); });
  const OnDevice cpu{Device()};
  EXPECT_EQ(current_device(), kCpu);
}

// Two threads of a program that share a GPU, each with models of its own.
TEST_P(MixedDevices, ThreadsShareADevice) {
  const std::vector<Sample> samples = texts(6, 3);
  const auto answers = [&](Device device) {
    const OnDevice scope(device);
    Model model = tiny_model(DType::f64);
    return probabilities(model, *model.head("news"), samples, {}, 12);
  };
  const std::vector<double> expected = answers(kFirst);
  std::array<std::vector<double>, 3> found;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < found.size(); ++i) {
    threads.emplace_back([&, i] { found[i] = answers(i == 2 ? second() : kFirst); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<double>& each : found) EXPECT_EQ(each, expected);
}

TEST_P(MixedDevices, AnotherThreadIsOnTheCpuAndReadsWhatIsAskedFor) {
  const OnDevice scope(kFirst);
  const Tensor x = scale(Var(Tensor::full({300}, DType::f64, 2)), 3.0).value();
  Device there = kFirst;
  double read = 0;
  std::thread([&] {
    there = current_device();
    read = x.data<double>()[299];
  }).join();
  EXPECT_EQ(there, kCpu);
  EXPECT_EQ(read, 6);
}

// Heads that do not fit a device are the CPU's, with scratch memory of whichever thread.
TEST_P(MixedDevices, NoNumberDependsOnTheWorkersOfTheCpu) {
  const std::int64_t C = 2 * 260;
  const Tensor qkv = random_tensor({24, 3 * C}, 1);
  const auto attended = [&](int threads) {
    set_thread_count(threads);
    const Packing packing = packing_of({8, 7, 9});
    const std::vector<Tensor> found =
        run([&](const Vars& v) { return attention(v[0], 2, packing, dropout_key(0.2)); }, {qkv});
    set_thread_count(1);
    return found;
  };
  const std::vector<Tensor> expected = attended(1);
  const OnDevice scope(kFirst);
  ASSERT_FALSE(cuda::attention_fits(C / 2, 8));
  for (const int threads : {1, 3})
    expect_equal(std::to_string(threads), attended(threads), expected);
}

TEST_P(MixedDevices, MemoryIsOfItsDeviceAndSparseZerosAreZeros) {
  release_cached_memory();
  const auto pointer = [](Device device) { return Storage(4096, device).data(); };
  const std::byte *first = pointer(kFirst), *other = pointer(second());
  EXPECT_EQ(first == other, second() == kFirst);  // each goes back to its own
  EXPECT_EQ(pointer(kFirst), first);
  EXPECT_EQ(pointer(second()), other);
  EXPECT_NE(pointer(kCpu), first);
  const OnDevice scope(kFirst);
  const std::shared_ptr<Storage> zeros = Storage::zeros(1 << 16);
  zeros->expect_sparse(0, 1 << 16);
  for (std::int64_t i = 0; i < zeros->bytes(); ++i) ASSERT_EQ(zeros->data()[i], std::byte{0}) << i;
}

INSTANTIATE_TEST_SUITE_P(Cuda, MixedDevices, testing::Values(1, 3, kGpu), device_test_name);

}  // namespace
}  // namespace holdfast
