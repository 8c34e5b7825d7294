"""Messages in; the stream's own rows out, and cassandra-driver to store them with: what the alternatives share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from time import time
from typing import Any, NamedTuple

from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.concurrent import execute_concurrent
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType

from inkstream.model.bundle import load_bundle, shipped_bundle
from inkstream.model.reading import Reader
from inkstream.records import IMAGES, PREDICTIONS, PREDICTIONS_BY_DAY, REJECTED, RESULT, Reading
from inkstream.settings import Settings
from inkstream.store.session import await_on_disk
from inkstream.stream.predict import _row

# What the stream's own sink found best (TOGETHER and BY_PARTITION in stream/many.py), in rows of about 1 KiB: unlogged
# batches, in predictions_by_day one a partition. `--together 1` is a statement a row, as most people write it.
ROWS_A_BATCH = 16  # of images and predictions
CONCURRENCY = 64

_JSON = {"probabilities", "why", "stage_times"}


class Message(NamedTuple):
    """What every Kafka client gives."""

    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    topic: str
    partition: int
    offset: int
    timestamp_ms: int


class Answerer:
    """The shipped bundle on LiteRT behind the stream's own normaliser; rows made by the stream's own function."""

    def __init__(self, settings: Settings) -> None:
        self._reader = Reader(load_bundle(shipped_bundle()), settings.image)

    def rows(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """One row of records.RESULT a message, as a dict; no Arrow in between, which a plain consumer would not use."""
        readings = self._reader.read([message.value for message in messages])
        now = time()
        return [
            dict(zip(RESULT, row_of(message, reading, now), strict=True))
            for message, reading in zip(messages, readings, strict=True)
        ]


def row_of(message: Message, reading: Reading, predicted_at: float) -> tuple[Any, ...]:
    """One row of records.RESULT, in its order, whoever has read the picture."""
    row = _row(
        reading,
        message.value,
        {name: value.decode("utf-8", "replace") for name, value in message.headers or ()},
        predicted_at,
        message.key,
        len(message.value),
        message.topic,
        message.partition,
        message.offset,
        message.timestamp_ms,
    )
    return (*row, message.headers if reading.outcome == REJECTED else None, message.value)


class Tables:
    """The three tables, with the stream's columns and write times."""

    def __init__(self, session: Session, consistency: str, together: int, concurrency: int) -> None:
        self._session = session
        self._consistency = ConsistencyLevel.name_to_value[consistency]
        self._together = together
        self._concurrency = concurrency
        self._inserts = {
            table: (session.prepare(_insert(table, columns)), list(columns))
            for table, columns in (
                ("images", IMAGES),
                ("predictions", PREDICTIONS),
                ("predictions_by_day", PREDICTIONS_BY_DAY),
            )
        }

    def store(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write every row to every table and wait until all are on disk. Raises what Cassandra raises."""
        work: list[tuple[Any, Any]] = []
        for table, (statement, columns) in self._inserts.items():
            for group in self._groups(table, rows):
                values = [[*(_bound(row[name], name) for name in columns), row["write_time"]] for row in group]
                if len(values) == 1:
                    work.append((statement, values[0]))
                    continue
                batch = BatchStatement(BatchType.UNLOGGED, consistency_level=self._consistency)
                for one in values:
                    batch.add(statement, one)
                work.append((batch, ()))
        execute_concurrent(self._session, work, concurrency=self._concurrency, raise_on_first_error=True)
        await_on_disk(self._session)

    def _groups(self, table: str, rows: Sequence[dict[str, Any]]) -> Iterable[Sequence[dict[str, Any]]]:
        if self._together == 1:
            return [[row] for row in rows]
        if table == "predictions_by_day":  # rows of one partition are one mutation
            partitions = defaultdict(list)
            for row in rows:
                partitions[row["day"], row["bucket"]].append(row)
            return list(partitions.values())
        return [rows[start : start + self._together] for start in range(0, len(rows), self._together)]


def _bound(value: Any, column: str) -> Any:
    """A value as the driver takes it: nothing for a null, so that no tombstone is written; JSON as text."""
    if value is None:
        return UNSET_VALUE
    return value.decode() if column in _JSON else value


def _insert(table: str, columns: Iterable[str]) -> str:
    names = list(columns)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) USING TIMESTAMP ?"
