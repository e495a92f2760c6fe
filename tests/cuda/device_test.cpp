// Devices: names, refusals, where tensors are, waiting, memory; and how kernels are launched.
#include "tensor/device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <utility>

#include "autograd/ops.h"
#include "tensor/cuda/attention_bf16.h"
#include "tensor/cuda/attention_tile.h"
#include "tensor/cuda/launch.h"
#include "tensor/cuda/operations.h"
#include "tensor/pending_item.h"
#include "tensor/tensor.h"
#include "tests/cuda/on_simulation.h"
#include "tests/reference/expect_error.h"

namespace holdfast {
namespace {

TEST(Device, Names) {
  EXPECT_EQ(name_of(Device()), "cpu");
  EXPECT_EQ(parse_device("cpu"), Device());
  EXPECT_EQ(parse_device("cuda"), Device{0});
  EXPECT_EQ(parse_device("cuda:12"), Device{12});
  EXPECT_EQ(name_of(parse_device("cuda:1")), "cuda:1");
  for (const char* bad : {"", "gpu", "cuda:", "cuda:-1", "cuda:x", "cuda:1x", "cuda:12345", "CPU"})
    expect_error<std::invalid_argument>(bad, "must be \"cpu\", \"cuda\" or \"cuda:N\"",
                                        [&] { parse_device(bad); });
}

TEST(Device, RefusesWhatIsNotThere) {
  if (cuda::built_in() == nullptr) {
    expect_error<std::runtime_error>("no CUDA", "this build has no CUDA: build with",
                                     [] { OnDevice({0}); });
  }
  EXPECT_EQ(current_device(), Device());
}

class DeviceMemory : public OnDeviceTest {};

TEST_P(DeviceMemory, TensorsAreMadeOnTheCurrentDevice) {
  const Tensor host = Tensor::zeros({3}, DType::f32);
  EXPECT_EQ(host.device(), Device());
  {
    const OnDevice scope({0});
    EXPECT_EQ(Tensor::full({3}, DType::f32, 2).device(), Device{0});
    EXPECT_EQ(host.clone().device(), Device{0});
    EXPECT_EQ(Tensor::empty({3}, DType::f32, Device()).device(), Device());
    const OnDevice back{Device()};
    EXPECT_EQ(current_device(), Device());
  }
  EXPECT_EQ(current_device(), Device());
}

TEST_P(DeviceMemory, TheHostReadsWhatTheDeviceWasAskedFor) {
  const OnDevice scope({0});
  const Tensor x = Tensor::full({1000}, DType::f64, 3), y = Tensor::zeros({1000}, DType::f64);
  EXPECT_EQ(y.to_vector(), std::vector<double>(1000, 0.0));
  y.copy_from(x);
  EXPECT_EQ(y.data<double>()[999], 3.0);
  y.storage()->clear(8, 8);
  EXPECT_EQ(y.data<double>()[1], 0.0);
  EXPECT_EQ(y.data<double>()[2], 3.0);
}

TEST_P(DeviceMemory, CountsTowardsTheSameUseAndBudget) {
  release_cached_memory();
  const std::int64_t before = memory_use().live;
  const OnDevice scope({0});
  {
    const Storage block(4096);
    EXPECT_EQ(memory_use().live - before, 4096);
    EXPECT_EQ(Storage::zeros(1024)->device(), Device{0});
  }
  EXPECT_EQ(memory_use().live, before);
  EXPECT_EQ(memory_use().cached, 4096 + 1024);
  {
    const Storage host(4096, Device());  // a block of the device's is not for the CPU
    EXPECT_EQ(memory_use().cached, 4096 + 1024);
  }
  set_memory_budget(before + 1000);
  EXPECT_THROW(Storage(4096), std::runtime_error);
  set_memory_budget(0);
  release_cached_memory();
  EXPECT_EQ(memory_use().cached, 0);
}

// Ids, offsets, labels, weights: what a step gives a device costs no waiting.
TEST_P(DeviceMemory, TakesWhatTheHostWritesWithoutWaiting) {
  if (GetParam() == kGpu) GTEST_SKIP() << "a GPU does not count who waits";
  const OnDevice scope({0});
  const std::int64_t before = cuda::waits();
  const Tensor ids = Tensor::from(std::vector<std::int32_t>{2, 0, 1}, {3});
  Tensor x;
  {
    const std::vector<double> values{1, 2, 3};
    x = Tensor::from(values, {3});
  }
  const Tensor table = x.reshape({3, 1});
  const Tensor first = gather(Var(table), ids).value();
  EXPECT_EQ(ids.read<std::int32_t>()[1], 0);
  EXPECT_EQ(cuda::waits(), before);
  ids.data<std::int32_t>()[1] = 2;  // what was asked for came first
  EXPECT_EQ(cuda::waits(), before + 1);
  const Tensor second = gather(Var(table), ids).value();
  EXPECT_EQ(first.to_vector(), (std::vector<double>{3, 1, 2}));
  EXPECT_EQ(second.to_vector(), (std::vector<double>{3, 3, 2}));
}

TEST_P(DeviceMemory, SendsANumberThatIsReadLater) {
  const OnDevice scope({0});
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor x = Tensor::full({}, dtype, 3);
    const PendingItem early(x);
    x.fill(4);
    const PendingItem later(x);
    EXPECT_EQ(early.item(), 3);
    if (GetParam() != kGpu) {
      const std::int64_t before = cuda::waits();
      EXPECT_EQ(later.item(), 4);
      EXPECT_EQ(early.item(), 3);
      EXPECT_EQ(cuda::waits(), before);
    }
  }
  EXPECT_FALSE(PendingItem().defined());
  expect_error<std::invalid_argument>("two", "has not exactly one element",
                                      [] { PendingItem(Tensor::zeros({2}, DType::f32)); });
}

// A device that has not come so far yet still reads what was written for it before.
TEST_P(DeviceMemory, IsNotWrittenToAgainTooSoon) {
  const OnDevice scope({0});
  std::vector<Tensor> sums;
  const Tensor table = Tensor::from(std::vector<double>{1, 10, 100, 1000}, {4, 1});
  for (std::int32_t n = 0; n < 4; ++n) {
    const Tensor ids = Tensor::from(std::vector<std::int32_t>{n, n}, {2});
    const Tensor weights = Tensor::from(std::vector<double>{1.0 * n, 0.5}, {2, 1});
    sums.push_back(mul(gather(Var(table), ids), Var(weights)).value());
  }
  for (std::int32_t n = 0; n < 4; ++n) {
    const double x = std::pow(10.0, n);
    EXPECT_EQ(sums[static_cast<std::size_t>(n)].to_vector(), (std::vector<double>{n * x, x / 2}));
  }
}

// As if another thread asked for the same ids while this one sends them: its kernel is not asked
// for before what it reads.
TEST_P(DeviceMemory, IsGivenWhatTheHostWritesBeforeAnybodyReadsIt) {
  if (GetParam() == kGpu) return;
  static const cuda::Runtime& whole = cuda::simulation(GetParam());
  static std::function<void()> meanwhile;
  cuda::Runtime shared = whole;
  shared.copy = [](int device, const void* from, void* to, std::int64_t bytes) {
    if (const auto other = std::exchange(meanwhile, nullptr)) other();
    whole.copy(device, from, to, bytes);
  };
  const OnDevice scope({0});
  const Tensor table = Tensor::from(std::vector<double>{1, 10, 100}, {3, 1});
  const Tensor ids = Tensor::from(std::vector<std::int32_t>{2, 0}, {2});
  Tensor second;
  cuda::use_runtime(&shared);
  meanwhile = [&] { second = gather(Var(table), ids).value(); };
  const Tensor first = gather(Var(table), ids).value();
  cuda::use_runtime(&whole);
  for (const Tensor& y : {first, second}) EXPECT_EQ(y.to_vector(), (std::vector<double>{100, 1}));
}

// A device with room for 8192 bytes: what is kept for another size makes way.
TEST_P(DeviceMemory, GivesKeptBlocksBackBeforeItRunsOut) {
  if (GetParam() == kGpu) return;
  static const cuda::Runtime& whole = cuda::simulation(GetParam());
  static std::int64_t room = 8192;
  release_cached_memory();
  cuda::Runtime scarce = whole;
  scarce.allocate = [](int device, std::int64_t bytes) -> void* {
    if (bytes > room) return nullptr;
    room -= bytes;
    return whole.allocate(device, bytes);
  };
  scarce.release = [](int device, void* memory, std::int64_t bytes) {
    room += bytes;
    whole.release(device, memory, bytes);
  };
  cuda::use_runtime(&scarce);
  const OnDevice scope({0});
  { const Storage kept(4096); }
  {
    const Storage other(8192);
    EXPECT_EQ(memory_use().cached, 0);
    EXPECT_THROW(Storage(64), std::bad_alloc);
  }
  release_cached_memory();
  EXPECT_EQ(room, 8192);
  cuda::use_runtime(&whole);
}

TEST_P(DeviceMemory, HasAsManyDevicesAsItSays) {
  if (GetParam() == kGpu) return;
  require_device({1});
  expect_error<std::runtime_error>("too many", "this machine has 2 GPUs, numbered from 0",
                                   [] { require_device({2}); });
}

INSTANTIATE_TEST_SUITE_P(Cuda, DeviceMemory, all_devices(), device_test_name);

TEST(Launch, StaysWithinTheLimitsOfAGrid) {
  using namespace cuda;
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  static_assert(over_elements(0).blocks == 0);
  static_assert(over_elements(1).blocks == 1);
  static_assert(over_elements(kElementsPerBlock).blocks == 1);
  static_assert(over_elements(kElementsPerBlock + 1).blocks == 2);
  static_assert(over_elements(kHuge).blocks == kHuge / kElementsPerBlock + 1);
  static_assert(grid_of(over_elements(kHuge)) == 2147483647);
  static_assert(grid_of(over_rows(65536, 8)) == 65536);
  static_assert(over_rows(0, 8).blocks == 0);
  static_assert(over_rows(5, 8).shared_bytes <= kMaxSharedBytes);
  static_assert(over_rows(5, 8).threads <= 1024);
  static_assert(pieces(0, 7) == 0 && pieces(7, 7) == 1 && pieces(8, 7) == 2);
}

TEST(Launch, TilesOfAttentionFitSharedMemory) {
  using namespace cuda;
  static_assert(kMostSharedBytes == 101376);
  for (const std::int64_t bytes : {4, 8}) {
    for (std::int64_t D = 1; D < 2000; ++D) {
      const std::int64_t tile = attention_tile(D, bytes);
      const auto taken = [&](std::int64_t B) { return attention_elements(B, D) * bytes; };
      EXPECT_EQ(tile > 0, attention_fits(D, bytes));
      EXPECT_EQ(tile % 8, 0);
      if (tile > 0) {
        EXPECT_LE(taken(tile), tile == 32 ? kMaxSharedBytes : kMostSharedBytes);
      }
      if (tile < 32) {
        EXPECT_GT(taken(std::max<std::int64_t>(8, 2 * tile)),
                  tile == 16 ? kMaxSharedBytes : kMostSharedBytes);
      }
    }
  }
  // MiniLM's and BERT's heads.
  EXPECT_EQ(attention_tile(32, 4), 32);
  EXPECT_EQ(attention_tile(64, 4), 16);
  EXPECT_EQ(attention_tile(64, 8), 16);
  // The largest.
  EXPECT_EQ(attention_tile(522, 4), 8);
  EXPECT_EQ(attention_tile(523, 4), 0);
  EXPECT_EQ(attention_tile(258, 8), 8);
  EXPECT_EQ(attention_tile(259, 8), 0);
  EXPECT_FALSE(attention_fits(std::numeric_limits<std::int64_t>::max() / 64, 4));
}

TEST(Launch, AttentionInBf16FitsWhatADeviceHas) {
  using namespace cuda;
  AttentionBatch<float> batch{};
  batch.bf16 = true;
  batch.texts = 3;
  batch.heads = 5;
  batch.most_queries = 65;
  batch.most_tokens = 64;
  for (batch.channels = 1; batch.channels <= 128; ++batch.channels) {
    EXPECT_TRUE(in_bf16(batch));
    EXPECT_GE(bf16_attention_channels(batch.channels), batch.channels);
    with_channels(batch.channels, [&]<int K>() {
      EXPECT_EQ(K, bf16_attention_channels(batch.channels));
      for (const Launch& launch : {AttentionForwardBf16<K>{batch, 1, nullptr}.launch(),
                                   AttentionQueryGradientBf16<K>{batch, 1, {}, {}, {}}.launch()}) {
        EXPECT_EQ(launch.blocks, 3 * 5 * 2);
        EXPECT_EQ(launch.threads, 128);
        EXPECT_LE(launch.shared_bytes, K < 128 ? kMaxSharedBytes : kMostSharedBytes);
      }
      EXPECT_EQ((AttentionKeyGradientBf16<K>{batch, 1, {}, {}, {}, {}}.launch().blocks), 3 * 5);
    });
  }
  EXPECT_FALSE(in_bf16(batch)) << "129 channels";
  batch.channels = 64;
  batch.bf16 = false;
  EXPECT_FALSE(in_bf16(batch));
}

TEST(Launch, PartialSumsAreThoseOfEachLevel) {
  EXPECT_EQ(cuda::partial_sums(3, 256, 5), 0);
  EXPECT_EQ(cuda::partial_sums(3, 257, 5), 3 * 2 * 5);
  EXPECT_EQ(cuda::partial_sums(1, 256 * 256 + 1, 1), 257 + 2);
  EXPECT_EQ(cuda::partial_sums(0, 1000, 5), 0);
  EXPECT_EQ(cuda::partial_sums(4, 0, 5), 0);
}

}  // namespace
}  // namespace holdfast
