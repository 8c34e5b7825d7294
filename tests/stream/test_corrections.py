"""What people say a picture shows: from images.corrected into the table, once, whatever else is in the topic."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timezone
from pathlib import Path

import pytest
from kafka import KafkaProducer
from tests.stream.conftest import Pipeline

import inkstream
from inkstream.store.forgotten import forget
from inkstream.store.kafka_client import kafka_client_options
from inkstream.stream.corrections import take_corrections

pytestmark = pytest.mark.services

SEVEN = (Path(inkstream.__file__).parent / "samples" / "clean_08_7.png").read_bytes()


def correct(pipeline: Pipeline, *values: object) -> None:
    """Send corrections: bytes as they are, all else as JSON."""
    producer = KafkaProducer(**kafka_client_options(pipeline.settings.kafka), acks="all")
    for value in values:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        producer.send(pipeline.settings.kafka.corrected, value=content, key=b"seven")
    producer.flush(30)
    producer.close()


def take_all(pipeline: Pipeline) -> None:
    with take_corrections(pipeline.settings, pipeline.session, once=True):
        pass


def test_corrections_are_stored_once_and_what_is_none_is_told_of_and_passed_over(
    pipeline: Pipeline, caplog: pytest.LogCaptureFixture
) -> None:
    headers = {"uploaded-at": "2026-01-31T12:00:00Z"}
    pipeline.send([(b"seven", SEVEN, headers)])
    pipeline.drain()
    pipeline.session.execute("TRUNCATE changed_days")
    forget(pipeline.session, ["gone"], "asked", datetime.now(timezone.utc))

    broken: list[object] = [b"\xff", [1], {"id": "seven"}, {"id": "no id!", "label": "7"}, {"id": "seven", "label": ""}]
    broken += [{"id": "seven", "label": "7", "at": "yesterday"}, {"id": "seven", "label": True}]
    correct(
        pipeline,
        *broken,
        {"id": "seven", "label": 1, "by": "ada", "at": "2026-02-01T08:00:00.1239Z"},
        {"label": "7"},
        {"id": "not yet there", "label": "7"},
        {"id": "later", "label": "seven"},
        {"id": "gone", "label": "7"},
    )
    with caplog.at_level(logging.WARNING, "inkstream"):
        take_all(pipeline)

    rows = {(row.image_id, row.label): row for row in pipeline.rows("corrections")}
    assert set(rows) == {("seven", "1"), ("seven", "7"), ("later", "seven")}
    first = rows["seven", "1"]
    assert (first.by, first.corrected_at) == ("ada", datetime(2026, 2, 1, 8, 0, 0, 123_000))
    assert [str(row.day) for row in pipeline.rows("changed_days")] == ["2026-01-31"]
    assert caplog.text.count("a correction was passed over") == len(broken) + 1
    assert "offset" in caplog.text

    pipeline.session.execute("TRUNCATE corrections")
    correct(pipeline, {"id": "seven", "label": "8"})
    take_all(pipeline)
    assert [row.label for row in pipeline.rows("corrections")] == ["8"]
