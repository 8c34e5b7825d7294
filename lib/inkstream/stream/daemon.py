"""Spark's Python daemon, started warm: every worker it forks has numpy, Arrow, LiteRT and the decoders loaded.

Set as `spark.python.daemon.module`. Three costs of PySpark 3.5's own daemon, measured on two cores, go away:

* each task calls importlib.invalidate_caches(), and Python 3.11 and later then read the directories of pyspark.zip and
  of Spark's own jar again (CPython issue 103200), 40 ms a task: with the zip off the path a drain rose from 15,900 to
  20,700 images/s;
* each task ends with gc.collect() over all that was imported, 31 ms: frozen objects are not looked at;
* each task waits 40 ms in TCP. The JVM writes what a task is in two small pieces, and holds the second back until the
  first is acknowledged (Nagle's algorithm); Linux acknowledges 40 ms later, in case there is an answer to go with it.

It leans on the inside of pyspark.daemon of the pinned version; tests/stream/test_daemon.py holds it there.
"""

from __future__ import annotations

import gc
import importlib.util
import io
import os
import socket
import sys
import zipimport
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

BUFFER_BYTES = 65536  # as pyspark.daemon has it


def drop_archives() -> None:
    """Take archives off sys.path where the packages in them can be imported without: zips, and a jar of Spark's too.

    Their finders as well: once made, they are asked whatever the path says.
    """
    before = sys.path[:]
    sys.path[:] = [entry for entry in before if not entry.endswith((".zip", ".jar"))]
    if not all(importlib.util.find_spec(name) for name in ("pyspark", "py4j")):
        sys.path[:] = before
        return
    for entry, finder in list(sys.path_importer_cache.items()):
        if isinstance(finder, zipimport.zipimporter):
            del sys.path_importer_cache[entry]


def warm_up() -> None:
    """Import what every task needs, then leave it out of garbage collection."""
    import ai_edge_litert.interpreter
    import cv2
    import pyspark.daemon

    import inkstream.stream.predict  # noqa: F401
    from inkstream.arrow import defer_pandas

    defer_pandas()
    cv2.setNumThreads(1)  # one task, one core; Spark runs as many tasks as there are cores
    del ai_edge_litert, pyspark
    gc.collect()
    gc.freeze()


class _Acknowledging(io.RawIOBase):
    """Reads a connection; tells the other end at once what has come."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        count = self._connection.recv_into(buffer)
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # it does not last
        return count


def without_waits(main: Callable[[BinaryIO, BinaryIO], None]) -> Callable[[BinaryIO, BinaryIO], None]:
    """`pyspark.worker.main`, one task of a worker, with neither end of its connection waiting for acknowledgements.

    What its `infile` has read ahead is nothing: the JVM waits for a reply before it says what the task is.
    """

    def run(infile: BinaryIO, outfile: BinaryIO) -> None:
        with socket.socket(fileno=os.dup(infile.fileno())) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            main(io.BufferedReader(_Acknowledging(connection), BUFFER_BYTES), outfile)

    return run


def serve() -> None:
    """Fork workers for Spark until it ends this process."""
    from pyspark import daemon

    if hasattr(socket, "TCP_QUICKACK"):  # Linux has it; what others do about small pieces is their own
        daemon.worker_main = without_waits(daemon.worker_main)
    daemon.manager()


if __name__ == "__main__":
    drop_archives()
    warm_up()
    serve()
