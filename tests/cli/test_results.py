from __future__ import annotations

import csv
import io
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from cassandra.cluster import Session

from inkstream.cli.main import main
from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.records import bucket_of, day_of
from inkstream.settings import Settings
from inkstream.store import results as results_module
from inkstream.store.results import cursor_of, place_of, read_days, read_page, read_results
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session

COLUMNS = ["image_id", "filename", "uploaded_at", "label", "confidence", "outcome", "reason", "model_version"]
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
pytestmark = pytest.mark.services


@pytest.fixture
def session(environment: Settings) -> Any:
    apply_schema(environment)
    with open_session(environment.cassandra) as opened:
        yield opened


def _store(session: Session, image_id: str, moment: datetime = NOON, written_us: int = 1, **columns: Any) -> None:
    """An answer in predictions_by_day, as the stream writes it, and its reason in predictions."""
    reason = columns.pop("reason", None)
    row = {
        "day": day_of(moment),
        "bucket": bucket_of(moment, image_id),
        "uploaded_at": moment,
        "image_id": image_id,
        "model_version": "v1",
        "outcome": "recognised",
        "filename": f"{image_id}.png",
        **columns,
    }
    _insert(session, "predictions_by_day", row, written_us)
    _insert(session, "changed_days", {"day": row["day"], "changed_at": moment}, written_us)
    if reason:
        keys = {name: row[name] for name in ("image_id", "model_version")}
        _insert(session, "predictions", {**keys, "reason": reason}, written_us)


def _insert(session: Session, table: str, row: dict[str, Any], written_us: int) -> None:
    values = ", ".join(["%s"] * len(row))
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values}) USING TIMESTAMP {written_us}"
    session.execute(statement, list(row.values()))


def _csv(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, str]]:
    assert main(["results", "--csv", "-", *arguments]) == 0
    reader = csv.DictReader(io.StringIO(capsys.readouterr().out))
    rows = list(reader)
    assert reader.fieldnames == COLUMNS
    return rows


