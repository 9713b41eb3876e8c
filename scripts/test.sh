#!/usr/bin/env bash
# Every check, in one command, here and in CI: ruff, mypy, pytest. Stops at the first that fails.
#
#   scripts/test.sh                       all checks
#   scripts/test.sh tests/readers -k ner  arguments go to pytest
#   scripts/test.sh -m slow               the slow tests (-m gpu: those that need a CUDA device)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# No test may reach out.
export HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 WANDB_MODE=offline TOKENIZERS_PARALLELISM=false

step() {
    printf '== %s\n' "$*"
    "$@"
}

# Tests of pages are skipped where there is no browser ($CHROMIUM, or one on the PATH).
find_browser() { command -v "${CHROMIUM:-chromium}" || command -v chromium-browser || command -v google-chrome; }

step scripts/setup.sh
if ! find_browser >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "== installing Chromium for the tests of pages"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends chromium; } \
        >/dev/null || echo "test: Chromium could not be installed; tests of pages are skipped" >&2
fi
export PATH="$PWD/.venv/bin:$PATH"
step ruff check .
step ruff format --check .
step mypy luke_tasks scripts
export OMP_NUM_THREADS=1 # one test a core, each with one thread
step pytest -q -n auto --dist worksteal "$@"
