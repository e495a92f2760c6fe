// This build's runtime: tensor/cuda/runtime.cu's, or none (tensor/cuda/none.cpp).
#pragma once

#include "tensor/cuda/runtime.h"

namespace holdfast::cuda {

const Runtime* built_in();

}  // namespace holdfast::cuda
