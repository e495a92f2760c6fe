// All operations, of a Launcher: a type with
//   template <class Kernel> static void run(const Kernel& kernel);
// that runs a kernel (team.h) in the order of the calls. nvcc compiles this for devices
// (kernels.cu), tests compile it for the host.
#pragma once

#include "tensor/cuda/activation.h"
#include "tensor/cuda/attention.h"
#include "tensor/cuda/copy.h"
#include "tensor/cuda/cross_entropy.h"
#include "tensor/cuda/dropout.h"
#include "tensor/cuda/dropout_norm.h"
#include "tensor/cuda/elementwise.h"
#include "tensor/cuda/hash.h"
#include "tensor/cuda/layer_norm.h"
#include "tensor/cuda/lookup.h"
#include "tensor/cuda/operations.h"
#include "tensor/cuda/passes.h"
#include "tensor/cuda/per_sample.h"
#include "tensor/cuda/round.h"
#include "tensor/cuda/softmax.h"
#include "tensor/cuda/sums.h"
#include "tensor/cuda/update.h"

namespace holdfast::cuda {

/// The operations of one element type.
template <class Launcher, class T>
void fill_tables(Tables& tables) {
  std::get<Broadcast<T>>(tables) = broadcast<Launcher, T>;
  std::get<kernels::Elementwise<T>>(tables) = elementwise<Launcher, T>;
  std::get<kernels::Activations<T>>(tables) = activations<Launcher, T>;
  std::get<kernels::Dropout<T>>(tables) = dropout<Launcher, T>;
  std::get<kernels::LayerNorm<T>>(tables) = layer_norm<Launcher, T>;
  std::get<DropoutNorm<T>>(tables) = dropout_norm<Launcher, T>;
  std::get<kernels::EmbeddingSum<T>>(tables) = embedding_sum<Launcher, T>;
  std::get<kernels::Softmax<T>>(tables) = softmax<Launcher, T>;
  std::get<Sums<T>>(tables) = sums<Launcher, T>;
  std::get<Lookup<T>>(tables) = lookup<Launcher, T>;
  std::get<AttentionOfBatch<T>>(tables) = attention<Launcher, T>;
  std::get<CrossEntropy<T>>(tables) = cross_entropy<Launcher, T>;
  std::get<UpdateAll<T>>(tables) = update<Launcher, T>;
  std::get<Passes<T>>(tables) = passes<Launcher, T>;
  std::get<PerSample<T>>(tables) = per_sample<Launcher, T>;
}

/// All of them; products are a library's.
template <class Launcher>
Tables make_tables(const Products<float>& f32, const Products<double>& f64,
                   const Products<Bf16>& bf16) {
  Tables tables;
  std::get<Copies>(tables) = copies<Launcher>;
  fill_tables<Launcher, float>(tables);
  fill_tables<Launcher, double>(tables);
  std::get<kernels::Round>(tables) = rounding<Launcher>;
  std::get<Products<float>>(tables) = f32;
  std::get<Products<double>>(tables) = f64;
  std::get<Products<Bf16>>(tables) = bf16;
  std::get<Hash>(tables) = hash<Launcher>;
  return tables;
}

}  // namespace holdfast::cuda
