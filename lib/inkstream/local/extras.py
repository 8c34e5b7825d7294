"""An extra's name in, its locked packages installed into the running environment out; instant the second time."""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import logging
import os
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from inkstream.errors import SetupError
from inkstream.settings import home

log = logging.getLogger(__name__)

EXTRAS = {
    "train": "TensorFlow, to train a model",
    "notebooks": "JupyterLab, to open the notebooks",
    "bench": "what the benchmark compares with",
    "chaos": "what steps a clock",
    "sbom": "what writes the bill of materials",
    "test": "the test and style tools",
}


def ensure_extra(name: str) -> None:
    """Install an extra's packages if its lock has changed since the last time.

    Raises:
        SetupError: they cannot be installed, for want of a network above all.
    """
    lock = home() / "requirements" / f"{name}.txt"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    stamp = Path(sys.prefix) / f"installed-{name}"
    if _reads(stamp, wanted):
        return
    try:
        with (Path(sys.prefix) / "extras.lock").open("w") as only_one:
            fcntl.flock(only_one, fcntl.LOCK_EX)
            if not _reads(stamp, wanted):
                with Console(stderr=True).status(f"Installing {EXTRAS[name]} (once)"):
                    _install(name, lock)
                stamp.write_text(wanted)
    except OSError as error:
        raise SetupError(
            f"The packages for `{name}` cannot be written to {sys.prefix} ({error.strerror}); make the folder writable"
        ) from error
    importlib.invalidate_caches()


def _reads(stamp: Path, wanted: str) -> bool:
    return stamp.is_file() and stamp.read_text() == wanted


def _install(name: str, lock: Path) -> None:
    options = ["--disable-pip-version-check", "--quiet", "--no-deps", "--no-compile", "--no-build-isolation"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *options[:1], "install", *options[1:], "--require-hashes", "-r", str(lock)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PIP_USER": "0"},
    )
    if done.returncode:
        log.debug("pip: %s", done.stdout)
        errors = [line.removeprefix("ERROR: ") for line in done.stdout.splitlines() if line.startswith("ERROR")]
        raise SetupError(
            f"The packages for `{name}` could not be installed ({errors[-1] if errors else done.stdout.strip()}); "
            "check the network or the proxy and run the same command again"
        )
