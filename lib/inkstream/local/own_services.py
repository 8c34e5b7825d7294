"""Services of a command's own, without data: what `chaos`, `soak` and `bench` run on, whatever else runs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inkstream.local.locks import only_one
from inkstream.local.services import RunningServices, running_services
from inkstream.settings import Settings, load_settings


@contextmanager
def own_folder(name: str) -> Iterator[Path]:
    """Yield the local folder's subfolder of that name, without what the last run left; nobody else has it meanwhile.

    Raises:
        SetupError: another run has it, or it cannot be written.
    """
    folder = load_settings().local.path / name
    with only_one(folder, name):
        for part in ("data", "checkpoints", "run", "log"):
            shutil.rmtree(folder / part, ignore_errors=True)
        yield folder


@contextmanager
def own_services(folder: Path, brokers: int = 1, nodes: int = 1, workers: int = 0) -> Iterator[RunningServices]:
    """Kafka, Cassandra and Spark workers in such a folder, wherever the settings have theirs; they end with the block.

    Raises as services.running_services.
    """
    blank = load_settings().model_copy(update={"kafka": Settings().kafka, "cassandra": Settings().cassandra})
    with running_services(blank, folder, brokers=brokers, nodes=nodes, workers=workers) as services:
        yield services
