#!/bin/sh
# The one way in: makes .venv on first use, then runs the command line, for example ./submit.sh demo
set -eu

root=$(dirname "$(readlink -f "$0")")
unset PYTHONHOME PYTHONPATH PYTHONSTARTUP
export INKSTREAM_HOME="$root" PYTHONNOUSERSITE=1

# What was installed, and where: a changed lock or a moved folder asks for another round.
wanted="$(cat "$root"/requirements/build.txt "$root"/requirements/runtime.txt | cksum) $root"
stamp="$root/.venv/installed"

if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    for python in python3 python3.12 python3.11 python3.10 ''; do
        if [ -z "$python" ]; then
            echo "error: InkStream needs Python 3.10, 3.11 or 3.12 with its venv module, and none is on the PATH;" \
                "install one (Debian: python3 and python3-venv) and run the same command again" >&2
            exit 2
        fi
        if "$python" -c 'import ensurepip, sys, venv; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
            break
        fi
    done
    "$python" "$root/requirements/install.py" "$wanted"
fi

exec "$root/.venv/bin/inkstream" "$@"
