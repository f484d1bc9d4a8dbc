#!/usr/bin/env bash
# The main job on the embedded corpus: raw video in, prompted emotion predictions out.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: launch/quickstart.sh [--dir=DIR] [--scale=S] [--dry-run]

Installs what is missing, then: renders talking heads as mp4, cuts them into clips, makes features,
trains a tokenizer, pre-trains without labels, fits a prompt and a head on a few labelled clips, and
scores them for every modality subset. Run again it skips the stages whose output is whole and
resumes the one that was interrupted.

  --dir=DIR   where everything goes (default: quickstart)
  --scale=S   share of the default corpus and of the steps, for a quick look (default: 1)
  --dry-run   print the commands only
  --help      this text
TEXT
}

dir=quickstart scale=1 dry=''
for argument in "$@"; do
  case $argument in
    --dir=*) dir=${argument#*=} ;;
    --scale=*) scale=${argument#*=} ;;
    --dry-run) dry=1 ;;
    -h | --help) usage && exit ;;
    *) usage >&2 && echo "quickstart: unknown argument '$argument'" >&2 && exit 1 ;;
  esac
done
[[ $scale =~ ^[0-9]*\.?[0-9]+$ ]] ||
  { echo "quickstart: --scale=$scale; expected a number such as 0.1" >&2 && exit 1; }
[[ $dir = /* ]] || dir=$PWD/$dir
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=.venv/bin/python
# The system then gives memory in pages of 2 MB: a training step on CPU takes a fifth less time.
export GLIBC_TUNABLES=${GLIBC_TUNABLES:-glibc.malloc.hugetlb=1}
began=$SECONDS

stage() { # stage TITLE COMMAND...
  echo
  echo "== $1 =="
  shift
  echo "$*"
  [[ -n $dry ]] && return
  "$@"
  echo "[$((SECONDS - began)) s since the start]"
}

[[ -n $dry ]] || launch/install.sh --demo
began=$SECONDS
clips=$dir/clips/talking_heads/four/1.0.0
features=$dir/features
steps=$(awk -v s="$scale" 'BEGIN { n = int(1200 * s); print n < 20 ? 20 : n }')

stage 'Render talking heads with sound and subtitles' \
  "$python" -m tfds_builders.talking_heads.render --out="$dir/media" --scale="$scale"
stage 'Cut the videos into clips: a TFDS dataset and its yield ledger' \
  "$python" -m tfds_builders.build talking_heads --manual_dir="$dir/media" --data_dir="$dir/clips"
stage 'Make features of the clips' \
  "$python" -m memobert_jax.featurize --input="$clips" --output="$features" \
  --normalise_on=unlabelled
if [[ -f $dir/tokenizer.model ]]; then
  echo && echo "== Tokenizer: $dir/tokenizer.model is there =="
else
  stage 'Train the tokenizer on the unlabelled text' \
    "$python" -m memobert_jax.tokenizer --input="$features" --split=unlabelled \
    --vocab_size=1000 --output="$dir/tokenizer.model"
fi
stage 'Pre-train without labels' \
  "$python" -m memobert_jax.train --config=configs/pretrain_talking_heads.py \
  --workdir="$dir/run" --config.steps="$steps" --config.tokenizer="$dir/tokenizer.model" \
  --config.data.sources="(('$features', 1.0),)"
if [[ $dir/evaluation/results.json -nt $dir/run/checkpoints/$steps/SHA256.json ]]; then
  echo && echo "== Scores: $dir/evaluation is there, and newer than the checkpoint =="
  cat "$dir/evaluation/table.txt"
else
  stage 'Fit on a few labelled clips and score every modality subset' \
    "$python" -m memobert_jax.evaluate --config=configs/evaluate_talking_heads.py \
    --checkpoint="$dir/run" --output="$dir/evaluation" --config.source="$features" \
    --config.ceilings="$dir/media/corpus.json"
fi

[[ -n $dry ]] && exit
cat <<TEXT

Done in $((SECONDS - began)) s, without the installation. What is where:
  $dir/media        the videos; open one: a talking face, with sound
  $clips            clips, and ledger.jsonl: what became of every second
  $features         features
  $dir/run          checkpoints/, metrics.jsonl, tensorboard/
  $dir/evaluation   the table above as JSON, and the fitted prompt and head
Next, with your own videos:
  $python -m memobert_jax.predict --checkpoint=$dir/run VIDEO.mp4
  $python -m tfds_builders.build video_corpus --manual_dir=FOLDER_OF_VIDEOS --data_dir=DIR
TEXT
