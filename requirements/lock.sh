#!/usr/bin/env bash
# Brings the locks in line with pyproject.toml, `requirements/lock.sh --upgrade` with every package at its newest;
# for developers. Needs `uv` (pip install uv).
# One set of files serves Python 3.10 to 3.12: a package has one version wherever that is possible.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=(python3 -m uv)
if [ -x .venv/bin/uv ]; then uv=(.venv/bin/uv); fi

options=("$@")

compile() { # <output> <arguments...>
    local output=$1
    shift
    UV_CUSTOM_COMPILE_COMMAND=requirements/lock.sh "${uv[@]}" pip compile --quiet ${options[@]+"${options[@]}"} --universal \
        --python-version 3.10 --fork-strategy fewest --generate-hashes --no-emit-index-url --no-annotate \
        --output-file "requirements/$output" "$@"
}

compile build.txt requirements/build.in
compile quix.txt requirements/quix.in
compile runtime.txt pyproject.toml --constraint requirements/build.txt
for extra in train notebooks bench chaos sbom test; do
    compile "$extra.txt" pyproject.toml --extra "$extra" --constraint requirements/runtime.txt --constraint requirements/build.txt
done
