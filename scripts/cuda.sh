#!/bin/sh
# Builds the CUDA backend: scripts/cuda.sh BUILD JOBS TARGET..., with the flags in CMAKE_FLAGS. Exit status 77, with the reason, where
# there is no CUDA toolkit.
set -eu
build=$1 jobs=$2
shift 2
nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
if [ -z "$nvcc" ]; then
  echo "cuda: skipped, no nvcc here: install a CUDA toolkit, version 12 or newer" >&2
  exit 77
fi
CUDACXX=$nvcc cmake -S . -B "$build" -G Ninja -DHOLDFAST_CUDA=ON ${CMAKE_FLAGS:-}
cmake --build "$build" -j "$jobs" --target "$@"
