#!/usr/bin/env bash
# Resolves the locks anew from pyproject.toml; for developers. Needs `uv` (pip install uv).
# One set of files serves Python 3.10 to 3.12: a package has one version wherever that is possible.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=(python3 -m uv)
if [ -x .venv/bin/uv ]; then uv=(.venv/bin/uv); fi

compile() { # <output> <arguments...>
    local output=$1
    shift
    UV_CUSTOM_COMPILE_COMMAND=requirements/lock.sh "${uv[@]}" pip compile --quiet --upgrade --universal \
        --python-version 3.10 --fork-strategy fewest --generate-hashes --no-emit-index-url --no-annotate \
        --output-file "requirements/$output" "$@"
}

compile build.txt requirements/build.in
compile runtime.txt pyproject.toml --constraint requirements/build.txt
for extra in train notebooks test; do
    compile "$extra.txt" pyproject.toml --extra "$extra" --constraint requirements/runtime.txt --constraint requirements/build.txt
done
