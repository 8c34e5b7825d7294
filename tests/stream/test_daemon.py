"""Spark's workers start from our warm daemon; it leans on the inside of the pinned PySpark."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from inkstream.local.jars import pyspark_folder
from inkstream.stream.daemon import without_waits

pytestmark = pytest.mark.services


def state(_: Iterator[int]) -> Iterator[tuple[list[str], bool, bool]]:
    """What a worker finds when a task begins: archives that imports ask, the decoder loaded, objects frozen."""
    import gc
    import zipimport

    asked = [name for name, finder in sys.path_importer_cache.items() if isinstance(finder, zipimport.zipimporter)]
    on_path = [entry for entry in sys.path if Path(entry).is_file()]
    yield [*asked, *on_path], "cv2" in sys.modules, gc.get_freeze_count() > 50_000


def test_workers_are_forked_warm_and_read_no_archives(spark: SparkSession) -> None:
    (found,) = spark.sparkContext.parallelize([0], 1).mapPartitions(state).collect()
    assert found == ([], True, True)


def test_nothing_that_every_task_needs_is_looked_through_after_each() -> None:
    """PySpark collects garbage after a task; its own modules were 10,000 objects that were not set apart."""
    code = (
        "import gc; from inkstream.stream.daemon import warm_up; warm_up()\n"
        "from pyspark import daemon, worker; print(len(gc.get_objects()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1_000


def test_an_archive_is_not_even_asked_again() -> None:
    """Python goes on asking the finders that it once made, whatever is on the path."""
    (core,) = (pyspark_folder() / "jars").glob("spark-core_*.jar")
    archives = [pyspark_folder() / "python" / "lib" / "pyspark.zip", core]
    code = (
        "import importlib.util, sys, zipimport; importlib.util.find_spec('nowhere')\n"
        "asked = lambda: [type(finder) for finder in sys.path_importer_cache.values()].count(zipimport.zipimporter)\n"
        "assert asked() == 2\n"
        "from inkstream.stream.daemon import drop_archives; drop_archives()\n"
        "print(asked(), [entry for entry in sys.path if entry.endswith(('.zip', '.jar'))])"
    )
    path = os.pathsep.join([*map(str, archives), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "0 []"


def parents(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for _ in batches:
        yield pa.RecordBatch.from_pydict({"pid": pa.array([os.getppid()], pa.int64())})


def test_what_keeps_workers_warm_keeps_those_that_predict(spark: SparkSession) -> None:
    """Spark has a daemon for each environment that it gives to workers: both kinds of job must give the same."""
    touched = set(spark.sparkContext.parallelize([0, 1], 2).map(lambda _: os.getppid()).collect())
    predicting = {row.pid for row in spark.range(2).mapInArrow(parents, "pid bigint").collect()}
    assert touched == predicting


UNACKNOWLEDGED = slice(24, 28)  # struct tcp_info's tcpi_unacked, in <linux/tcp.h>


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="a setting of Linux")
@pytest.mark.parametrize("promptly", [False, True])
def test_a_worker_acknowledges_what_it_has_read(promptly: bool) -> None:
    """The JVM's next piece goes out when the one before is acknowledged; Linux by itself takes 40 ms for that."""
    found = []

    def task(infile: BinaryIO, outfile: BinaryIO) -> None:
        for number in range(200):  # question and answer, until Linux takes it for a conversation
            spark.sendall(b"task")
            assert infile.read(4) == b"task"
            if number < 199:
                outfile.write(b"done")
                outfile.flush()
                assert spark.recv(4) == b"done"
        info = spark.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, UNACKNOWLEDGED.stop)
        found.append(int.from_bytes(info[UNACKNOWLEDGED], sys.byteorder))

    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as spark:
        connection = server.accept()[0]
        with connection, connection.makefile("rb") as infile, connection.makefile("wb") as outfile:
            (without_waits(task) if promptly else task)(infile, outfile)
    assert found == [0 if promptly else 1]


def test_zips_stay_where_nothing_else_holds_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    from inkstream.stream import daemon

    monkeypatch.setattr("sys.path", ["/somewhere/pyspark.zip"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    daemon.drop_archives()

    assert sys.path == ["/somewhere/pyspark.zip"]
