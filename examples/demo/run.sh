#!/bin/bash
# make demo: a tiny BERT learns news, then medicine, once naively and once by the recipe.
# run.sh [BUILD]: BUILD holds holdfast and examples/holdfast-demo-data, seen from the checkout.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:-build}
holdfast=$build/holdfast
generator=$build/examples/holdfast-demo-data
start=runs/demo-start # data, vocabulary and the news model, kept for the next time

# What the start depends on: with other texts or another recipe it is made anew.
stamp=$(cat "$generator" examples/demo/news.toml examples/demo/run.sh | cksum)
if [ "$stamp" != "$(cat $start/stamp 2>/dev/null || true)" ]; then
  rm -rf $start
  echo "Writing labelled sentences, and training a vocabulary and a tiny BERT on news, from nothing"
  "$generator" $start/data
  "$holdfast" train-tokenizer --size 1200 $start/data/news_train.csv $start/data/medical_train.csv -o $start/vocab.txt
  "$holdfast" init --config tiny --vocab $start/vocab.txt -o $start/tiny
  "$holdfast" train examples/demo/news.toml
  echo "$stamp" >$start/stamp
fi

echo
echo "Teaching the news classifier medicine: naively, at three learning rates, and by the recipe"
rm -rf runs/demo
"$holdfast" compare examples/demo/medical.toml
