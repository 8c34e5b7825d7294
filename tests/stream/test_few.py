"""Few uploads are written by the driver: the same rows and messages as Spark writes, and Spark where it cannot."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import NoHostAvailable
from kafka.errors import KafkaTimeoutError
from tests.stream.conftest import TABLES, Pipeline
from tests.stream.test_walk import SAMPLES, SEVEN, padded

from inkstream.records import IMAGES, INLINE_BYTES, PREDICTIONS, PREDICTIONS_BY_DAY, RESULT
from inkstream.stream.arrivals import Arrival, Ledger
from inkstream.stream.few import FEW_BYTES, FEW_ROWS, Publisher, are_few
from inkstream.stream.many import SparkWriter

pytestmark = pytest.mark.services

COLUMNS = {"images": IMAGES, "predictions": PREDICTIONS, "predictions_by_day": PREDICTIONS_BY_DAY}
KEYS = {"image_id", "model_version", "day", "bucket", "uploaded_at"}
NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
MEASURED = {"predicted_at", "stage_times"}  # what may differ from one time to the next


def written(pipeline: Pipeline) -> dict[str, Any]:
    """All that is stored, each value with its write timestamp, by table and id."""
    stored: dict[str, Any] = {}
    for table, columns in COLUMNS.items():
        keys = KEYS if table != "images" else {"image_id"}
        times = [f"WRITETIME({column}) AS time_of_{column}" for column in columns if column not in keys]
        rows = [row._asdict() for row in pipeline.rows(table, ", ".join([*columns, *times]))]
        stored[table] = {row["image_id"]: {name: row[name] for name in row if name not in MEASURED} for row in rows}
    parts = pipeline.rows("image_parts", "image_id, part, bytes, WRITETIME(bytes)")
    stored["image_parts"] = {(row[0], row[1]): row[2:] for row in parts}
    return stored


def published(pipeline: Pipeline) -> list[Any]:
    """Every answer and copy, without the times in them."""
    copies = [
        (copy.key, copy.value, sorted(copy.headers)) for copy in pipeline.messages(pipeline.settings.kafka.rejected)
    ]
    answers = [(message.key, message.headers) for message in pipeline.messages(pipeline.settings.kafka.predicted)]
    told = [
        sorted((name, value) for name, value in answer.items() if name not in MEASURED) for answer in pipeline.answers()
    ]
    return sorted(map(repr, [*copies, *answers, *told]))


def test_the_driver_writes_what_spark_writes(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[Path] = sorted(path for path in SAMPLES.iterdir() if path.suffix != ".md")
    headers = {"source": "school", "label": "7", "uploaded-at": "2026-01-31T23:59:59.5Z"}
    pipeline.send([(path.name.encode(), path.read_bytes(), {"filename": path.name, **headers}) for path in files])
    large = {"inline": INLINE_BYTES, "parts": 2 * INLINE_BYTES + 1, "over": pipeline.settings.image.max_image_bytes + 1}
    pipeline.send([(name.encode(), padded(SEVEN, size), {}) for name, size in large.items()])
    pipeline.send([(None, SEVEN, {}), (b"nothing", None, {}), (b"twice", SEVEN, {}), (b"twice", SEVEN, headers)])

    pipeline.few_rows = 0
    pipeline.drain("by Spark")
    rows, messages = written(pipeline), published(pipeline)
    for table in (*TABLES, "image_parts"):
        pipeline.session.execute(f"TRUNCATE {table}")

    def unwanted(*_: Any, **__: Any) -> None:
        raise AssertionError("Spark wrote what the driver should")

    monkeypatch.setattr(SparkWriter, "_save", unwanted)
    monkeypatch.setattr(SparkWriter, "_publish", unwanted)
    pipeline.few_rows = FEW_ROWS
    pipeline.drain("by the driver")
    assert len(rows["images"]) == len(files) + len(large) + 3
    assert written(pipeline) == rows
    assert published(pipeline) == sorted(2 * messages)


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ((Ledger, "store"), NoHostAvailable("all nodes are away", {})),
        ((Publisher, "connect"), KafkaTimeoutError("no broker")),
    ],
    ids=["Cassandra", "Kafka"],
)
def test_what_the_driver_cannot_write_spark_does(
    pipeline: Pipeline,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: tuple[type, str],
    error: Exception,
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(*broken, fail)
    pipeline.send([(b"good", SEVEN, {}), (b"broken", b"no picture", {})])
    pipeline.drain()
    assert pipeline.count() == dict.fromkeys([*TABLES, "answers"], 2)
    assert len(pipeline.messages(pipeline.settings.kafka.rejected)) == 1
    assert f"the driver could not write 2 rows ({type(error).__name__}); Spark does" in caplog.text


def test_pictures_that_fill_the_connection_are_written_by_the_driver_too(pipeline: Pipeline) -> None:
    """A connection with more on its way than the system takes refuses what comes next, as an overloaded one."""
    parts = 4
    big = [
        {**dict.fromkeys(RESULT), "image_id": f"id{number}", "uploaded_at": NOON, "day": NOON.date(), "bucket": 0}
        | {"model_version": "-", "bytes": bytes(parts * INLINE_BYTES), "write_time": 1}
        for number in range(8)
    ]
    Ledger(pipeline.session).store(big)
    assert len(pipeline.rows("image_parts", "image_id")) == parts * len(big)
    assert all(len(pipeline.rows(table, "image_id")) == len(big) for table in TABLES)


def test_few_are_few_in_number_and_in_bytes() -> None:
    def arrivals(count: int, size_bytes: int) -> list[Arrival]:
        return [
            Arrival("id", 0, "topic", 0, number, size_bytes, "2026-01-31", "recognised", None)
            for number in range(count)
        ]

    assert are_few(arrivals(FEW_ROWS, 1))
    assert not are_few(arrivals(FEW_ROWS + 1, 1))
    assert are_few(arrivals(4, FEW_BYTES // 4))
    assert not are_few(arrivals(4, FEW_BYTES // 4 + 1))
