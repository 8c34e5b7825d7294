"""`verify` judges every round of chaos, so it is tried itself: four bugs that a stream could have, each caught."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from tests.stream.conftest import Pipeline

import inkstream
from inkstream.stream import sink as sink_module
from inkstream.stream.arrivals import Ledger
from inkstream.stream.running import broadcast_task
from inkstream.stream.sink import Sink
from inkstream.stream.source import kafka_options
from inkstream.stream.verify import verify

pytestmark = pytest.mark.services

SEVEN = (Path(inkstream.__file__).parent / "samples" / "clean_08_7.png").read_bytes()
EIGHT = (Path(inkstream.__file__).parent / "samples" / "clean_09_8.png").read_bytes()


class Crashed(Exception):
    """Where the process would have been killed."""


class RecordsFirst(Sink):
    """Says that a micro-batch is stored before it is, and dies between."""

    def _answer_batch(self, batch: DataFrame, report: Any, held: Any) -> Any:
        _, arrivals, _ = self._predict(batch, report, held, large=False)
        self._ledger.record_progress(arrivals, datetime.now(timezone.utc))
        raise Crashed


class AnswersFirst(Sink):
    """Publishes before it stores, and dies between."""

    def _write(self, part: Any, report: Any) -> None:
        self._publisher.publish(part.collect())
        raise Crashed


def store(pipeline: Pipeline, key: str, kind: type[Sink] = Sink, *, nth: int = 0) -> None:
    """Process one message of the topic, the key's nth, as a micro-batch."""
    settings = pipeline.settings
    options = {**kafka_options(settings.kafka), "subscribe": settings.kafka.uploaded, "includeHeaders": "true"}
    topic = pipeline.spark.read.format("kafka").options(**options).load()
    found = sorted(topic.where(F.col("key") == key.encode()).select("partition", "offset").collect())
    place = found[nth]
    batch = topic.where((F.col("partition") == place.partition) & (F.col("offset") == place.offset))
    sink = kind(settings, Ledger(pipeline.session), broadcast_task(pipeline.spark, settings), lambda _: None)
    try:
        sink.store_batch(batch, 0)
    finally:
        sink.close()


def test_each_planted_bug_is_caught(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = ("sound", "random", "again", "recorded", "told")
    pipeline.send([(key.encode(), SEVEN, {}) for key in keys])
    pipeline.send([(b"again", EIGHT, {})])
    uploads_of = sink_module.uploads_of

    store(pipeline, "sound")
    store(pipeline, "sound")  # a repeat after a crash: no bug
    store(pipeline, "again")
    store(pipeline, "again", nth=1)

    def with_random_ids(*arguments: Any, **named: Any) -> DataFrame:
        return uploads_of(*arguments, **named).withColumn("key", F.expr("cast(uuid() as binary)"))

    def with_the_time_of_now(*arguments: Any, **named: Any) -> DataFrame:
        return uploads_of(*arguments, **named).withColumn("timestamp_ms", F.expr("unix_millis(now())"))

    with monkeypatch.context() as patch:
        patch.setattr(sink_module, "uploads_of", with_random_ids)
        store(pipeline, "random")
        store(pipeline, "random")
    with monkeypatch.context() as patch:
        patch.setattr(sink_module, "uploads_of", with_the_time_of_now)
        store(pipeline, "again")  # an old message replayed, and the process killed before it comes to the newer one
    with pytest.raises(Crashed):
        store(pipeline, "recorded", RecordsFirst)
    with pytest.raises(Crashed):
        store(pipeline, "told", AnswersFirst)

    verdict = verify(pipeline.spark, pipeline.session, pipeline.settings, 10)
    found = {(finding.kind, finding.image_id, finding.about) for finding in verdict.findings}
    assert {about for kind, _, about in found if kind == "doubled"} == {
        "2 ids for one message in images",
        "2 ids for one message in predictions_by_day",
    }
    assert ("lost", "again", "images holds an older upload of the id") in found
    assert ("lost", "recorded", "no row in images") in found
    assert ("wrong", "told", "answered in images.predicted, and not stored") in found
    assert not any(image_id == "sound" for _, image_id, _ in found)
