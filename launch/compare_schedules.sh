#!/usr/bin/env bash
# The three schedules of the objectives at equal compute: runs, table and plot.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: launch/compare_schedules.sh --out=DIR --tokenizer=FILE --sources=SOURCES [OPTION ...]

Pre-trains with per_step, per_clip and joint, and joint once more in half the steps, three seeds
each, and puts their held-out losses beside each other: DIR/table.md, DIR/curves.svg. Run again, it
goes on where it was.

  --out=DIR         work directories and results
  --tokenizer=FILE  as config.tokenizer
  --sources=TUPLE   as config.data.sources, such as "(('FEATURES', 1.0),)"
  --config=FILE     configuration (default: configs/pretrain_tiny.py)
  --steps=N         optimizer steps of a run (default: 3000)
  --dry-run         print the commands only
  --help            this text
TEXT
}

out='' tokenizer='' sources='' config=configs/pretrain_tiny.py steps=3000 dry=''
for argument in "$@"; do
  case $argument in
    --out=*) out=${argument#*=} ;;
    --tokenizer=*) tokenizer=${argument#*=} ;;
    --sources=*) sources=${argument#*=} ;;
    --config=*) config=${argument#*=} ;;
    --steps=*) steps=${argument#*=} ;;
    --dry-run) dry=1 ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
done
[[ -n $out && -n $tokenizer && -n $sources ]] || { usage >&2 && exit 2; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}

call() {
  echo "$*"
  [[ -n $dry ]] || "$@"
}

runs=()
train() { # train NAME SCHEDULE STEPS SEED
  call .venv/bin/python -m memobert_jax.train --config="$config" --workdir="$out/$1_$4" \
    --config.objectives.schedule="$2" --config.steps="$3" --config.seed="$4" \
    --config.eval_every=$((steps / 20)) --config.eval_rows=96 \
    --config.checkpoint_every=$((steps / 4)) --config.keep_checkpoints=1 \
    --config.tokenizer="$tokenizer" --config.data.sources="$sources"
  runs+=("--run=$1=$out/$1_$4")
}

[[ -n $dry ]] || launch/install.sh
for seed in 1 2 3; do
  for schedule in per_step per_clip joint; do
    train "$schedule" "$schedule" "$steps" "$seed"
  done
  train joint_half joint $((steps / 2)) "$seed"
done
call .venv/bin/python -m memobert_jax.compare --output="$out" --baseline=per_step "${runs[@]}"
