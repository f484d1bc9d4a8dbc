#!/usr/bin/env bash
# The two reports on real corpora: RAVDESS under its folds, GoEmotions in its split.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: launch/real_corpora.sh --ravdess=DIR --grid=DIR --emobank=DIR --out=DIR [OPTION ...]

Builds RAVDESS (speech and action units), GRID, GoEmotions, EmoBank and rendered talking heads,
pre-trains a network for each fold of RAVDESS on all of it but the test clips, and one for GoEmotions,
evaluates both and writes OUT/ravdess.html and OUT/goemotions.html. Run again, it goes on where it was.

  --ravdess=DIR     see: python -m tfds_builders.build ravdess --help
  --grid=DIR        see: python -m tfds_builders.build grid --help
  --emobank=DIR     see: python -m tfds_builders.build emobank --help
  --goemotions=DIR  its files (default: downloads them)
  --out=DIR         everything that is made
  --dry-run         print the commands only
  --help            this text
TEXT
}

ravdess='' grid='' emobank='' goemotions='' out='' dry=''
for argument in "$@"; do
  case $argument in
    --ravdess=*) ravdess=${argument#*=} ;;
    --grid=*) grid=${argument#*=} ;;
    --emobank=*) emobank=${argument#*=} ;;
    --goemotions=*) goemotions=${argument#*=} ;;
    --out=*) out=${argument#*=} ;;
    --dry-run) dry=1 ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && exit 2 ;;
  esac
done
[[ -n $ravdess && -n $grid && -n $emobank && -n $out ]] || { usage >&2 && exit 2; }
for name in ravdess grid emobank goemotions out; do
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
data=$out/data
acted=$data/ravdess/action_units/1.0.0 clips=$data/grid/default/1.0.0
heads=$data/talking_heads/four/1.0.0
comments=$data/goemotions/original/1.0.0 sentences=$data/emobank/default/1.0.0

[[ -n $dry ]] || launch/install.sh --demo
call tfds_builders.build goemotions --data_dir="$data" ${goemotions:+--manual_dir="$goemotions"}
call tfds_builders.build emobank --manual_dir="$emobank" --data_dir="$data"
call tfds_builders.build grid --manual_dir="$grid" --data_dir="$data"
call tfds_builders.talking_heads.render --out="$out/heads_media" --scale=2
call tfds_builders.build talking_heads --manual_dir="$out/heads_media" --data_dir="$data"
# The statistics of the sound are those of GRID, so that no actor of RAVDESS is seen in them.
call memobert_jax.featurize --input="$clips" --output="$out/grid_with_faces"
call tfds_builders.build ravdess --config=action_units --manual_dir="$ravdess" \
  --data_dir="$data" --like="$out/grid_with_faces"
call memobert_jax.featurize --input="$clips" --output="$out/grid" --like="$acted" --without=face
call memobert_jax.featurize --input="$heads" --output="$out/heads" --like="$acted" --without=face
call memobert_jax.featurize --input="$comments" --output="$out/goemotions" --like="$acted" \
  --without=face --without=speech
call memobert_jax.featurize --input="$sentences" --output="$out/emobank" --like="$acted" \
  --without=face --without=speech
[[ -f $out/tokenizer.model ]] ||
  # shellcheck disable=SC2086
  call memobert_jax.tokenizer --input="$out/goemotions" --input="$out/emobank" --input="$out/grid" \
    --output="$out/tokenizer.model" --vocab_size=4000 --label_words $words

others="('$out/grid', 1.0), ('$out/heads:unlabelled', 1.0), ('$out/emobank', 1.0)"
for fold in 0 1 2 3 4; do
  call memobert_jax.train --config="configs/pretrain_ravdess.py:$fold" \
    --workdir="$out/ravdess_runs/$fold" --config.tokenizer="$out/tokenizer.model" \
    --config.data.sources="(('$acted:everything', 3.0), ('$out/goemotions', 1.0), $others)"
done
call memobert_jax.evaluate --config=configs/evaluate_ravdess.py --config.source="$acted" \
  --checkpoint="$out/ravdess_runs/{fold}" --output="$out/ravdess_scores"
call memobert_jax.evaluate --config=configs/evaluate_ravdess.py --config.source="$acted" \
  --checkpoint="$out/ravdess_runs/{fold}" --output="$out/ravdess_few_labels" \
  --config.fit.per_class='(1,4,16,64)' --config.seeds='(1234,)' --config.frame_loss='()'
call memobert_jax.report "$out/ravdess_scores" "$out/ravdess_few_labels" "$out/ravdess_runs/0" \
  "$acted" --output="$out/ravdess.html"

call memobert_jax.train --config=configs/pretrain_goemotions.py --workdir="$out/goemotions_run" \
  --config.tokenizer="$out/tokenizer.model" \
  --config.data.sources="(('$out/goemotions', 8.0), ('$acted:everything', 1.0), $others)"
call memobert_jax.evaluate --config=configs/evaluate_goemotions.py \
  --checkpoint="$out/goemotions_run" --config.source="$out/goemotions" \
  --output="$out/goemotions_scores"
call memobert_jax.report "$out/goemotions_scores" "$out/goemotions_run" "$comments" \
  --output="$out/goemotions.html"
