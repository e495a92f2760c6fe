# What stands behind tensor/cuda/built_in.h: nothing here.
target_sources(holdfast_tensor PRIVATE tensor/cuda/none.cpp)
