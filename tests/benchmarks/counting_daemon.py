"""The stream's own Python daemon, whose workers also write a line, their process's id, whenever they load the model.

Set as `spark.python.daemon.module`; the file's path is in the environment, as BENCH_LOADS.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from inkstream.stream import daemon, predict

Loaded = TypeVar("Loaded")


def counted(load: Callable[[bytes], Loaded], path: str) -> Callable[[bytes], Loaded]:
    """The same function, with a line in the file for each call; lines so short come whole from any process."""

    def loaded(data: bytes) -> Loaded:
        with Path(path).open("a") as file:
            file.write(f"{os.getpid()}\n")
        return load(data)

    return loaded


if __name__ == "__main__":
    daemon.drop_archives()
    daemon.warm_up()
    names = vars(predict)
    names["bundle_from_bytes"] = counted(names["bundle_from_bytes"], os.environ["BENCH_LOADS"])
    daemon.serve()
