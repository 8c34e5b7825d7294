"""What a micro-batch brought: which uploads are an id's newest, and which stored ones they supersede."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from time import monotonic, sleep
from typing import Any, NamedTuple

from cassandra.cluster import NoHostAvailable, Session
from cassandra.concurrent import execute_concurrent, execute_concurrent_with_args
from cassandra.connection import ConnectionBusy
from cassandra.query import UNSET_VALUE, BatchStatement, BatchType
from pyspark.sql import DataFrame

from inkstream.arrow import collect_batches
from inkstream.records import INLINE_BYTES, TABLES, bucket_of, day_of
from inkstream.store.forgotten import find_forgotten
from inkstream.store.session import await_on_disk

WHOLE_BYTES = 32 * 1024  # of a picture
_ROW_NUMBER = (1 << 33) - 1  # of monotonically_increasing_id, which has the partition above it

IDS_A_QUERY = 100  # one IN query costs Cassandra a tenth of as many single ones; it stays on one coordinator
CONCURRENCY = 8
# Rows travel together, that spares both ends half of the work: those of 35 uploads take 9-13 ms instead of 23, those of
# 200 uploads 47-60 instead of 87.
REQUEST_BYTES = 16 * 1024
# A connection that has more under way than the system takes refuses further requests, a phone's picture is enough: they
# are made again, for so long.
BUSY_S = 10.0
BUSY_AGAIN_S = 0.01
ROW_BYTES = 1_500  # about as many as a row has without its picture


Origin = tuple[str, int, int]  # topic, partition, offset
ORIGIN = ["topic", "partition", "offset"]
Row = dict[str, Any]  # records.RESULT


class Arrival(NamedTuple):
    """A message of the micro-batch, as the driver sees it: no picture, about 100 bytes."""

    image_id: str
    write_time: int
    topic: str
    partition: int
    offset: int
    size_bytes: int
    day: str
    outcome: str
    reason_code: str | None

    @property
    def origin(self) -> Origin:
        return self.topic, self.partition, self.offset

    @property
    def is_new(self) -> bool:
        """Whether its id is made of its place in Kafka (that of a replay is made of another one)."""
        return self.image_id.startswith(f"kafka:{self.topic}:{self.partition}:{self.offset}:")

    @property
    def age(self) -> tuple[int, int, int]:
        """What orders the uploads of one id."""
        return self.write_time, self.partition, self.offset


class Stored(NamedTuple):
    """The row in images of an id that has been uploaded before."""

    image_id: str
    uploaded_at: datetime
    topic: str
    partition: int
    offset: int
    write_time: int

    @property
    def age(self) -> tuple[int, int, int]:
        return self.write_time, self.partition, self.offset


@dataclass(frozen=True)
class Decision:
    """losers: origins whose rows are not stored, a newer upload of their id is. superseded: (older row, new time)."""

    losers: list[Origin]
    superseded: list[tuple[Stored, int]]


def collect_arrivals(results: DataFrame, whole_rows: int) -> tuple[list[Arrival], list[Row]]:
    """The places and ids of a micro-batch, on the driver, at most stream.max_offsets_per_trigger; and its whole rows.

    The whole rows are those of records.RESULT, or none: they come where no partition has more than `whole_rows`, none
    with more than WHOLE_BYTES of a picture. A second job to bring them would take 30 ms.
    """
    rows = results.selectExpr(
        *(f"string({name})" if name == "day" else f"`{name}`" for name in Arrival._fields),
        f"if((monotonically_increasing_id() & {_ROW_NUMBER}) < {whole_rows} "
        f"AND coalesce(length(bytes), 0) <= {WHOLE_BYTES}, struct(*), NULL) AS whole",
    )
    arrivals: list[Arrival] = []
    whole: list[Row] = []
    for batch in collect_batches(rows):
        *columns, wholes = batch.columns
        arrivals += [Arrival(*row) for row in zip(*(column.to_pylist() for column in columns), strict=True)]
        if not wholes.null_count and len(whole) + len(wholes) == len(arrivals):
            whole += wholes.to_pylist()
    return arrivals, whole if len(whole) == len(arrivals) else []


def _is_busy(error: Exception) -> bool:
    return isinstance(error, NoHostAvailable) and all(isinstance(one, ConnectionBusy) for one in error.errors.values())


def arrivals_of(rows: Iterable[Row]) -> list[Arrival]:
    """The places and ids of rows of records.RESULT that are on the driver."""
    return [Arrival(**{**{name: row[name] for name in Arrival._fields}, "day": row["day"].isoformat()}) for row in rows]


def decide(arrivals: list[Arrival], stored: dict[str, Stored]) -> Decision:
    """Only the newest upload of an id is stored; what is stored of an older one goes.

    A message that is stored already (a replay after a crash) is neither: it is written again, to the same effect.
    """
    newest: dict[str, Arrival] = {}
    losers = []
    for arrival in arrivals:
        rival = newest.get(arrival.image_id)
        if rival is None or rival.age < arrival.age:
            newest[arrival.image_id] = arrival
            if rival is not None:
                losers.append(rival.origin)
        else:
            losers.append(arrival.origin)
    superseded = []
    for image_id, row in stored.items():
        arrival = newest[image_id]
        if row.age > arrival.age:
            losers.append(arrival.origin)
        elif row.age < arrival.age:
            superseded.append((row, arrival.write_time))
    return Decision(losers, superseded)


class Ledger:
    """The driver's own reads and small writes in Cassandra."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._find = session.prepare(
            "SELECT image_id, uploaded_at, topic, partition, offset, WRITETIME(size_bytes) AS write_time "
            "FROM images WHERE image_id IN ?"
        )
        self._progress = session.prepare(
            "INSERT INTO stream_progress (topic, partition, from_offset, until_offset, updated_at) "
            "VALUES (?, ?, ?, ?, ?)"
        )
        self._day = session.prepare("INSERT INTO changed_days (day, changed_at) VALUES (?, ?)")
        # The by-day row first: should this be cut short, the row in images still says where the others are.
        self._forget = [
            session.prepare(
                "DELETE FROM predictions_by_day USING TIMESTAMP ? "
                "WHERE day = ? AND bucket = ? AND uploaded_at = ? AND image_id = ?"
            ),
            *(
                session.prepare(f"DELETE FROM {table} USING TIMESTAMP ? WHERE image_id = ?")
                for table in ("predictions", "image_parts", "images")
            ),
        ]
        self._inserts = {
            table: session.prepare(
                f"INSERT INTO {table} ({', '.join(TABLES[table])}) "
                f"VALUES ({', '.join('?' * len(TABLES[table]))}) USING TIMESTAMP ?"
            )
            for table in ("images", "image_parts", "predictions", "predictions_by_day")
        }
        self._from_offsets: dict[tuple[str, int], int] = {}

    def find_stored(self, arrivals: list[Arrival]) -> dict[str, Stored]:
        """The rows in images of ids that came before; an id made of its own place in Kafka is new by its making."""
        ids = sorted({arrival.image_id for arrival in arrivals if not arrival.is_new})
        chunks = [(ids[start : start + IDS_A_QUERY],) for start in range(0, len(ids), IDS_A_QUERY)]
        found = execute_concurrent_with_args(self._session, self._find, chunks, concurrency=CONCURRENCY)
        rows = (Stored(*row) for success, result in found for row in result)
        return {row.image_id: row for row in rows if row.write_time is not None}

    def find_forgotten(self, arrivals: list[Arrival]) -> set[str]:
        """The ids that people want gone: neither stored nor answered again."""
        return find_forgotten(self._session, (arrival.image_id for arrival in arrivals))

    def remove_superseded(self, superseded: list[tuple[Stored, int]]) -> None:
        """Delete what is stored of older uploads, as of just before the newer one, and mark their days as changed."""
        by_day, *others = self._forget
        steps: list[list[tuple[Any, tuple[Any, ...]]]] = [[] for _ in self._forget]
        for row, write_time in superseded:
            at = row.uploaded_at.replace(tzinfo=timezone.utc)
            place = (day_of(at), bucket_of(at, row.image_id), row.uploaded_at, row.image_id)
            steps[0].append((by_day, (write_time - 1, *place)))
            for step, statement in zip(steps[1:], others, strict=True):
                step.append((statement, (write_time - 1, row.image_id)))
        days = {day_of(row.uploaded_at.replace(tzinfo=timezone.utc)) for row, _ in superseded}
        for step in steps[:-1]:
            execute_concurrent(self._session, step, concurrency=64)
        # Before the row in images goes: should this be cut short, the replay finds it again.
        self._mark(days, datetime.now(timezone.utc))
        execute_concurrent(self._session, steps[-1], concurrency=64)

    def store(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write rows of records.RESULT, with the pictures' bytes, into their tables; what they lack stays unset.

        A picture's parts come before the row that names it. Raises what the driver raises; written again is no harm.
        """
        self._insert([("image_parts", part) for row in rows for part in _parts(row)])
        images = [{**row, "bytes": None} if len(row["bytes"] or b"") > INLINE_BYTES else row for row in rows]
        tables = {"images": images, "predictions": rows, "predictions_by_day": rows}
        self._insert([(table, row) for table, of_table in tables.items() for row in of_table])

    def _insert(self, rows: list[tuple[str, Mapping[str, Any]]]) -> None:
        requests: list[tuple[Any, tuple[Any, ...]]] = []
        together, size = BatchStatement(BatchType.UNLOGGED), 0
        for table, row in rows:
            values = [UNSET_VALUE if row[column] is None else row[column] for column in TABLES[table]]
            insert = self._inserts[table], (*values, row["write_time"])
            bytes_ = ROW_BYTES + len(row.get("bytes") or b"")
            if bytes_ > REQUEST_BYTES:  # alone, and no batch: Cassandra refuses large ones
                requests.append(insert)
                continue
            if size + bytes_ > REQUEST_BYTES:
                requests.append((together, ()))
                together, size = BatchStatement(BatchType.UNLOGGED), 0
            together.add(*insert)
            size += bytes_
        if size:
            requests.append((together, ()))
        give_up = monotonic() + BUSY_S
        while requests:
            done = execute_concurrent(self._session, requests, concurrency=CONCURRENCY, raise_on_first_error=False)
            failed = [(request, error) for request, (fine, error) in zip(requests, done, strict=True) if not fine]
            for _, error in failed:
                if not _is_busy(error) or monotonic() > give_up:
                    raise error
            requests = [request for request, _ in failed]
            if requests:
                sleep(BUSY_AGAIN_S)

    def await_on_disk(self) -> None:
        """Return when all rows that were acknowledged before are on disk. Raises ServiceError."""
        await_on_disk(self._session)

    def record_progress(self, arrivals: Sequence[Arrival], now: datetime) -> None:
        """Write down that all up to the micro-batch's last offsets is stored and answered, and the days it touched."""
        until: dict[tuple[str, int], int] = {}
        first: dict[tuple[str, int], int] = {}
        for arrival in arrivals:
            place = (arrival.topic, arrival.partition)
            until[place] = max(until.get(place, 0), arrival.offset + 1)
            first[place] = min(first.get(place, arrival.offset), arrival.offset)
        rows = [
            (self._progress, (*place, self._from_offsets.setdefault(place, first[place]), offset, now))
            for place, offset in until.items()
        ]
        days = [(self._day, (day, now)) for day in {arrival.day for arrival in arrivals}]
        execute_concurrent(self._session, [*rows, *days], concurrency=CONCURRENCY)

    def _mark(self, days: Iterable[str], now: datetime) -> None:
        for day in sorted(days):
            self._session.execute(self._day, (day, now))


def _parts(row: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The bytes of a picture over 1 MiB, cut into rows of 1 MiB."""
    content = row["bytes"] or b""
    if len(content) > INLINE_BYTES:
        for number, start in enumerate(range(0, len(content), INLINE_BYTES)):
            piece = content[start : start + INLINE_BYTES]
            yield {"image_id": row["image_id"], "part": number, "bytes": piece, "write_time": row["write_time"]}
