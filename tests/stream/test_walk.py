"""The whole walk on real Kafka, Spark and Cassandra: uploads in; rows, answers and copies out, written either way."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from tests.stream.conftest import TABLES, Pipeline, padded

import inkstream
from inkstream.records import INLINE_BYTES, bucket_of, decode_answer, write_time_us
from inkstream.stream.arrivals import Ledger
from inkstream.stream.few import FEW_ROWS, Publisher
from inkstream.stream.many import SparkWriter
from inkstream.stream.source import SMALL_BYTES

pytestmark = pytest.mark.services

SAMPLES = Path(inkstream.__file__).parent / "samples"
SEVEN = (SAMPLES / "clean_08_7.png").read_bytes()
EIGHT = (SAMPLES / "clean_09_8.png").read_bytes()


@pytest.fixture(autouse=True, params=[FEW_ROWS, 0], ids=["driver", "spark"])
def few_rows(request: pytest.FixtureRequest, pipeline: Pipeline) -> int:
    """Up to how many uploads the driver writes: all of these, or none."""
    pipeline.few_rows = request.param
    return pipeline.few_rows


def test_every_upload_has_its_rows_and_its_answer(pipeline: Pipeline) -> None:
    files = sorted(path for path in SAMPLES.iterdir() if path.suffix != ".md")
    pipeline.send([(path.name.encode(), path.read_bytes(), {"filename": path.name}) for path in files])
    pipeline.drain()

    assert pipeline.count() == dict.fromkeys([*TABLES, "answers"], len(files))
    answers = {answer["id"]: answer for answer in pipeline.answers()}
    for row in pipeline.rows("predictions"):
        answer = answers[row.image_id]
        assert (row.outcome, row.label, row.reason_code) == (answer["outcome"], answer["label"], answer["reason_code"])
    truth = {path.name: path.stem.rsplit("_", 1)[1] for path in files if not path.name.startswith("broken_")}
    right = [name for name, label in truth.items() if answers[name]["label"] == label]
    assert len(right) >= 0.9 * len(truth)
    assert {name for name, answer in answers.items() if answer["outcome"] == "rejected"} >= {
        path.name for path in files if path.name.startswith("broken_")
    }


def test_a_rejected_picture_leaves_its_bytes_its_headers_and_a_reason(pipeline: Pipeline) -> None:
    broken = (SAMPLES / "broken_truncated_jpeg.jpg").read_bytes()
    pipeline.send([(b"cut", broken, {"filename": "cut.jpg", "source": "school"}), (b"good", SEVEN, {})])
    pipeline.drain()

    (copy,) = pipeline.messages(pipeline.settings.kafka.rejected)
    headers = {name: value.decode() for name, value in copy.headers}
    assert (copy.key, copy.value) == (b"cut", broken)
    assert (headers["filename"], headers["source"]) == ("cut.jpg", "school")
    assert headers["reason-code"] == "unreadable"
    assert headers["reason"].endswith(".")
    origin = (headers["origin-topic"], int(headers["origin-partition"]), int(headers["origin-offset"]))
    (image,) = pipeline.session.execute("SELECT * FROM images WHERE image_id = 'cut'")
    assert origin == (image.topic, image.partition, image.offset)
    assert image.bytes == broken
    (row,) = pipeline.session.execute("SELECT * FROM predictions WHERE image_id = 'cut'")
    assert (row.model_version, row.outcome, row.label) == ("-", "rejected", None)


def test_what_came_with_the_upload_is_stored(pipeline: Pipeline) -> None:
    headers = {
        "filename": "sieben.png",
        "content-type": "image/png",
        "source": "phone",
        "uploaded-at": "2026-01-31T23:59:59.5Z",
        "label": "7",
    }
    pipeline.send([(b"one", SEVEN, headers)])
    pipeline.drain()

    (image,) = pipeline.rows("images")
    at = datetime(2026, 1, 31, 23, 59, 59, 500_000, tzinfo=timezone.utc)
    assert image.uploaded_at.replace(tzinfo=timezone.utc) == at
    assert (image.filename, image.content_type, image.source, image.claimed_label) == (
        "sieben.png",
        "image/png",
        "phone",
        "7",
    )
    assert (image.width, image.height, image.size_bytes) == (28, 28, len(SEVEN))
    assert (image.bytes, image.sha256) == (SEVEN, hashlib.sha256(SEVEN).hexdigest())
    (row,) = pipeline.rows("predictions_by_day")
    assert (str(row.day), row.bucket, row.claimed_label) == ("2026-01-31", bucket_of(at, "one"), "7")
    assert [str(day.day) for day in pipeline.rows("changed_days")] == ["2026-01-31"]


def test_write_timestamps_come_from_the_message(pipeline: Pipeline) -> None:
    pipeline.send([(b"one", SEVEN, {}), (None, EIGHT, {})])
    pipeline.drain()

    sent = {
        message.key: write_time_us(message.timestamp, message.offset)
        for message in pipeline.messages(pipeline.settings.kafka.uploaded)
    }
    for table, column in (("images", "size_bytes"), ("predictions", "outcome"), ("predictions_by_day", "outcome")):
        written = {row[0]: row[1] for row in pipeline.rows(table, f"image_id, WRITETIME({column})")}
        assert written["one"] == sent[b"one"]
        assert sorted(written.values()) == sorted(sent.values())


def test_an_upload_without_a_valid_key_is_known_by_its_place(pipeline: Pipeline) -> None:
    pipeline.send([(None, SEVEN, {}), (b"not valid!", SEVEN, {}), (b"kafka:forged", SEVEN, {})])
    pipeline.drain()

    expected = {
        f"kafka:{message.topic}:{message.partition}:{message.offset}:{message.timestamp}"
        for message in pipeline.messages(pipeline.settings.kafka.uploaded)
    }
    assert {row.image_id for row in pipeline.rows("images")} == expected


def test_a_message_without_bytes_is_an_empty_file(pipeline: Pipeline) -> None:
    pipeline.send([(b"nothing", None, {}), (b"empty", b"", {})])
    pipeline.drain()

    assert {row.image_id: row.reason_code for row in pipeline.rows("predictions")} == {
        "nothing": "unreadable",
        "empty": "unreadable",
    }
    assert pipeline.count()["answers"] == 2


def test_large_pictures_are_stored_whole_and_answered(pipeline: Pipeline) -> None:
    limit = pipeline.settings.image.max_image_bytes
    sizes = {
        "small": len(SEVEN),
        "inline": SMALL_BYTES + 1,
        "edge": INLINE_BYTES,
        "parts": INLINE_BYTES * 2 + 1,
        "limit": limit,
        "over": limit + 1,
    }
    pictures = {name: SEVEN if name == "small" else padded(SEVEN, size) for name, size in sizes.items()}
    pipeline.send([(name.encode(), picture, {"filename": name}) for name, picture in pictures.items()])
    pipeline.drain()

    outcomes = {row.image_id: (row.outcome, row.label, row.reason_code) for row in pipeline.rows("predictions")}
    assert outcomes.pop("over") == ("rejected", None, "too_large")
    assert set(outcomes.values()) == {("recognised", "7", None)}
    parts: dict[str, bytes] = {}
    for row in sorted(pipeline.rows("image_parts"), key=lambda row: row.part):
        assert len(row.bytes) <= INLINE_BYTES
        parts[row.image_id] = parts.get(row.image_id, b"") + row.bytes
    for row in pipeline.rows("images"):
        stored = row.bytes if row.bytes is not None else parts[row.image_id]
        assert stored == pictures[row.image_id]
        assert row.sha256 == hashlib.sha256(stored).hexdigest()
        assert row.size_bytes == sizes[row.image_id]
    assert set(parts) == {"parts", "limit", "over"}
    (copy,) = pipeline.messages(pipeline.settings.kafka.rejected)
    assert copy.value == pictures["over"]
    assert pipeline.count() == dict.fromkeys([*TABLES, "answers"], len(sizes))


def test_a_newer_upload_of_an_id_takes_the_older_ones_place(pipeline: Pipeline) -> None:
    pipeline.send([(b"one", SEVEN, {"filename": "old.png", "uploaded-at": "2026-01-30T08:00:00Z"})])
    pipeline.drain()
    pipeline.send([(b"one", EIGHT, {"uploaded-at": "2026-01-31T09:00:00Z"})])
    pipeline.drain()

    (image,) = pipeline.rows("images")
    assert (image.bytes, image.filename) == (EIGHT, None)
    (row,) = pipeline.rows("predictions_by_day")
    assert (str(row.day), row.label) == ("2026-01-31", "8")
    assert [row.label for row in pipeline.rows("predictions")] == ["8"]
    assert len(pipeline.answers()) == 2


def test_the_day_that_loses_an_upload_to_another_day_is_marked_as_changed(pipeline: Pipeline) -> None:
    pipeline.send([(b"one", SEVEN, {"uploaded-at": "2026-01-30T08:00:00Z"})])
    pipeline.drain()
    (before,) = pipeline.rows("changed_days")
    pipeline.send([(b"one", EIGHT, {"uploaded-at": "2026-01-31T09:00:00Z"})])
    pipeline.drain()

    after = {str(row.day): row.changed_at for row in pipeline.rows("changed_days")}
    assert set(after) == {"2026-01-30", "2026-01-31"}
    assert after["2026-01-30"] > before.changed_at


def test_of_an_id_twice_in_a_batch_the_last_is_stored_and_both_are_answered(pipeline: Pipeline) -> None:
    pipeline.send([(b"one", SEVEN, {"filename": "first"}), (b"one", b"broken", {})])
    pipeline.drain()

    (row,) = pipeline.rows("predictions")
    assert (row.outcome, row.label, row.confidence) == ("rejected", None, None)
    (image,) = pipeline.rows("images")
    assert image.filename is None
    assert len(pipeline.rows("predictions_by_day")) == 1
    assert sorted(answer["outcome"] for answer in pipeline.answers()) == ["recognised", "rejected"]


def test_reading_the_topic_again_changes_nothing(pipeline: Pipeline) -> None:
    files = [b"broken", SEVEN, EIGHT]
    pipeline.send([(f"id{number % 5}".encode(), files[number % 3], {"filename": str(number)}) for number in range(15)])
    pipeline.drain()
    columns = {
        "images": "*",
        "predictions": "image_id, model_version, outcome, label, confidence, prepared, WRITETIME(outcome)",
        "predictions_by_day": "day, bucket, uploaded_at, image_id, label, offset, WRITETIME(outcome)",
    }
    before = {table: sorted(map(repr, pipeline.rows(table, chosen))) for table, chosen in columns.items()}
    pipeline.drain("another checkpoint")

    assert {table: sorted(map(repr, pipeline.rows(table, chosen))) for table, chosen in columns.items()} == before
    assert len(before["images"]) == 5
    assert len(pipeline.answers()) == 30


def test_progress_says_which_offsets_are_stored(pipeline: Pipeline) -> None:
    pipeline.send([(f"id{number}".encode(), SEVEN, {}) for number in range(20)])
    pipeline.drain()

    held = sum(row.until_offset - row.from_offset for row in pipeline.rows("stream_progress"))
    assert held == 20
    assert sum(report.rows for report in pipeline.reports) == 20


def test_an_answer_says_all_that_the_row_says(pipeline: Pipeline) -> None:
    pipeline.send([(b"one", SEVEN, {})])
    pipeline.drain()

    (message,) = pipeline.messages(pipeline.settings.kafka.predicted)
    answer = decode_answer(message.value)
    (row,) = pipeline.rows("predictions")
    assert (message.key, dict(message.headers)) == (b"one", {"schema-version": b"1"})
    assert (answer["label"], answer["model_version"]) == ("7", row.model_version)
    assert answer["confidence"] == pytest.approx(row.confidence, abs=1e-7)
    assert set(answer["stage_times"]) == {"decode_ms", "normalise_ms", "predict_ms", "queued_ms"}
    for column in ("probabilities", "stage_times", "why"):
        assert json.loads(getattr(row, column)) == answer[column]
    (by_day,) = pipeline.rows("predictions_by_day")
    assert (by_day.stage_times, by_day.predicted_at) == (row.stage_times, row.predicted_at)
    assert len(row.prepared) == 28 * 28
    assert by_day.ink_share == pytest.approx(sum(row.prepared) / len(row.prepared) / 255)


def test_rows_are_on_disk_before_their_answers_and_before_the_micro_batch_is_done(
    pipeline: Pipeline, few_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []

    def noted(kind: type, name: str) -> None:
        real = getattr(kind, name)

        def step(*given: Any) -> Any:
            steps.append(name)
            return real(*given)

        monkeypatch.setattr(kind, name, step)

    noted(SparkWriter, "_save")
    noted(SparkWriter, "_publish")
    noted(Publisher, "publish")
    for name in ("store", "record_progress", "await_on_disk"):
        noted(Ledger, name)
    pipeline.send([(b"a", b"no picture", {})])
    pipeline.drain()
    saved, published = (["store"], ["publish"]) if few_rows else (["_save"] * len(TABLES), ["_publish"] * 2)
    assert steps == [*saved, "await_on_disk", *published, "record_progress", "await_on_disk"]
