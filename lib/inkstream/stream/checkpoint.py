"""Where the stream keeps its place: settings and flags in, a checkpoint's Spark path out."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from inkstream.errors import SettingError, SetupError
from inkstream.settings import Settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def prepare_checkpoint(settings: Settings, folder: str, start: str) -> str:
    """The checkpoint to use: the flag's, else the setting's, else one below the local folder (made if missing).

    Raises:
        SettingError: a start is asked for, but the checkpoint already has a place.
        SetupError: the folder cannot be written.
    """
    chosen = folder or settings.stream.checkpoint or str(settings.local.path / "checkpoints" / "predict_stream")
    if "://" in chosen:
        return chosen
    path = Path(chosen.removeprefix("file:")).absolute()
    _make_writable(path)
    if start and any((path / "offsets").glob("[0-9]*")):
        raise SettingError(
            f"--from has the value {start!r}, but the checkpoint {path} has its place in the topic already; "
            "leave --from out to go on there, or name a new --checkpoint"
        )
    return path.as_uri()


@contextmanager
def hold_checkpoint(place: str) -> Iterator[None]:
    """Keep a local checkpoint to this process: two streams on one place would write over each other's log.

    Raises:
        SetupError: another stream holds it.
    """
    if not place.startswith("file:"):
        yield  # a store elsewhere has no locks to offer; Spark itself fails where two streams meet there
        return
    path = Path(url2pathname(urlsplit(place).path))
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SetupError(
                f"Another stream is running on the checkpoint {path}; stop that one, or name another --checkpoint"
            ) from error
        yield


def without_processes(spark: SparkSession) -> None:
    """Have Spark write a local checkpoint without starting a process for each file.

    Hadoop's local file system, where it lacks its native library, runs `chmod` for each file that it makes, four times
    a micro-batch. Another one of the same files asks Java for it. At a hundred uploads a second the stream's two logs
    took 28 ms a micro-batch, and take 6.
    """
    spark.conf.set("fs.file.impl", "com.globalmentor.apache.hadoop.fs.BareLocalFileSystem")
    spark.conf.set("fs.file.impl.disable.cache", "true")  # Spark's own is there already


def _make_writable(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SetupError(
            f"The checkpoint folder {path} cannot be written ({error.strerror}); "
            "set stream.checkpoint or --checkpoint to one that can"
        ) from error
