from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path

import pytest
from tests.stream.conftest import TABLES, Pipeline

import inkstream
from inkstream.records import INLINE_BYTES, image_id
from inkstream.store.forgotten import find_forgotten, find_ids, forget, without_forgotten
from inkstream.store.tables import read_table

pytestmark = pytest.mark.services

SEVEN = (Path(inkstream.__file__).parent / "samples" / "clean_08_7.png").read_bytes()
LARGE = SEVEN + bytes(INLINE_BYTES)
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
GONE = [*TABLES, "image_parts", "corrections"]


def ids(pipeline: Pipeline, table: str) -> set[str]:
    return {row.image_id for row in pipeline.rows(table, "image_id")}


def test_nothing_of_a_forgotten_picture_is_left_and_none_comes_back(pipeline: Pipeline) -> None:
    pictures = {b"kept": SEVEN, b"gone": SEVEN, b"large": LARGE, b"broken": b"no picture", None: SEVEN}
    pipeline.send([(key, value, {"source": "phone"}) for key, value in pictures.items()])
    pipeline.drain()
    [placed] = [id_ for id_ in ids(pipeline, "images") if id_.startswith("kafka:")]
    pipeline.session.execute("INSERT INTO corrections (image_id, corrected_at, label) VALUES ('gone', %s, '1')", [NOW])
    assert ids(pipeline, "image_parts") == {"large"}

    done = forget(pipeline.session, ["gone", "large", "broken", placed, "never-seen"], "by id", NOW)
    assert (done.marked, done.stored, len(done.days)) == (5, 4, 1)
    assert set().union(*(ids(pipeline, table) for table in GONE)) == {"kept"}

    answered = len(pipeline.answers())
    copies = len(pipeline.messages(pipeline.settings.kafka.rejected))
    pipeline.send([(b"gone", SEVEN, {}), (b"never-seen", SEVEN, {}), (b"kept", SEVEN, {})])
    pipeline.drain("read the topic again")
    assert set().union(*(ids(pipeline, table) for table in GONE)) == {"kept"}
    assert {answer["id"] for answer in pipeline.answers()} == {"kept", "gone", "large", "broken", placed}
    assert len(pipeline.answers()) == answered + 2
    assert len(pipeline.messages(pipeline.settings.kafka.rejected)) == copies
    recorded = pipeline.rows("stream_progress")
    assert sum(row.until_offset - row.from_offset for row in recorded) >= 8


def test_a_batch_job_leaves_forgotten_ids_out(pipeline: Pipeline) -> None:
    rows = pipeline.spark.createDataFrame([("a", 1), ("b", 2)], "image_id string, number int")
    assert without_forgotten(rows, pipeline.settings).count() == 2
    forget(pipeline.session, ["a"], "by id", NOW)
    assert [row.image_id for row in without_forgotten(rows, pipeline.settings).collect()] == ["b"]
    assert find_forgotten(pipeline.session, ["a", "b"]) == {"a"}


def test_a_batch_job_shuffles_no_rows_to_leave_forgotten_ids_out(pipeline: Pipeline) -> None:
    images = read_table(pipeline.spark, pipeline.settings, "images")
    plan = without_forgotten(images, pipeline.settings)._jdf.queryExecution().executedPlan().toString()
    assert "BatchScan images" in plan
    assert "hashpartitioning" not in plan


def test_a_write_that_was_under_way_loses_against_forgetting(pipeline: Pipeline) -> None:
    forget(pipeline.session, ["gone"], "by id", NOW)
    pipeline.session.execute("INSERT INTO predictions (image_id, model_version, label) VALUES ('gone', 'v2', '7')")
    assert ids(pipeline, "predictions") == set()


def test_ids_are_found_by_source_and_by_day(pipeline: Pipeline) -> None:
    for id_, source, at in (("a", "phone", "2026-01-30"), ("b", "phone", "2026-01-31"), ("c", "web", "2026-01-30")):
        pipeline.send([(id_.encode(), SEVEN, {"source": source, "uploaded-at": f"{at}T08:00:00Z"})])
    pipeline.drain()
    session = pipeline.session
    assert set(find_ids(session, source="phone")) == {"a", "b"}
    assert set(find_ids(session, before=date(2026, 1, 31))) == {"a", "c"}
    assert set(find_ids(session, source="phone", before=date(2026, 1, 31))) == {"a"}


def test_a_replay_of_an_upload_without_a_key_keeps_its_first_id() -> None:
    first = image_id(None, "images.uploaded", 0, 5, 17)
    assert image_id(first.encode(), "images.uploaded", 1, 9, 18, first) == first
    assert image_id(first.encode(), "images.uploaded", 1, 9, 18) == "kafka:images.uploaded:1:9:18"
    assert image_id(b"kafka:x", "images.uploaded", 1, 9, 18, "kafka:x") == "kafka:images.uploaded:1:9:18"
