#!/usr/bin/env bash
# Makes .venv at the repository's root and installs luke-tasks in it, editable, with the versions of requirements.lock.
# Run it as often as you like: where nothing has changed it returns at once; what was interrupted is made anew.
#
#   scripts/setup.sh                      with the newest of python3.13 .. python3.11 found
#   PYTHON=python3.12 scripts/setup.sh    with this one
#
# pip's own settings hold (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS, pip.conf). On Linux a plain torch is the
# CUDA build, several GB with its libraries: without a GPU, name PyTorch's index of CPU wheels in PIP_EXTRA_INDEX_URL.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

started=$SECONDS
venv=.venv
stamp=$venv/.setup-done # holds what the finished set-up was made from; absent while one is under way

fail() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

suits() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# $PYTHON if set; else the one the environment already has; else the first that runs.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        suits "$PYTHON" || fail "PYTHON=$PYTHON is not a Python of 3.11 or later"
        echo "$PYTHON"
        return
    fi
    local candidate
    for candidate in "$venv/bin/python" python3.13 python3.12 python3.11 python3 python; do
        if suits "$candidate"; then
            echo "$candidate"
            return
        fi
    done
    fail "found no Python of 3.11 or later; install one, or name it: PYTHON=/path/to/python scripts/setup.sh"
}

python=$(find_python)
version=$("$python" -c 'import platform; print(platform.python_version())')
place="python $version in $PWD" # an environment of another Python or another folder is of no use
inputs=$(cat requirements.lock pyproject.toml scripts/setup.sh | cksum)

done_place=""
done_inputs=""
if [ -f "$stamp" ]; then
    { read -r done_place && read -r done_inputs; } <"$stamp" || true
fi
if [ "$done_place" = "$place" ] && [ "$done_inputs" = "$inputs" ]; then
    exit 0
fi

if [ "$done_place" = "$place" ]; then # the environment is sound, its versions may not be
    echo "Bringing $venv up to date (python $version) ..."
    rm -f "$stamp"
else
    echo "Setting up $venv (python $version, about 2 minutes) ..."
    if [ "$python" = "$venv/bin/python" ]; then # it cannot make itself anew: use the one it was made from
        python=$("$python" -c 'import sys; print(sys._base_executable)')
    fi
    "$python" -m venv --clear "$venv"
fi

# -qq: errors only. A pip that is a little old does as well as a new one.
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@" -qq; }

pip install -r requirements.lock

embedded=$(mktemp)
trap 'rm -f "$embedded"' EXIT
sed -n 's/^#embedded: *//p' requirements.lock >"$embedded"
pip install --no-deps --require-hashes -r "$embedded"

pip install --no-deps --no-build-isolation -e . # with the setuptools of the lock

printf '%s\n%s\n' "$place" "$inputs" >"$stamp"
echo "$venv is ready ($((SECONDS - started)) s)"
