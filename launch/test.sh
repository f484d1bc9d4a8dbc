#!/usr/bin/env bash
# Installs what is missing and runs every check: lint, format, import contracts, tests, coverage.
set -euo pipefail

usage() {
  cat <<'TEXT'
Usage: launch/test.sh [--slow] [PYTEST ARGUMENT…]

Calls launch/install.sh --dev, then ruff check, ruff format --check, lint-imports, and pytest with
coverage of memobert_jax. Arguments go to pytest. Stops at the first check that fails.

  --slow   also the tests that take long
  --help   this text

Environment:
  MEMOBERT_DATA   folder of the public corpora; without it the tests that need them are skipped

Examples:
  launch/test.sh
  launch/test.sh --slow -k checkpoint
TEXT
}

case ${1:-} in -h | --help) usage && exit ;; esac

cd "$(dirname "${BASH_SOURCE[0]}")/.."
launch/install.sh --dev
python=.venv/bin/python
$python -m ruff check .
$python -m ruff format --check .
.venv/bin/lint-imports --no-logo
exec $python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadfile --cov --cov-report=term "$@"
