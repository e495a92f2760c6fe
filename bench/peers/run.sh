#!/bin/sh
# run.sh BUILD [--pairs N] [--only NAME] [--threads 1,2] [--quick]: the same work in PyTorch and ONNX Runtime, in turn with ours;
# `make bench-peers` builds first. Needs models/minilm (`make minilm`). PYTHON names a python with torch, transformers, onnx and
# onnxruntime. NEWS names a CSV file of real texts with a column "text"; without it works on texts are left out.
set -eu
build=$1; shift
model=${MODEL:-models/minilm} folder=$build/bench-peers
[ -e "$model/model.safetensors" ] || { echo "bench-peers: no $model: run 'make minilm' first" >&2; exit 2; }
python=$(bench/python.sh torch transformers onnx onnxruntime)
"$python" bench/peers/prepare.py --model "$model" --out "$folder" ${NEWS:+--news "$NEWS"} 2>"$folder.log" || { cat "$folder.log" >&2; exit 2; }
exec "$python" bench/peers/compare.py --build "$build" --folder "$folder" --json "$folder.json" "$@"
