#!/bin/sh
# run.sh BUILD [--pairs N] [--only NAME] [--threads 1,2] [--quick]: the same work in PyTorch and ONNX Runtime, in turn with ours.
# Needs models/minilm (`make minilm`). PYTHON names a python with torch, transformers, onnx and onnxruntime; without it a virtual
# environment is made in .venv (5.8 GB). NEWS names a CSV file of real texts with a column "text"; without it works on texts are left out.
set -eu
build=$1; shift
model=${MODEL:-models/minilm}
[ -e "$model/model.safetensors" ] || { echo "bench-peers: no $model: run 'make minilm' first" >&2; exit 2; }
cmake -S . -B "$build" -DHOLDFAST_BENCH=ON >/dev/null
cmake --build "$build" --target holdfast bench_step bench_infer bench_gemm bench_recipe bench_fisher bench_machine >/dev/null
python=${PYTHON:-.venv/bin/python}
if [ ! -x "$python" ]; then
  echo "bench-peers: making .venv with torch and transformers"
  python3 -m venv .venv && .venv/bin/pip install -q torch transformers onnx onnxruntime
  python=.venv/bin/python
fi
folder=$build/bench-peers
"$python" bench/peers/prepare.py --model "$model" --out "$folder" ${NEWS:+--news "$NEWS"} 2>"$folder.log" || { cat "$folder.log" >&2; exit 2; }
exec "$python" bench/peers/compare.py --build "$build" --folder "$folder" --json "$folder.json" "$@"
