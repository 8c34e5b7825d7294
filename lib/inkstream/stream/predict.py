"""The worker's side of the stream: Arrow batches of uploads in, Arrow batches of results out, one pass a partition."""

from __future__ import annotations

import hashlib
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from time import time
from typing import Any, Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from inkstream.model.bundle import bundle_from_bytes
from inkstream.model.reading import Reader
from inkstream.records import (
    DEFERRED,
    REJECTED,
    RESULT,
    Reading,
    bucket_of,
    encode_answer,
    encode_json,
    image_id,
    uploaded_at,
    write_time_us,
)
from inkstream.settings import ImageSettings

_ARROW = {
    "string": pa.string(),
    "binary": pa.binary(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "float": pa.float32(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "array<struct<key:string,value:binary>>": pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())])),
}
RESULT_SCHEMA = pa.schema([(name, _ARROW[type_]) for name, type_ in RESULT.items()])


class BroadcastBytes(Protocol):
    """Spark's Broadcast[bytes], or in a test anything with a value."""

    @property
    def value(self) -> bytes: ...


@dataclass(frozen=True)
class PredictTask:
    """What a worker needs: the bundle by broadcast, its version (the cache's key), the limits, pictures a call.

    defer: the first pass, of small pictures: a row without its value is a large one that the second pass answers (there
    it is over the limit), and the bytes are handed on with the answer (in the second they stay in Kafka).
    apart: pictures are decoded in limited child processes, because one of them has ended a worker.
    """

    bundle: BroadcastBytes
    version: str
    limits: ImageSettings
    threshold: float | None
    batch_rows: int
    defer: bool = False
    apart: bool = False


# One reader a worker process, kept over tasks and idle times. It lives in the package and not in the job: what a job
# defines is pickled by value, and its cache would be new for every task.
_readers: dict[tuple[str, ImageSettings, float | None], Reader] = {}
READERS_KEPT = 3  # the current version, its shadow, and one that takes over while the last micro-batch ends


def reader_for(task: PredictTask) -> Reader:
    """The task's Reader, loaded at the first call in this process; the one that was asked longest ago makes room."""
    key = (task.version, task.limits, task.threshold)
    reader = _readers.pop(key, None)
    if reader is None:
        reader = Reader(bundle_from_bytes(task.bundle.value), task.limits, task.threshold)
        for oldest in list(_readers)[: max(0, len(_readers) - READERS_KEPT + 1)]:
            del _readers[oldest]
    _readers[key] = reader
    return reader


def load_reader(task: PredictTask, _: Iterator[int]) -> None:
    """Load the task's Reader in this process, for what is asked of it later.

    Here and not beside its caller: a worker imports the module of what it is given, and would keep Kafka's and
    Cassandra's clients, to be looked through after each task by the garbage collector.
    """
    reader_for(task)


