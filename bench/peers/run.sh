#!/bin/sh
# run.sh BUILD [PAIRS]: training steps of MiniLM, ours and PyTorch's in turn (A B A B), and the medians of their ratios.
# Needs models/minilm (`make minilm`). PYTHON names a python with torch and transformers; without it a virtual environment
# is made in .venv (5.8 GB). NEWS names a CSV file of real texts; without it only full-length batches are measured.
set -eu
build=$1; pairs=${2:-5}; model=${MODEL:-models/minilm}; threads=${THREADS:-2}
[ -e "$model/model.safetensors" ] || { echo "bench-peers: no $model: run 'make minilm' first" >&2; exit 2; }
cmake -S . -B "$build" -DHOLDFAST_BENCH=ON >/dev/null
cmake --build "$build" --target bench_step >/dev/null
python=${PYTHON:-.venv/bin/python}
if [ ! -x "$python" ]; then
  echo "bench-peers: making .venv with torch and transformers"
  python3 -m venv .venv && .venv/bin/pip install -q torch transformers
  python=.venv/bin/python
fi
"$python" bench/peers/compare.py --ours "$build/bench/bench_step" --model "$model" --pairs "$pairs" --threads "$threads" ${NEWS:+--news "$NEWS"}