def test_a_row_has_the_columns_that_were_promised(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    moment = NOON + timedelta(milliseconds=7)
    _store(session, "a", moment, label="7", confidence=0.98)
    assert _csv(capsys) == [
        {
            "image_id": "a",
            "filename": "a.png",
            "uploaded_at": "2026-03-01T12:00:00.007Z",
            "label": "7",
            "confidence": "0.98",
            "outcome": "recognised",
            "reason": "",
            "model_version": "v1",
        }
    ]


def test_a_rejected_picture_has_its_code_and_its_own_sentence(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    rejected = {"outcome": "rejected", "reason_code": "too_large"}
    _store(session, "a", model_version="-", reason="It has 12 bytes.", **rejected)
    _store(session, "b", model_version="-", **rejected)
    rows = {row["image_id"]: row for row in _csv(capsys)}
    assert [rows["a"][name] for name in ("label", "confidence", "outcome")] == ["", "0.0", "rejected"]
    assert rows["a"]["reason"] == "too_large: It has 12 bytes."
    assert rows["b"]["reason"] == "too_large: the file has more bytes than the limit"


def test_the_newest_come_first_over_buckets_hours_and_days(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [timedelta(0), timedelta(seconds=1), timedelta(hours=3), timedelta(days=1), timedelta(days=40)]
    moments = [NOON - step for step in steps for _ in range(5)]
    for number, moment in enumerate(moments):
        _store(session, f"{number:02}", moment)
    assert [row["image_id"] for row in _csv(capsys)] == [f"{number:02}" for number in range(25)]
    assert [row["image_id"] for row in _csv(capsys, "--limit", "7")] == [f"{number:02}" for number in range(7)]
    assert [row["image_id"] for row in _csv(capsys, "--day", "2026-02-28")] == [f"{n:02}" for n in range(15, 20)]
    assert _csv(capsys, "--day", "2026-02-27") == []


def test_a_day_is_the_one_of_utc(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    _store(session, "a", datetime(2026, 3, 1, 23, 30, tzinfo=timezone(timedelta(hours=-5))))
    assert [row["image_id"] for row in _csv(capsys, "--day", "2026-03-02")] == ["a"]
    assert read_days(session) == [date(2026, 3, 2)]


def test_more_rows_than_a_page_come_each_once(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results_module, "PAGE_ROWS", 3)
    monkeypatch.setattr(results_module, "REASONS_AT_ONCE", 4)
    for number in range(90):
        _store(session, f"{number:02}", NOON - timedelta(milliseconds=number), written_us=1)
    found = [result.image_id for result in read_results(session, [NOON.date()], "v1")]
    assert found == [f"{number:02}" for number in range(90)]


def test_reading_goes_on_after_any_picture_s_place(session: Session) -> None:
    moments = [NOON - step for step in (timedelta(0), timedelta(milliseconds=1), timedelta(hours=2)) for _ in range(3)]
    for number, moment in enumerate(moments):
        _store(session, f"{number:02}", moment, source=f"class:{number}")
    found = list(read_results(session, [NOON.date()], "v1"))
    assert [result.source for result in found] == [f"class:{number}" for number in range(9)]
    for number, result in enumerate(found):
        after = (result.uploaded_at, result.image_id)
        assert list(read_results(session, [NOON.date()], "v1", after)) == found[number + 1 :]


def test_a_page_of_a_filtered_day_says_where_the_next_begins(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(9):
        _store(session, f"{number:02}", NOON - timedelta(milliseconds=number), label=str(number % 2))
    pages, cursor = [], ""
    while cursor is not None:
        found, further = read_page(session, NOON.date(), "v1", count=2, label="1", after=place_of(cursor))
        pages.append([result.image_id for result in found])
        cursor = cursor_of(further) if further else None
    assert pages == [["01", "03"], ["05", "07"], []]
    monkeypatch.setattr(results_module, "SCANNED", 3)
    found, further = read_page(session, NOON.date(), "v1", count=9, outcome="rejected")
    assert (found, further) == ([], (NOON - timedelta(milliseconds=2), "02"))


def test_a_cursor_that_nobody_gave_out_is_refused() -> None:
    for text in ("x", "1e400_a", f"{10**30}_a", "nan_a"):
        with pytest.raises(ValueError, match=r"invalid literal|is no moment|out of range"):
            place_of(text)


def test_the_current_version_s_answer_is_shown_else_the_one_written_last(session: Session) -> None:
    _store(session, "both", label="1", model_version="v1", written_us=10)
    _store(session, "both", label="2", model_version="v2", written_us=30)
    _store(session, "both", label="3", model_version="v3", written_us=20)
    _store(session, "other", NOON - timedelta(seconds=1), label="4", model_version="v2")
    shown = {version: _labels(session, version) for version in ("v1", "v2", "v3", "unknown")}
    assert shown == {"v1": ["1", "4"], "v2": ["2", "4"], "v3": ["3", "4"], "unknown": ["2", "4"]}


def _labels(session: Session, version: str) -> list[str | None]:
    return [result.label for result in read_results(session, [NOON.date()], version)]


def test_the_command_s_current_version_is_that_of_the_bundle(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    version = load_bundle(shipped_bundle()).version
    assert len(version) == 64
    _store(session, "a", label="1", model_version=version, written_us=1)
    _store(session, "a", label="2", model_version="other", written_us=2)
    assert [(row["label"], row["model_version"]) for row in _csv(capsys)] == [("1", version)]


def test_without_a_format_people_get_a_table(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results"]) == 0
    assert capsys.readouterr().out == "0 pictures\n"
    _store(session, "some-id", label="7", confidence=0.5)
    assert main(["results"]) == 0
    shown = capsys.readouterr().out
    assert "some-id" in shown
    assert shown.endswith("1 picture: 1 recognised\n")


def test_today_is_a_day_too(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    _store(session, "now", datetime.now(timezone.utc))
    _store(session, "old")
    assert [row["image_id"] for row in _csv(capsys, "--day", "today")] == ["now"]


def test_a_wrong_day_is_named(environment: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["results", "--day", "2026-13-01"]) == 2
    assert "--day has the value '2026-13-01'" in capsys.readouterr().err


def test_tables_that_do_not_exist_are_named_with_what_creates_them(
    environment: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["results"]) == 3
    assert f"no keyspace {environment.cassandra.keyspace!r}; `./submit.sh up` creates it" in capsys.readouterr().err


def test_a_cassandra_out_of_reach_is_named(
    environment: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INKSTREAM_CASSANDRA__PORT", "9")
    assert main(["results"]) == 3
    assert "Cassandra cannot be reached at 127.0.0.1:9" in capsys.readouterr().err
