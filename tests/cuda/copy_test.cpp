// Copies and fills on a device: the CPU's bits, for all views and element types.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "audit/reference/twins.h"
#include "tests/cuda/on_simulation.h"

namespace holdfast {
namespace {

using CopyOnDevice = OnDeviceTest;

constexpr DType kTypes[] = {DType::f32, DType::f64, DType::i32, DType::bf16};

// Small numbers with fractions, both zeros among them.
Tensor numbers(const Shape& shape, DType dtype) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < shape.numel(); ++i)
    values.push_back((i % 2 == 0 ? 0.3 : -0.7) * static_cast<double>(i % 1000));
  return Tensor::from(values, shape).to(dtype);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.storage()->data(), b.storage()->data(),
                     static_cast<std::size_t>(a.numel() * size_of(a.dtype()))) == 0;
}

struct View {
  const char* name;
  Shape of;
  Tensor (*view)(const Tensor&);
};
const std::vector<View>& views() {
  static const std::vector<View> all{
      {"whole", {2000}, [](const Tensor& x) { return x; }},
      {"one element", {}, [](const Tensor& x) { return x; }},
      {"slice of rows", {5, 7}, [](const Tensor& x) { return x.slice(0, 1, 4); }},
      {"slice of columns", {33, 40}, [](const Tensor& x) { return x.slice(1, 3, 37); }},
      {"empty slice", {5, 7}, [](const Tensor& x) { return x.slice(1, 2, 2); }},
      {"transpose", {3, 4, 5}, [](const Tensor& x) { return x.transpose(0, 2); }},
      {"middle transpose", {2, 3, 4, 5}, [](const Tensor& x) { return x.transpose(1, 2); }},
      {"eight axes", {2, 1, 2, 3, 1, 2, 2, 3}, [](const Tensor& x) { return x.transpose(2, 7); }}};
  return all;
}

// The view copied to dense memory, and a dense tensor copied into the view.
std::vector<Tensor> copies(const View& view, DType from, DType to) {
  const Tensor x = numbers(view.of, from), y = numbers(view.of, to);
  const Tensor source = view.view(x), out = Tensor::empty(source.shape(), to);
  out.copy_from(source);
  view.view(y).copy_from(numbers(source.shape(), from));
  return {out, y};
}

TEST_P(CopyOnDevice, HasTheCpusBits) {
  for (const View& view : views()) {
    for (const DType from : kTypes) {
      for (const DType to : kTypes) {
        const std::vector<Tensor> expected = copies(view, from, to);
        const OnDevice scope({0});
        const std::vector<Tensor> found = copies(view, from, to);
        for (std::size_t i = 0; i < found.size(); ++i) {
          EXPECT_EQ(found[i].device(), Device{0});
          EXPECT_TRUE(same_bits(found[i], expected[i]))
              << view.name << ' ' << name_of(from) << ' ' << name_of(to) << ' ' << i;
        }
      }
    }
  }
}

TEST_P(CopyOnDevice, ExpandsWhatHasOneElement) {
  const auto expanded = [] {
    return numbers({3, 1, 2}, DType::f32).expand({4, 3, 5, 2}).to(DType::f64);
  };
  const Tensor expected = expanded();
  const OnDevice scope({0});
  EXPECT_TRUE(same_bits(expanded(), expected));
}

TEST_P(CopyOnDevice, FillsViewsAndNothingElse) {
  for (const View& view : views()) {
    for (const DType dtype : kTypes) {
      const auto filled = [&] {
        const Tensor x = numbers(view.of, dtype);
        view.view(x).fill(-2.75);
        return x;
      };
      const Tensor expected = filled();
      const OnDevice scope({0});
      EXPECT_TRUE(same_bits(filled(), expected)) << view.name << ' ' << name_of(dtype);
    }
  }
}

TEST_P(CopyOnDevice, IsAKernelOfTheDevice) {
  const OnDevice scope({0});
  const Tensor x = Tensor::zeros({3, 4}, DType::f32);
  const std::int64_t before = kernels_run();
  const Tensor transposed = x.transpose(0, 1).contiguous(), wide = x.to(DType::f64);
  x.fill(1);
  EXPECT_EQ(transposed.data<float>()[0], 0);
  EXPECT_EQ(wide.data<double>()[0], 0);
  if (GetParam() != kGpu) {
    EXPECT_EQ(kernels_run() - before, 3);
  }
}

TEST_P(CopyOnDevice, BetweenTheCpuAndTheDevice) {
  for (const DType to : {DType::f64, DType::f32}) {
    for (const bool transposed : {false, true}) {
      const Tensor x = numbers({30, 50}, DType::f64), here = transposed ? x.transpose(0, 1) : x,
                   there = Tensor::empty(here.shape(), to, {0}),
                   back = Tensor::empty(here.shape(), to, Device());
      there.copy_from(here);
      there.fill(-1);  // what was asked for comes before
      there.copy_from(here);
      back.copy_from(there);
      EXPECT_TRUE(same_bits(back, here.to(to).clone()));
    }
  }
}

TEST_P(CopyOnDevice, MovesToTheOtherDevice) {
  const Tensor here = numbers({6, 5}, DType::f32), there = here.to(Device{0});
  EXPECT_EQ(there.device(), Device{0});
  EXPECT_EQ(there.to(Device{0}).storage(), there.storage());
  EXPECT_EQ(here.to(Device()).storage(), here.storage());
  there.transpose(0, 1).fill(3);
  const Tensor back = there.transpose(0, 1).to(Device());
  EXPECT_EQ(back.device(), Device());
  EXPECT_EQ(back.to_vector(), std::vector<double>(30, 3.0));
}

INSTANTIATE_TEST_SUITE_P(Cuda, CopyOnDevice, all_devices(), device_test_name);

}  // namespace
}  // namespace holdfast
