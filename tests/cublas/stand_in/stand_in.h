// A stand-in for libcublasLt of the same name: the functions that tensor/cuda/cublas.cu uses, by
// what CUDA's documentation says of them, on the CPU. What a product reads must be what its
// algorithm was chosen for; anything else is refused with CUBLAS_STATUS_INVALID_VALUE.
#pragma once

/// How many algorithms were chosen since the start.
extern "C" int cublas_stand_in_choices();
