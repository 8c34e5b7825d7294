from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from jobs.verify_stream import show
from rich.console import Console
from tests.stream.conftest import Pipeline

import inkstream
from inkstream.errors import ServiceError
from inkstream.records import INLINE_BYTES
from inkstream.store.forgotten import forget
from inkstream.stream.evidence import gather, read_ranges
from inkstream.stream.verify import Verdict, recompute, verify

pytestmark = pytest.mark.services

SEVEN = (Path(inkstream.__file__).parent / "samples" / "clean_08_7.png").read_bytes()
EIGHT = (Path(inkstream.__file__).parent / "samples" / "clean_09_8.png").read_bytes()
NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
LARGE = SEVEN + bytes(INLINE_BYTES)


def said(verdict: Verdict) -> set[tuple[str, str, str]]:
    return {(finding.kind, finding.image_id, finding.about) for finding in verdict.findings}


def test_a_sound_installation_passes_and_each_planted_fault_is_found(pipeline: Pipeline) -> None:
    names = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"]
    messages = [(name.encode(), SEVEN, {"uploaded-at": "2026-02-01T08:00:00Z"}) for name in names]
    messages += [(b"large", LARGE, {}), (None, SEVEN, {}), (b"broken", b"no picture", {}), (b"gone", SEVEN, {})]
    pipeline.send([*messages, (b"twice", SEVEN, {})])
    pipeline.drain()
    pipeline.send([(b"twice", EIGHT, {})])
    pipeline.drain()
    pipeline.drain("again")  # every answer a second time
    session, settings = pipeline.session, pipeline.settings
    forget(session, ["gone"], "by id", NOW)

    verdict = verify(pipeline.spark, session, settings, 100)
    assert said(verdict) == set()
    totals = {
        name: sum(getattr(account, name) for account in verdict.accounts)
        for name in ("recorded", "stored", "superseded", "forgotten", "repeated", "skipped", "aged")
    }
    assert totals == {
        "recorded": 16,
        "stored": 14,
        "superseded": 1,
        "forgotten": 1,
        "repeated": 16,
        "skipped": 0,
        "aged": 0,
    }
    assert verdict.recomputed == 14

    day = {row.image_id: row for row in pipeline.rows("predictions_by_day")}
    version = day["a"].model_version
    place = "day = %s AND bucket = %s AND uploaded_at = %s AND image_id = %s AND model_version = %s"

    def row(name: str) -> list[object]:
        return [getattr(day[name], key) for key in ("day", "bucket", "uploaded_at", "image_id", "model_version")]

    session.execute("DELETE FROM images WHERE image_id = 'a'")
    session.execute(f"DELETE FROM predictions_by_day WHERE {place}", row("b"))
    session.execute("DELETE FROM predictions WHERE image_id = 'c'")
    session.execute("DELETE FROM image_parts WHERE image_id = 'large' AND part = 1")
    session.execute("UPDATE predictions SET label = '1' WHERE image_id = 'd' AND model_version = %s", [version])
    session.execute("UPDATE predictions SET label = '1' WHERE image_id = 'e' AND model_version = %s", [version])
    session.execute(f"UPDATE predictions_by_day SET label = '1' WHERE {place}", row("e"))
    [f] = session.execute("SELECT * FROM images WHERE image_id = 'f'")
    insert = (
        "INSERT INTO images (image_id, topic, partition, offset, size_bytes, bytes) VALUES (%s, %s, %s, %s, %s, %s)"
    )
    session.execute(insert, ["other", f.topic, f.partition, f.offset, f.size_bytes, f.bytes])
    session.execute(insert, ["nowhere", f.topic, f.partition, 9_999, f.size_bytes, f.bytes])
    session.execute(
        "INSERT INTO predictions_by_day (day, bucket, uploaded_at, image_id, model_version, topic, partition, offset) "
        "VALUES (%s, %s, '2026-02-01 00:00:00+0000', 'g', %s, %s, %s, %s)",
        [day["g"].day, day["g"].bucket, version, day["g"].topic, day["g"].partition, day["g"].offset],
    )
    session.execute("INSERT INTO predictions (image_id, model_version, outcome) VALUES ('h', 'x', 'rejected')")
    forget(session, ["i"], "by id", NOW)
    session.execute(
        f"INSERT INTO images (image_id, topic, partition, offset) VALUES ('i', %s, %s, %s) USING TIMESTAMP {2**62}",
        [day["i"].topic, day["i"].partition, day["i"].offset],
    )

    verdict = verify(pipeline.spark, session, settings, 100)
    found = said(verdict)
    expected = {
        ("lost", "a", "no row in images"),
        ("wrong", "a", "answered in images.predicted, and not stored"),
        ("lost", "b", "no row in predictions_by_day"),
        ("lost", "c", "no row in predictions"),
        ("lost", "large", "1 of 2 parts"),
        ("wrong", "d", "predictions says recognised 1, predictions_by_day recognised 7"),
        ("wrong", "d", "predictions says recognised 1, the answer in Kafka recognised 7"),
        ("wrong", "e", "computed again it is recognised 7, stored is recognised 1"),
        ("orphan", "other", "a row in images; its message is that of f"),
        ("orphan", "nowhere", "a row in images, and no such message in Kafka"),
        ("doubled", "g", "2 rows of one model version in predictions_by_day"),
        ("orphan", "i", "a row in images, and the id is forgotten"),
    }
    assert expected - found == set()
    assert any(finding.kind == "doubled" and "2 ids for one message" in finding.about for finding in verdict.findings)
    assert not any(finding.image_id in ("h", "j", "twice", "gone", "broken") for finding in verdict.findings)
    assert verdict.total == sum(sum(account.found.values()) for account in verdict.accounts)
    console = Console(record=True, width=160)
    show(verdict, console)
    assert f"{verdict.total} findings" in console.export_text()


def test_a_newer_upload_that_is_being_stored_is_no_finding(pipeline: Pipeline) -> None:
    session, settings = pipeline.session, pipeline.settings
    pipeline.send([(b"a", SEVEN, {}), (b"b", SEVEN, {})])
    pipeline.drain()
    version = pipeline.rows("predictions")[0].model_version
    change = "UPDATE predictions SET label = '8' WHERE image_id = 'a' AND model_version = %s"
    session.execute(change, (version,))
    assert {(kind, name) for kind, name, _ in said(verify(pipeline.spark, session, settings, 0))} == {("wrong", "a")}
    pipeline.send([(b"a", EIGHT, {})])  # that row may be this one's, written just before predictions was read
    assert said(verify(pipeline.spark, session, settings, 0)) == set()

    evidence = gather(pipeline.spark, session, settings)
    pipeline.send([(b"b", EIGHT, {})])
    pipeline.drain()
    assert recompute(session, settings, evidence, 100) == (2, [])
    evidence.release()


def test_a_topic_that_no_stream_has_read_cannot_be_verified(pipeline: Pipeline) -> None:
    with pytest.raises(ServiceError, match="recorded nothing of topic"):
        read_ranges(pipeline.session, pipeline.settings.kafka.uploaded)


def test_ranges_of_several_runs_are_joined_and_gaps_stay(pipeline: Pipeline) -> None:
    topic = pipeline.settings.kafka.uploaded
    for start, until in ((0, 10), (5, 20), (20, 25), (30, 40)):
        statement = "INSERT INTO stream_progress (topic, partition, from_offset, until_offset) VALUES (%s, 0, %s, %s)"
        pipeline.session.execute(statement, [topic, start, until])
    assert read_ranges(pipeline.session, topic) == {0: [(0, 25), (30, 40)]}
