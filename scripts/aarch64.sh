#!/bin/sh
# Builds for AArch64 into BUILD-aarch64 and runs under QEMU what must give the same bits there as here: tests/portable, and
# `holdfast train` on the demo's texts, whose weights are compared with those of BUILD. aarch64.sh [BUILD] [JOBS]
set -eu
cd "$(dirname "$0")/.."
build=${1:-build}; jobs=${2:-$(nproc)}; arm=$build-aarch64

libraries=
for package in libopenblas-pthread-dev libicu-dev libgtest-dev libfmt-dev libssl-dev zlib1g-dev libzstd-dev; do
  libraries="$libraries $package:arm64"
done
dpkg --print-foreign-architectures | grep -qx arm64 || {
  echo "aarch64: adding Debian's arm64 to the architectures whose packages apt-get knows"
  if [ "$(id -u)" = 0 ]; then dpkg --add-architecture arm64; else sudo dpkg --add-architecture arm64; fi
}
scripts/deps.sh g++-aarch64-linux-gnu qemu-user $libraries

cmake --build "$build" -j "$jobs" --target holdfast holdfast-demo-data
cmake -S . -B "$arm" -G Ninja --toolchain cmake/aarch64.cmake -DHOLDFAST_ONEDNN=OFF >/dev/null
cmake --build "$arm" -j "$jobs" --target holdfast test_portable

echo "tests/portable on AArch64"
qemu-aarch64 "$arm/tests/test_portable" --gtest_brief=1

runs=$arm/runs
rm -rf "$runs" && mkdir -p "$runs"
"$build/examples/holdfast-demo-data" "$runs/data" >/dev/null
"$build/holdfast" train-tokenizer --size 1200 "$runs/data/news_train.csv" -o "$runs/vocab.txt" >/dev/null
"$build/holdfast" init --config tiny --vocab "$runs/vocab.txt" -o "$runs/tiny" >/dev/null
cat >"$runs/recipe.toml" <<END
model = "$runs/tiny"
output = "$runs/out"
numerics = "portable"
[new]
name = "news"
train = "$runs/data/news_train.csv"
[training]
steps = 5
END
"$build/holdfast" train "$runs/recipe.toml" --output "$runs/here" >/dev/null
qemu-aarch64 "$arm/holdfast" train "$runs/recipe.toml" --output "$runs/there" >/dev/null
for file in model.safetensors heads.safetensors; do
  cmp "$runs/here/model/$file" "$runs/there/model/$file"
done
echo "holdfast train: the same bytes of weights on $(uname -m) and AArch64"
