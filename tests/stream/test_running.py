"""What surrounds the query: rehearsals, as long as nobody has uploaded anything."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from tests.stream.conftest import TABLES, Pipeline
from tests.stream.test_walk import SEVEN

from inkstream.stream import running
from inkstream.stream.running import REHEARSALS, keep_warm
from inkstream.stream.sink import Sink
from inkstream.stream.source import UPLOADS_DDL

pytestmark = pytest.mark.services


def test_a_rehearsal_leaves_nothing_behind(pipeline: Pipeline) -> None:
    sink = pipeline.sink()
    sink.rehearse(pipeline.spark, SEVEN)
    sink.close()
    assert pipeline.count() == dict.fromkeys([*TABLES, "answers"], 0)
    assert pipeline.rows("stream_progress") == []
    assert pipeline.reports == []
    assert not sink.begun.is_set()


@pytest.mark.parametrize("before", [0, 2, REHEARSALS])
def test_rehearsals_end_with_the_first_upload(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, before: int) -> None:
    """`before` of them fit in before it comes."""
    count, enough = 0, threading.Event()

    def rehearse(sink: Sink, *_: Any) -> None:
        nonlocal count
        count += 1
        if count == before:
            sink.begun.set()
            enough.set()

    monkeypatch.setattr(running, "QUIET_S", 0.0)
    monkeypatch.setattr(Sink, "rehearse", rehearse)
    sink = pipeline.sink()
    if before == 0:
        sink.begun.set()
        enough.set()
    with keep_warm(pipeline.spark, sink):
        assert enough.wait(60)
    sink.close()
    assert count == before


def test_a_start_at_the_topics_end_has_brought_nothing(pipeline: Pipeline) -> None:
    """Spark's first micro-batch is empty then, and rehearsals go on after it."""
    sink = pipeline.sink()
    uploads = pipeline.spark.createDataFrame([], UPLOADS_DDL)
    sink.store_batch(uploads, 0)
    assert not sink.begun.is_set()
    sink.close()
