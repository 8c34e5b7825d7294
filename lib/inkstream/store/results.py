"""Table predictions_by_day in, stored answers out: newest first, one per picture, a page at a time."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from itertools import groupby, islice
from typing import Any

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent_with_args

from inkstream.errors import ServiceError
from inkstream.records import BUCKETS_AN_HOUR, REASON_CODES
from inkstream.store.session import CASSANDRA_ERRORS

PAGE_ROWS = 2_000
REASONS_AT_ONCE = 500
CONCURRENCY = 32
SCANNED = 20_000  # rows that a page of a filtered list may pass over

# Every version of an answer was written at its own time; the newest wins where the current version has none.
_BY_DAY = """
    SELECT image_id, filename, source, uploaded_at, label, confidence, outcome, reason_code, model_version,
           WRITETIME(outcome) AS written_us
    FROM predictions_by_day WHERE day = ? AND bucket = ? AND uploaded_at <= ?"""
_REASON = "SELECT reason FROM predictions WHERE image_id = ? AND model_version = ?"


@dataclass(frozen=True, slots=True)
class Result:
    """A stored answer. `uploaded_at`: aware, UTC. Rejected: label and confidence are None, the reason is set."""

    image_id: str
    filename: str | None
    uploaded_at: datetime
    label: str | None
    confidence: float | None
    outcome: str
    reason_code: str | None
    model_version: str
    source: str | None = None
    reason: str | None = None


Place = tuple[datetime, str]  # of a picture in the order of reading: uploaded_at and id


def read_days(session: Session) -> list[date]:
    """The UTC days that have, or had, answers; newest first. Raises ServiceError."""
    try:
        return sorted((row.day.date() for row in session.execute("SELECT day FROM changed_days")), reverse=True)
    except CASSANDRA_ERRORS as error:
        raise _failed("changed_days", error) from error


def read_results(
    session: Session, days: Iterable[date], current_version: str, after: Place | None = None
) -> Iterator[Result]:
    """Yield the days' answers, in the days' order and the newest first within each, one per picture.

    `after`: only those that come after this picture's place; what is newer is not read. Of a picture that several
    versions answered: the current version's answer, else the one written last. Rows come in pages from the 16 buckets
    of an hour, so memory stays bounded whatever a day holds.

    Raises:
        ServiceError: Cassandra stops answering.
    """
    try:
        statement = session.prepare(_BY_DAY)
        statement.fetch_size = PAGE_ROWS
        for day in days:
            results = (_choose(versions, current_version) for versions in _pictures(session, statement, day, after))
            yield from _with_reasons(session, results)
    except CASSANDRA_ERRORS as error:
        raise _failed("predictions_by_day", error) from error


def read_page(
    session: Session,
    day: date,
    current_version: str,
    *,
    count: int,
    label: str = "",
    outcome: str = "",
    after: Place | None = None,
) -> tuple[list[Result], Place | None]:
    """At most `count` of a day's answers that fit the filters (blank: any), newest first; and where to go on.

    The place is None at the day's end. A filter that fits little gives a short page with a place after SCANNED rows.

    Raises:
        ServiceError: Cassandra stops answering.
    """
    found: list[Result] = []
    last: Place | None = None
    for number, result in enumerate(read_results(session, [day], current_version, after)):
        if len(found) == count or number == SCANNED:
            return found, last
        last = (result.uploaded_at, result.image_id)
        if label in ("", result.label) and outcome in ("", result.outcome):
            found.append(result)
    return found, None


def cursor_of(place: Place | None) -> str:
    """A place as a text for addresses, blank for none."""
    return f"{round(place[0].timestamp() * 1000)}_{place[1]}" if place else ""


def place_of(cursor: str) -> Place | None:
    """What cursor_of was given. Raises ValueError where the text is none of its own."""
    if not cursor:
        return None
    milliseconds, _, image_id = cursor.partition("_")
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, timezone.utc), image_id
    except (OverflowError, OSError) as error:
        raise ValueError(f"{milliseconds} is no moment") from error


def _pictures(session: Session, statement: Any, day: date, after: Place | None) -> Iterator[list[Any]]:
    """Yield all rows of one picture after the other, newest picture first."""
    # A phone's clock may be five minutes fast (records.uploaded_at): nothing is stored that is later than that.
    newest = after[0] if after else datetime.now(timezone.utc) + timedelta(minutes=10)
    hours = 24 if newest.date() > day else newest.hour + 1 if newest.date() == day else 0
    for start in range((hours - 1) * BUCKETS_AN_HOUR, -1, -BUCKETS_AN_HOUR):
        asked = [session.execute_async(statement, (day, start + n, newest)) for n in range(BUCKETS_AN_HOUR)]
        rows = heapq.merge(*map(_rows, asked), key=_newest_first)
        for place, versions in groupby(rows, key=_newest_first):
            if after is None or place > (-after[0].timestamp(), after[1]):
                yield list(versions)


def _rows(asked: Any) -> Iterator[Any]:
    # A generator: heapq.merge calls iter() on its last source again, and the driver's ResultSet then repeats a page.
    yield from asked.result()


def _newest_first(row: Any) -> tuple[float, str]:
    return -row.uploaded_at.replace(tzinfo=timezone.utc).timestamp(), row.image_id


def _choose(versions: list[Any], current_version: str) -> Result:
    row = max(versions, key=lambda row: (row.model_version == current_version, row.written_us))
    return Result(
        row.image_id,
        row.filename,
        row.uploaded_at.replace(tzinfo=timezone.utc),
        row.label,
        row.confidence,
        row.outcome,
        row.reason_code,
        row.model_version,
        row.source,
    )


def _with_reasons(session: Session, results: Iterator[Result]) -> Iterator[Result]:
    """The same with the sentence that a rejected picture was given, which only `predictions` holds."""
    statement = session.prepare(_REASON)
    while chunk := list(islice(results, REASONS_AT_ONCE)):
        rejected = [result for result in chunk if result.reason_code]
        keys = [(result.image_id, result.model_version) for result in rejected]
        answers = execute_concurrent_with_args(session, statement, keys, concurrency=CONCURRENCY)
        reasons = {key: answer.result_or_exc.one() for key, answer in zip(keys, answers, strict=True)}
        for result in chunk:
            if result.reason_code is None:
                yield result
                continue
            row = reasons[result.image_id, result.model_version]
            stored = row.reason if row else None
            yield replace(result, reason=stored or REASON_CODES.get(result.reason_code))


def _failed(table: str, error: Exception) -> ServiceError:
    return ServiceError(f"Cassandra does not give the rows of {table} ({type(error).__name__}: {error}); try again")
