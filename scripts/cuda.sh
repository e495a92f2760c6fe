#!/bin/sh
# Builds the CUDA backend: scripts/cuda.sh BUILD JOBS TARGET..., with the flags in CMAKE_FLAGS. Exit status 77, with the reason, where
# there is no CUDA toolkit. HOLDFAST_CUDA_FROM_PYPI=1 takes NVIDIA's own from PyPI then, 0.9 GB, into BUILD/toolkit.
set -eu
build=$1 jobs=$2
shift 2

# nvcc of packages from PyPI; nothing, where they cannot be had.
from_pypi() {
  scripts/deps.sh python3-venv >&2 || return 0
  python3 -m venv "$build/toolkit" >&2 || return 0
  packages=
  for name in nvcc crt runtime cccl; do packages="$packages nvidia-cuda-$name==13.0.*"; done
  "$build/toolkit/bin/pip" install -q --no-deps $packages "nvidia-nvvm==13.0.*" "nvidia-cublas==13.0.*" >&2 || return 0
  root=$(echo "$PWD/$build"/toolkit/lib/python3*/site-packages/nvidia/cu13)
  ln -sf libcudart.so.13 "$root/lib/libcudart.so" # which CMake looks for
  echo "$root/bin/nvcc"
}

nvcc=$(command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null || true)
if [ -z "$nvcc" ] && [ -n "${HOLDFAST_CUDA_FROM_PYPI:-}" ]; then nvcc=$(from_pypi); fi
if [ -z "$nvcc" ]; then
  echo "cuda: skipped, no nvcc here: install a CUDA toolkit, version 12 or newer" >&2
  exit 77
fi
CUDACXX=$nvcc cmake -S . -B "$build" -G Ninja -DHOLDFAST_CUDA=ON ${CMAKE_FLAGS:-}
cmake --build "$build" -j "$jobs" --target "$@"
