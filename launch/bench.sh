#!/usr/bin/env bash
# How fast training and its input run here: a table and a JSON file for each configuration of a set.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: launch/bench.sh [--dry-run] [--results=FOLDER] [ARGUMENT of memobert_jax.bench ...]

Installs what is missing and measures input and training on random features of the paper's lengths
and widths: clips/s, real tokens/s, share of real slots, MFU, compile time, memory, input wait. The
set is configs/bench.py (four layers of 256) and configs/bench_base.py (twelve of 768), for CPUs;
on an accelerator give --config=configs/pretrain_base.py.

  --results=FOLDER  where the JSON files go, one a configuration (default: bench/ in the repository)
  --config=FILE     this one alone
  --dry-run         print the commands only
  --help            this text

Examples:
  launch/bench.sh
  launch/bench.sh --config=configs/pretrain_base.py --synthetic=20000 --steps=50
  launch/bench.sh --config=configs/pretrain_tiny.py --videos=FOLDER --clips=CLIPS_DIR
TEXT
}

dry='' results=bench configs=(configs/bench.py configs/bench_base.py) arguments=()
for argument in "$@"; do
  case $argument in
    --dry-run) dry=1 ;;
    -h | --help) usage && exit ;;
    --output | --output=*) echo "give --results=FOLDER: there is a JSON file for each configuration" >&2 && exit 2 ;;
    --config | --results) echo "give $argument=VALUE" >&2 && exit 2 ;;
    --results=*) results=${argument#*=} ;;
    --config=*) configs=("${argument#*=}") ;;
    *) arguments+=("$argument") ;;
  esac
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ -n $dry ]] || launch/install.sh
[[ -n $dry ]] || mkdir -p "$results"
for config in "${configs[@]}"; do
  name=$(basename "$config" .py)
  command=(.venv/bin/python -m memobert_jax.bench "--config=$config")
  command+=("--output=$results/$name.json" "${arguments[@]}")
  echo "${command[*]}"
  [[ -n $dry ]] || "${command[@]}"
done
