#!/usr/bin/env bash
# The two reports on real corpora: RAVDESS under its folds, GoEmotions in its split.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: launch/real_corpora.sh --ravdess=DIR --grid=DIR --out=DIR [OPTION ...]

Builds RAVDESS (speech and action units), GRID and GoEmotions, pre-trains a network for each fold of
RAVDESS on everything but its test actors and one for GoEmotions, evaluates both and writes
OUT/ravdess.html and OUT/goemotions.html. Run again, it goes on where it was.

  --ravdess=DIR     see: python -m tfds_builders.build ravdess --help
  --grid=DIR        see: python -m tfds_builders.build grid --help
  --goemotions=DIR  its files (default: downloads them)
  --out=DIR         everything that is made
  --dry-run         print the commands only
  --help            this text
TEXT
}

ravdess='' grid='' goemotions='' out='' dry=''
for argument in "$@"; do
  case $argument in
    --ravdess=*) ravdess=${argument#*=} ;;
    --grid=*) grid=${argument#*=} ;;
    --goemotions=*) goemotions=${argument#*=} ;;
    --out=*) out=${argument#*=} ;;
    --dry-run) dry=1 ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
done
[[ -n $ravdess && -n $grid && -n $out ]] || { usage >&2 && exit 2; }
for name in ravdess grid goemotions out; do
  [[ -z ${!name} || ${!name} = /* ]] || printf -v "$name" '%s' "$PWD/${!name}"
done
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}

call() { # call MODULE ARGUMENT...
  echo "python -m $*"
  [[ -n $dry ]] || .venv/bin/python -m "$@"
}

words='angry disgusted scared happy neutral sad surprised excited frustrated calm contemptuous'
words+=' admiring amused annoyed approving caring confused curious longing disappointed'
words+=' disapproving embarrassed grateful grieving loving nervous optimistic proud realizing'
words+=' relieved sorry'
acted=$out/data/ravdess/action_units/1.0.0 clips=$out/data/grid/default/1.0.0
comments=$out/data/goemotions/original/1.0.0

[[ -n $dry ]] || launch/install.sh
call tfds_builders.build goemotions --data_dir="$out/data" ${goemotions:+--manual_dir="$goemotions"}
call tfds_builders.build grid --manual_dir="$grid" --data_dir="$out/data"
# The statistics of the sound are those of GRID, so that no actor of RAVDESS is seen in them.
call memobert_jax.featurize --input="$clips" --output="$out/grid_with_faces"
call tfds_builders.build ravdess --config=action_units --manual_dir="$ravdess" \
  --data_dir="$out/data" --like="$out/grid_with_faces"
call memobert_jax.featurize --input="$clips" --output="$out/grid" --like="$acted" --without=face
call memobert_jax.featurize --input="$comments" --output="$out/goemotions" --like="$acted" \
  --without=face --without=speech
[[ -f $out/tokenizer.model ]] ||
  # shellcheck disable=SC2086
  call memobert_jax.tokenizer --input="$out/goemotions" --input="$out/grid" \
    --output="$out/tokenizer.model" --vocab_size=4000 --label_words $words

for fold in 0 1 2 3 4; do
  call memobert_jax.train --config="configs/pretrain_ravdess.py:$fold" \
    --workdir="$out/ravdess_runs/$fold" --config.tokenizer="$out/tokenizer.model" \
    --config.data.sources="(('$acted:everything', 2.0), ('$out/grid', 1.0), ('$out/goemotions', 1.0))"
done
call memobert_jax.evaluate --config=configs/evaluate_ravdess.py --config.source="$acted" \
  --checkpoint="$out/ravdess_runs/{fold}" --output="$out/ravdess_scores"
call memobert_jax.evaluate --config=configs/evaluate_ravdess.py --config.source="$acted" \
  --checkpoint="$out/ravdess_runs/{fold}" --output="$out/ravdess_few_labels" \
  --config.fit.per_class='(1,4,16,48)' --config.fit.steps=200 --config.fit.eval_every=100 \
  --config.fit.patience=1 --config.seeds='(1234,)' --config.frame_loss='()'
call memobert_jax.report "$out/ravdess_scores" "$out/ravdess_few_labels" "$out/ravdess_runs/0" \
  "$acted" --output="$out/ravdess.html"

call memobert_jax.train --config=configs/pretrain_goemotions.py --workdir="$out/goemotions_run" \
  --config.tokenizer="$out/tokenizer.model" \
  --config.data.sources="(('$out/goemotions', 6.0), ('$acted:everything', 1.0), ('$out/grid', 1.0))"
call memobert_jax.evaluate --config=configs/evaluate_goemotions.py \
  --checkpoint="$out/goemotions_run" --config.source="$out/goemotions" \
  --output="$out/goemotions_scores"
call memobert_jax.report "$out/goemotions_scores" "$out/goemotions_run" "$comments" \
  --output="$out/goemotions.html"
