// What the files that nvcc compiles share: the order in which this thread asks a device for work.
#pragma once

#include <string>

#include "tensor/cuda/operations.h"

struct CUstream_st;  // what a cudaStream_t points to

namespace holdfast::cuda {

inline constexpr int kMostDevices = 64;

/// Of the device that this thread works with (Runtime::select).
CUstream_st* current_stream();
int current_device_number();
/// Something was just asked of that device: counted for Runtime::wait. Throws std::runtime_error,
/// naming `what`, when CUDA refused it.
void asked(const char* what);

/// All operations (kernels.cu).
const Tables& device_tables();
/// Products (cublas.cu).
template <class T>
Products<T> device_products();
/// Asks for a product that cuBLASLt has no algorithm for (kernels.cu).
template <class T>
void multiply_plainly(const Product<T>& product);
/// Why there are no products; empty: there are.
std::string missing_for_gemm();
/// "cuBLASLt 13.0.2"
std::string gemm_version();

}  // namespace holdfast::cuda
