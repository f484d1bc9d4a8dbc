#!/usr/bin/env bash
# How fast training and its input run here: a table and a JSON file.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: launch/bench.sh [--dry-run] [ARGUMENT of memobert_jax.bench ...]

Installs what is missing and measures input and training on random features of the paper's lengths
and widths: clips/s, real tokens/s, share of real slots, MFU, compile time, memory, input wait.

  --dry-run   print the command only
  --help      this text

Examples:
  launch/bench.sh
  launch/bench.sh --config=configs/base.py --config.model.dtype=bfloat16 --output=bench.json
  launch/bench.sh --videos=FOLDER --clips=CLIPS_DIR
TEXT
}

dry='' config=--config=configs/bench.py arguments=()
for argument in "$@"; do
  case $argument in
    --dry-run) dry=1 ;;
    -h | --help) usage && exit ;;
    --config=*) config=$argument ;;
    *) arguments+=("$argument") ;;
  esac
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command=(.venv/bin/python -m memobert_jax.bench "$config" "${arguments[@]}")
echo "${command[*]}"
[[ -z $dry ]] || exit 0
launch/install.sh
exec "${command[@]}"
