"""The trainings of the local folder in, how each stands out; and a new one started, as a process of its own.

One runs at a time, whichever gateway started it: the training itself holds a lock, which the system takes back when
its process ends, however it does. So it outlives the gateway, and no crash leaves the lock behind.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from inkstream.dataset.manifest import MANIFEST as DATA_MANIFEST
from inkstream.errors import BundleError, InkstreamError, SettingError, SetupError
from inkstream.model.checkpoints import EpochEnd, read_progress
from inkstream.model.manifest import MANIFEST, parse_manifest
from inkstream.model.recipes import RECIPES
from inkstream.model.training import run_folder
from inkstream.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LOG = "training.log"
LOCK = "training.lock"
MOST_EPOCHS = 1_000
NICENESS = 10  # pictures are answered first
LOG_BYTES = 64 * 1024  # of its end, where the reason of a failure stands
_FAILURE = "error: "  # what a command writes before the sentence that it ends with

State = Literal["running", "finished", "failed", "unfinished"]


class Busy(InkstreamError):
    """Another training runs."""


@dataclass(frozen=True, slots=True)
class Training:
    """How one training stands. plan: what it was started with, and metrics what its bundle reached; empty until then.

    unfinished: it was stopped, or runs in somebody's terminal. failure: the sentence that it ended with.
    """

    name: str
    state: State
    epochs: tuple[EpochEnd, ...]
    plan: Mapping[str, Any]
    metrics: Mapping[str, Any]
    version: str
    failure: str


class Trainings:
    """Those in `models` of the local folder, and the data sets in `data` that a new one can learn from."""

    def __init__(self, settings: Settings) -> None:
        self._models = settings.local.path / "models"
        self._data = settings.local.path / "data"

    def all(self) -> list[Training]:
        """Every training that has begun, the last one first."""
        running = self.running()
        folders = [folder for folder in self._models.glob("*.run") if folder.is_dir()]
        # A folder's own time moves with every epoch: its files come and go.
        folders.sort(key=lambda folder: folder.stat().st_mtime, reverse=True)
        return [self._training(folder, running) for folder in folders]

    def running(self) -> str | None:
        """The name of the training that runs, if one does."""
        try:
            with (self._models / LOCK).open() as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return lock.read()
        except FileNotFoundError:
            pass
        return None

    def data_sets(self) -> list[str]:
        """The names of the prepared data sets and folders of IDX files that can be learnt from."""
        folders = self._data.iterdir() if self._data.is_dir() else ()
        return sorted(
            folder.name
            for folder in folders
            if (folder / DATA_MANIFEST).is_file() or any(folder.glob("train-images-idx3-ubyte*"))
        )

    def start(self, name: str, data: str, recipe: str, epochs: int) -> None:
        """Start a training; 0 epochs: as many as the recipe says. An unfinished one of the same plan goes on.

        Raises:
            SettingError: a value is wrong, or there is a model of that name.
            Busy: another one runs.
            SetupError: the folder cannot be written.
        """
        out = self._models / name
        if not NAME.fullmatch(name) or name.endswith(".run"):
            raise SettingError(f"{name!r} is no name for a model; use up to 64 letters, digits, '.', '_' and '-'")
        if out.exists():
            raise SettingError(f"There is a model {name} already, and models are never changed; give another name")
        if data not in self.data_sets():
            raise SettingError(f"There is no data set {data!r} in {self._data}; `./submit.sh prepare` makes one")
        if recipe not in RECIPES:
            raise SettingError(f"{recipe!r} is no recipe; there are {', '.join(sorted(RECIPES))}")
        if not 0 <= epochs <= MOST_EPOCHS:
            raise SettingError(f"A training has 1 to {MOST_EPOCHS:,} epochs, or 0 for the recipe's own, not {epochs}")
        command = [str(Path(sys.executable).parent / "inkstream"), "train", str(self._data / data)]
        command += ["--out", str(out), "--recipe", recipe, "--epochs", str(epochs)]
        try:
            self._models.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._models / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                _take(lock)
                run_folder(out).mkdir(exist_ok=True)
                os.ftruncate(lock, 0)
                os.write(lock, name.encode())
                _launch(command, run_folder(out) / LOG, lock)
            finally:
                os.close(lock)
        except OSError as error:
            raise SetupError(
                f"The folder {self._models} cannot be written ({error.strerror}); make it writable"
            ) from error

    def _training(self, folder: Path, running: str | None) -> Training:
        name = folder.name.removesuffix(".run")
        plan: Mapping[str, Any] = {}
        epochs: tuple[EpochEnd, ...] = ()
        metrics: Mapping[str, Any] = {}
        version, failure = "", ""
        try:
            if progress := read_progress(folder):
                plan, epochs = progress[0], tuple(progress[1])
            made = folder.with_name(name) / MANIFEST
            if made.is_file():
                manifest = parse_manifest(made.read_bytes(), str(made))
                metrics, version = manifest.metrics, manifest.version
        except (BundleError, OSError) as error:
            failure = str(error)
        # The bundle is there a moment before the process ends, and only then may the next one begin.
        state: State = "running" if name == running else "finished" if version else "unfinished"
        if state == "unfinished" and (failure := failure or _failure_in(folder / LOG)):
            state = "failed"
        return Training(name, state, epochs, plan, metrics, version, failure)


def _take(lock: int) -> None:
    """Lock the file. A page that looks who holds it does so for a moment. Raises Busy."""
    for _ in range(10):
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
    name = os.pread(lock, 200, 0).decode(errors="replace")
    raise Busy(f"The training {name} is still running, and one runs at a time; start this one when it has ended")


def _launch(command: list[str], log: Path, lock: int) -> None:
    """Start the process that keeps the lock until it ends; it outlives this one."""
    # The gateway's tokens are none of the training's business.
    environment = {name: value for name, value in os.environ.items() if "GATEWAY__" not in name.upper()}
    environment |= {"PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            pass_fds=[lock],
        )
    os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    threading.Thread(target=process.wait, name="training", daemon=True).start()  # so that no zombie stays


def _failure_in(log: Path) -> str:
    """The sentence that a training ended with, blank where it ended without one."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    except FileNotFoundError:
        return ""
    return next((line.removeprefix(_FAILURE) for line in reversed(lines) if line.startswith(_FAILURE)), "")
