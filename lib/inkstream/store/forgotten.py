"""Ids that people want gone in; nothing of them in any table out, and a mark that keeps them from coming back.

The mark is a row in `forgotten`, written before anything is deleted. The stream, a re-score, a data set and a report
each ask for it: `find_forgotten` by id, `without_forgotten` for a Spark DataFrame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent, execute_concurrent_with_args

from inkstream.errors import ServiceError
from inkstream.records import BUCKETS_A_DAY, bucket_of, day_of
from inkstream.settings import Settings
from inkstream.store.results import read_days
from inkstream.store.session import CASSANDRA_ERRORS, await_on_disk
from inkstream.store.tables import read_table
from inkstream.times import UTC

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

IDS_A_QUERY = 100
CONCURRENCY = 16

# Deleted as of a time that no write carries: a stream, a re-score or a correction that is under way with the picture
# writes after the deletion, and still loses against it.
FOR_GOOD_US = int(datetime(9999, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000

_TABLES = ("predictions", "corrections", "image_parts", "images")


@dataclass
class Forgotten:
    """What `forget` did: ids marked, how many of them had a row in images, the UTC days that changed by it."""

    marked: int = 0
    stored: int = 0
    days: set[str] = field(default_factory=set)


def find_forgotten(session: Session, ids: Iterable[str]) -> set[str]:
    """Which of the ids people want gone. Costs one small read where nobody ever asked for that."""
    if session.execute("SELECT image_id FROM forgotten LIMIT 1").one() is None:
        return set()
    statement = session.prepare("SELECT image_id FROM forgotten WHERE image_id IN ?")
    chunks = [(chunk,) for chunk in _chunks(sorted(set(ids)))]
    asked = execute_concurrent_with_args(session, statement, chunks, concurrency=CONCURRENCY)
    return {row.image_id for _, rows in asked for row in rows}


def without_forgotten(rows: DataFrame, settings: Settings) -> DataFrame:
    """The rows whose `image_id` nobody wants gone; for batch jobs, over the connector."""
    stored = read_table(rows.sparkSession, settings, "forgotten")
    # Sent to each task: to join them otherwise all rows are shuffled and sorted, a re-score's with their pictures.
    marks = stored.selectExpr("image_id AS forgotten_id").hint("broadcast")
    # An anti join would be pushed below rows' own joins, such as the one that reads a day's partitions alone. And it is
    # the key that tells: a literal beside it stands in every row of the connector's direct join, marked or not.
    marked = rows.join(marks, rows["image_id"] == marks["forgotten_id"], "left")
    return marked.where("forgotten_id IS NULL").drop("forgotten_id")


def forget(session: Session, ids: Iterable[str], why: str, now: datetime) -> Forgotten:
    """Mark the ids, then delete all that is stored of them; as often as it takes, to the same effect.

    The by-day row goes before the row in images, which says where it is: cut short, the next call ends it.

    Raises:
        ServiceError: Cassandra stops answering; the same call again goes on.
    """
    done = Forgotten()
    try:
        statements = _Statements(session)
        unique = iter(dict.fromkeys(ids))
        while chunk := list(islice(unique, IDS_A_QUERY)):
            statements.forget(chunk, why, now, done)
        for day in sorted(done.days):
            session.execute("INSERT INTO changed_days (day, changed_at) VALUES (%s, %s)", (day, now))
        await_on_disk(session)
    except CASSANDRA_ERRORS as error:
        raise ServiceError(
            f"Cassandra failed while {done.marked:,} ids were forgotten ({type(error).__name__}: {error}); "
            "give the same command again, it goes on where it was"
        ) from error
    return done


def find_ids(session: Session, *, source: str | None = None, before: date | None = None) -> Iterator[str]:
    """Yield the ids of stored pictures of one source, of the UTC days before one, or both. Raises ServiceError."""
    days = [day for day in read_days(session) if before is None or day < before]
    try:
        statement = session.prepare("SELECT image_id, source FROM predictions_by_day WHERE day = ? AND bucket = ?")
        for day in days:
            places = [(day, bucket) for bucket in range(BUCKETS_A_DAY)]
            for _, rows in execute_concurrent_with_args(
                session, statement, places, CONCURRENCY, results_generator=True
            ):
                yield from (row.image_id for row in rows if source is None or row.source == source)
    except CASSANDRA_ERRORS as error:
        raise ServiceError(f"Cassandra does not give the rows of predictions_by_day ({error}); try again") from error


class _Statements:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._mark = session.prepare("INSERT INTO forgotten (image_id, forgotten_at, why) VALUES (?, ?, ?)")
        self._find = session.prepare("SELECT image_id, uploaded_at FROM images WHERE image_id IN ?")
        self._by_day = session.prepare(
            f"DELETE FROM predictions_by_day USING TIMESTAMP {FOR_GOOD_US} "
            "WHERE day = ? AND bucket = ? AND uploaded_at = ? AND image_id = ?"
        )
        self._others = [
            session.prepare(f"DELETE FROM {table} USING TIMESTAMP {FOR_GOOD_US} WHERE image_id = ?")
            for table in _TABLES
        ]

    def forget(self, ids: list[str], why: str, now: datetime, done: Forgotten) -> None:
        self._run([(self._mark, (id_, now, why)) for id_ in ids])
        done.marked += len(ids)
        places = []
        for row in self._session.execute(self._find, (ids,)):
            if row.uploaded_at is not None:
                at = row.uploaded_at.replace(tzinfo=timezone.utc)
                places.append((day_of(at), bucket_of(at, row.image_id), row.uploaded_at, row.image_id))
        self._run([(self._by_day, place) for place in places])
        for statement in self._others:
            self._run([(statement, (id_,)) for id_ in ids])
        done.stored += len(places)
        done.days.update(place[0] for place in places)

    def _run(self, statements: list[tuple[Any, tuple[Any, ...]]]) -> None:
        execute_concurrent(self._session, statements, concurrency=CONCURRENCY, raise_on_first_error=True)


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), IDS_A_QUERY):
        yield ids[start : start + IDS_A_QUERY]