def predict_batches(task: PredictTask, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield one result row per upload row, in order; columns in as in stream/source.py, out as records.RESULT.

    A picture that cannot be answered gives a row with its reason; it never stops the partition.
    """
    reader = reader_for(task)
    for batch in batches:
        for start in range(0, batch.num_rows, task.batch_rows):
            yield _predict(reader, batch.slice(start, task.batch_rows), task)


def _predict(reader: Reader, batch: pa.RecordBatch, task: PredictTask) -> pa.RecordBatch:
    columns: dict[str, list[Any]] = {name: batch.column(name).to_pylist() for name in _PLAIN}
    values = columns["value"]
    headers = _headers(batch.column("headers"))
    readings = _read(reader, values, columns["size_bytes"], task)
    predicted_at = time()
    rows = [
        _row(reading, value, names, predicted_at, *place)
        for reading, value, names, *place in zip(
            readings,
            values,
            headers,
            columns["key"],
            columns["size_bytes"],
            columns["topic"],
            columns["partition"],
            columns["offset"],
            columns["timestamp_ms"],
            strict=True,
        )
    ]
    arrays = [
        pa.array(column, field.type)
        for field, column in zip(RESULT_SCHEMA, zip(*rows, strict=True), strict=False)  # two more follow
    ]
    rejected = pa.array([reading.outcome == REJECTED for reading in readings])
    kept_headers = pc.if_else(rejected, batch.column("headers"), pa.scalar(None, batch.column("headers").type))
    # Large pictures are not handed back, Spark would hold all of a micro-batch's: the sink takes them from Kafka again.
    values_back = batch.column("value") if task.defer else pa.nulls(len(rows), pa.binary())
    arrays += [kept_headers.cast(RESULT_SCHEMA.field("headers").type), values_back]
    return pa.RecordBatch.from_arrays(arrays, schema=RESULT_SCHEMA)


def _read(reader: Reader, values: list[bytes | None], sizes: list[int], task: PredictTask) -> list[Reading]:
    """One Reading per row; a message without a value at all (size 0) is an empty file."""
    pictures = [value if value is not None else (size or b"") for value, size in zip(values, sizes, strict=True)]
    wanted = [picture for picture in pictures if isinstance(picture, bytes)] if task.defer else pictures
    if task.apart:
        readings = reader.read(wanted, apart=True)
    else:
        readings = reader.read(_each_in_time(wanted, task.limits.decode_limit_s))
    if len(readings) == len(pictures):
        return readings
    answered = iter(readings)
    return [next(answered) if isinstance(picture, bytes) else _DEFERRED for picture in pictures]


def _each_in_time(pictures: Sequence[bytes | int], seconds: float) -> Iterator[bytes | int]:
    """The pictures; one that is not done with after so long ends this worker: no decoder can be told to stop.

    The sink then reads its micro-batch apart, where the picture ends a child.
    """
    try:
        for picture in pictures:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            yield picture
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


_DEFERRED = Reading(DEFERRED)  # type: ignore[arg-type]
_PLAIN = ("key", "value", "size_bytes", "topic", "partition", "offset", "timestamp_ms")


def _headers(column: pa.ListArray) -> list[dict[str, str]]:
    """Each row's headers as a dict; of a repeated name the last counts, bytes that are no UTF-8 are replaced."""
    flat = column.flatten()
    names = flat.field("key").to_pylist()
    values = flat.field("value").to_pylist()
    rows = []
    end = 0
    for length in column.value_lengths().to_pylist():
        start, end = end, end + (length or 0)
        rows.append(
            {
                name: value.decode("utf-8", "replace")
                for name, value in zip(names[start:end], values[start:end], strict=True)
                if value is not None
            }
        )
    return rows


def _as_is(json: bytes | None) -> orjson.Fragment | None:
    return None if json is None else orjson.Fragment(json)


def _row(
    reading: Reading,
    value: bytes | None,
    headers: dict[str, str],
    predicted_at: float,
    key: bytes | None,
    size_bytes: int,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int,
) -> tuple[Any, ...]:
    """One row of records.RESULT, in its order, without the last two: headers and bytes are columns handed through."""
    received = datetime.fromtimestamp(timestamp_ms / 1000, timezone.utc)
    at = uploaded_at(headers.get("uploaded-at"), received)
    id_ = image_id(key, topic, partition, offset, timestamp_ms, headers.get("replay-of"))
    queued_ms = max(0, int(predicted_at * 1_000_000) - timestamp_ms * 1000) / 1000
    stage_times = encode_json({**(reading.times or {}), "queued_ms": queued_ms})
    why = None if reading.why is None else encode_json(reading.why)
    probabilities = None if reading.probabilities is None else encode_json(reading.probabilities)
    rejected = reading.outcome == REJECTED
    confidence = None if rejected else reading.confidence
    answer = {
        "id": id_,
        "outcome": reading.outcome,
        "label": reading.label,
        "confidence": confidence,
        "probabilities": _as_is(probabilities),
        "reason_code": reading.reason_code,
        "reason": reading.reason,
        "model_version": reading.model_version,
        "why": _as_is(why),
        "stage_times": _as_is(stage_times),
        "origin": {"topic": topic, "partition": partition, "offset": offset},
    }
    return (
        id_,
        headers.get("filename"),
        headers.get("content-type"),
        headers.get("source"),
        at,
        reading.width,
        reading.height,
        size_bytes,
        None if value is None else hashlib.sha256(value).hexdigest(),
        headers.get("label"),
        topic,
        partition,
        offset,
        reading.model_version,
        reading.outcome,
        reading.label,
        confidence,
        probabilities,
        reading.reason_code,
        reading.reason,
        why,
        None if reading.prepared is None else reading.prepared.tobytes(),
        datetime.fromtimestamp(predicted_at, timezone.utc),
        stage_times,
        date(at.year, at.month, at.day),
        bucket_of(at, id_),
        reading.ink_share,
        write_time_us(timestamp_ms, offset),
        encode_answer(answer),
    )
