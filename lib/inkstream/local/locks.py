"""One command at a time on a folder: the second waits, or is told so."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from inkstream.errors import SetupError


@contextmanager
def one_by_one(folder: Path, name: str) -> Iterator[None]:
    """Hold the folder's lock of that name; whoever comes meanwhile waits. Raises SetupError: it cannot be written."""
    with _open_lock(folder, name) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """Hold the folder, made if missing, for one `what` at a time.

    Raises:
        SetupError: another one has it, or it cannot be written.
    """
    with _open_lock(folder, "lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise SetupError(f"Another {what} runs on {folder.parent}; wait for its end, or stop it") from error
        yield


def _open_lock(folder: Path, name: str) -> IO[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / name).open("w")
    except OSError as error:
        raise SetupError(
            f"The folder {folder} cannot be written ({error.strerror}); "
            "make it writable, or set local.folder in conf/inkstream.toml"
        ) from error
