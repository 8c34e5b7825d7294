"""Spark's workers start from our warm daemon; it leans on the inside of the pinned PySpark."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

pytestmark = pytest.mark.services


def state(_: Iterator[int]) -> Iterator[tuple[list[str], bool, bool]]:
    """What a worker finds when a task begins: zips on its path, the decoder loaded, objects frozen."""
    import gc
    import sys

    yield [entry for entry in sys.path if entry.endswith(".zip")], "cv2" in sys.modules, gc.get_freeze_count() > 50_000


def test_workers_are_forked_warm_and_read_no_zips(spark: SparkSession) -> None:
    (found,) = spark.sparkContext.parallelize([0], 1).mapPartitions(state).collect()
    assert found == ([], True, True)


def test_zips_stay_where_nothing_else_holds_pyspark(monkeypatch: pytest.MonkeyPatch) -> None:
    from inkstream.stream import daemon

    monkeypatch.setattr("sys.path", ["/somewhere/pyspark.zip"])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    daemon.drop_zips()
    import sys

    assert sys.path == ["/somewhere/pyspark.zip"]
