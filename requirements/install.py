"""A stamp's text in, a filled .venv with that stamp out; run by submit.sh with the system's Python, so stdlib only.

A set-up that was interrupted leaves `.venv/unfinished`; the next one then begins with an empty .venv, because a package
may be half there. What pip had fetched it takes from its own cache.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "installed"
UNFINISHED = VENV / "unfinished"
LOG = VENV / "install.log"
# The locks are complete, so nothing is left to resolve; bytecode is made when a module is first imported.
PIP = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps", "--no-compile"]
LOCKED = [*PIP, "--require-hashes", "--no-build-isolation", "--log", str(LOG)]


def main() -> None:
    stamp = sys.argv[1]
    try:
        with (ROOT / ".venv.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a second set-up at the same time waits, and then finds it done
            if not (STAMP.is_file() and STAMP.read_text().strip() == stamp.strip()):
                set_up(stamp)
    except KeyboardInterrupt:
        sys.exit("\nerror: the set-up was interrupted; run the same command again and it carries on")
    except OSError as error:
        sys.exit(f"error: {error.filename or VENV} cannot be written ({error.strerror}); make the folder writable")


def set_up(stamp: str) -> None:
    """Make .venv and install the locked packages and InkStream itself."""
    began = time.monotonic()
    version = ".".join(str(part) for part in sys.version_info[:2])
    print(f"Setting up InkStream in {VENV} with Python {version}: once, about two minutes", file=sys.stderr)
    STAMP.unlink(missing_ok=True)
    if UNFINISHED.exists() or not runs_this_python():
        shutil.rmtree(VENV, ignore_errors=True)
        VENV.mkdir()
        UNFINISHED.touch()
        run("make .venv", [sys.executable, "-m", "venv", str(VENV)])
    UNFINISHED.touch()
    requirements = ROOT / "requirements"
    run("install the build tools", [*LOCKED, "-r", str(requirements / "build.txt")])
    run("install the packages", [*LOCKED, "-r", str(requirements / "runtime.txt")])
    run("install InkStream itself", [*PIP, "--no-build-isolation", "--no-index", "--editable", str(ROOT)])
    UNFINISHED.unlink()
    STAMP.write_text(stamp + "\n")
    print(f"Set up in {time.monotonic() - began:.0f} s", file=sys.stderr)


def runs_this_python() -> bool:
    """Whether .venv has the version of Python that runs this script."""
    ask = [str(PYTHON), "-c", "import pip, sys; print(sys.version_info[:2])"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True)
    except OSError:
        return False
    return answer.stdout.strip() == str(tuple(sys.version_info[:2]))


def run(what: str, command: list[str]) -> None:
    """Run one step; on failure end with one sentence that names what could not be had."""
    environment = {**os.environ, "PIP_USER": "0", "PIP_REQUIRE_VIRTUALENV": "0"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    if done.returncode:
        errors = [line for line in done.stdout.splitlines() if line.startswith("ERROR")] or done.stdout.splitlines()
        reason = errors[-1].removeprefix("ERROR: ") if errors else f"exit status {done.returncode}"
        sys.exit(
            f"error: could not {what} ({reason}); check the network or the proxy, then run the same command again: "
            f"it carries on. The whole story is in {LOG}"
        )


if __name__ == "__main__":
    main()
