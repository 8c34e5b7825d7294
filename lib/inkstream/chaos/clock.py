"""A clock of their own for the processes that are started here, which can be stepped while they run (libfaketime)."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger(__name__)

LIBRARY = "libfaketime.so.1"
CACHED_S = 1  # a process goes by what it read last for so long: asking the file each time would slow it down
SEEN_AFTER_S = 2 * CACHED_S  # it counts whole seconds
FAR_S = 86_400.0


class SteppedClock:
    """The machine's wall clock and so many seconds; monotonic clocks and the times of files are left alone."""

    def __init__(self, file: Path, library: Path) -> None:
        self._file = file
        self._library = library
        self.step(0.0)

    def step(self, seconds: float) -> None:
        """Set it so far ahead of the machine's clock, or behind; a process sees it within SEEN_AFTER_S."""
        scratch = self._file.with_suffix(".new")
        scratch.write_text(f"{seconds:+.0f}s\n")
        scratch.replace(self._file)

    def environment(self) -> dict[str, str]:
        """What a process is started with to go by this clock."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(CACHED_S),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",  # it waits on the wrong clock: no thread of a JVM would ever rest
            "NO_FAKE_STAT": "1",
        }

    def works(self) -> bool:
        """Whether a process goes by it: the library is made for one kind of processor."""
        self.step(FAR_S)
        try:
            line = [sys.executable, "-IS", "-c", "import time; print(time.time())"]
            said = subprocess.run(
                line, env={**os.environ, **self.environment()}, capture_output=True, text=True, check=True
            )
            return float(said.stdout) > time.time() + FAR_S / 2
        finally:
            self.step(0.0)


@contextmanager
def stepped_clock(folder: Path) -> Iterator[SteppedClock | None]:
    """Whatever is started inside goes by the clock; None, and the machine's own, where libfaketime does not work."""
    library = find_library()
    clock = SteppedClock(folder / "clock", library) if library else None
    if clock is None or not clock.works():
        log.debug("libfaketime is not installed, or not made for this machine: %s", library)
        yield None
        return
    before = {name: os.environ.get(name) for name in clock.environment()}
    os.environ.update(clock.environment())
    try:
        yield clock
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def find_library() -> Path | None:
    """Where the package libfaketime has its library; None where it is not installed."""
    spec = importlib.util.find_spec("libfaketime")
    if spec is None or not spec.submodule_search_locations:
        return None
    return next(Path(spec.submodule_search_locations[0]).rglob(LIBRARY), None)
