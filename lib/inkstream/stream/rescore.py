"""Stored pictures and a version in; that version's rows beside those that are there out. Nothing is written over.

One pass over `images` by the connector, a piece of it a task, whose answers are held: first they become rows of
`predictions`, piece by piece as they are computed, then of `predictions_by_day`. A job that is ended goes on behind its
last piece, and makes the second kind from the first where those are missing. Rows carry the time at which the job
began: an upload of the same id that comes later removes them as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from functools import partial
from time import time
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from inkstream.arrow import map_in_arrow
from inkstream.errors import SchemaError
from inkstream.model.reading import Reader
from inkstream.records import (
    BUCKETS_AN_HOUR,
    IMAGES,
    INLINE_BYTES,
    NO_MODEL,
    PREDICTIONS,
    PREDICTIONS_BY_DAY,
    Reading,
    encode_json,
    ink_shares,
)
from inkstream.settings import Settings
from inkstream.store.forgotten import without_forgotten
from inkstream.store.tables import table_reader
from inkstream.stream.many import BY_PARTITION, TOGETHER, save_rows
from inkstream.stream.predict import PredictTask, reader_for

PAGE_ROWS = 1_000  # of rows without pictures
ROWS = 64  # a page of Cassandra's and an Arrow batch: of pictures up to 1 MiB
GATHERED_BYTES = 8 * 1024 * 1024  # that a worker takes of the small ones together, and one batch more
PARTS = 8  # the same of parts of larger ones
# What a task reads: a few seconds' work, of which an ended job loses no more, and which leaves no core without a task
# for long at the end. The connector's own is 512.
PIECE_MB = 16
# What predictions_by_day has from the upload, handed through beside the answer.
_UPLOAD = ("uploaded_at", "filename", "source", "claimed_label", "topic", "partition", "offset")
_TYPES = {
    "text": "string",
    "int": "int",
    "bigint": "bigint",
    "float": "float",
    "blob": "binary",
    "timestamp": "timestamp",
}
_ARROW = {
    "text": pa.string(), "int": pa.int32(), "bigint": pa.int64(), "float": pa.float32(), "blob": pa.binary(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}  # fmt: skip
_ANSWER = PREDICTIONS | {"ink_share": "float"}
_RESULT = _ANSWER | {name: IMAGES[name] for name in _UPLOAD}
_RESULT_SCHEMA = pa.schema([(name, _ARROW[type_]) for name, type_ in _RESULT.items()])
_RESULT_DDL = ", ".join(f"`{name}` {_TYPES[type_]}" for name, type_ in _RESULT.items())


@dataclass(frozen=True)
class Choice:
    """Which stored pictures: of a UTC day, of a source, answered so before (an outcome); None: all."""

    day: date | None = None
    source: str | None = None
    outcome: str | None = None


class Rescore:
    """One version over the chosen pictures; what it had answered before is looked up once, at the beginning."""

    def __init__(self, spark: SparkSession, settings: Settings, task: PredictTask, choice: Choice) -> None:
        self._spark = spark
        self._settings = settings
        self._task = task
        self._choice = choice
        self._write_time = int(time() * 1_000_000)  # of the job's beginning: any upload that comes later is newer
        self._before = self._answered().select("image_id").persist()
        self._any_before = self._before.count() > 0

    def answer_new(self) -> Counter[date]:
        """Answer what the version has not answered yet, and write its rows; how many, by the upload's UTC day."""
        small = self._new(self._images("bytes").where(F.col("size_bytes") <= INLINE_BYTES))
        answered = self._write(self._answers(small, rescore_pictures, ROWS))
        parts = self._table("image_parts", PARTS)
        if not parts.isEmpty():
            large = self._new(self._images().where(F.col("size_bytes") > INLINE_BYTES))
            parts = parts.join(F.broadcast(large), "image_id")  # broadcast: a picture's parts stay in order
            answered += self._write(self._answers(parts, rescore_parts, PARTS))
        return answered

    def fill_days(self) -> set[date]:
        """Write the rows in `predictions_by_day` of what the version had answered before; returns the days.

        An ended job may have left them out; where they are there, they are written again, to the same effect.
        """
        if not self._any_before:
            return set()
        uploads = self._chosen(self._images()).join(self._before, "image_id")
        prepared = F.udf(_ink, "float")
        rows = self._answered().withColumn("ink_share", prepared("prepared")).join(uploads, "image_id")
        self._save_days(self._dated(rows))
        return {row.day for row in self._dated(uploads).select("day").distinct().collect()}

    def _write(self, answers: DataFrame) -> Counter[date]:
        answers = self._dated(answers).persist()
        try:
            save_rows(answers, self._settings.cassandra.keyspace, "predictions", PREDICTIONS, TOGETHER)
            self._save_days(answers)
            return Counter({row.day: row["count"] for row in answers.groupBy("day").count().collect()})
        finally:
            answers.unpersist()

    def _save_days(self, rows: DataFrame) -> None:
        keyspace = self._settings.cassandra.keyspace
        save_rows(rows, keyspace, "predictions_by_day", PREDICTIONS_BY_DAY, BY_PARTITION)

    def _dated(self, rows: DataFrame) -> DataFrame:
        """With what the rows of `predictions_by_day` have of their own: day and bucket; and the time of writing."""
        place = F.hour("uploaded_at") * BUCKETS_AN_HOUR + F.crc32(F.col("image_id").cast("binary")) % BUCKETS_AN_HOUR
        dated = rows.withColumn("day", F.to_date("uploaded_at")).withColumn("bucket", place.cast("int"))
        return dated.withColumn("write_time", F.lit(self._write_time))

    def _answers(self, rows: DataFrame, read: Any, arrow_rows: int) -> DataFrame:
        self._spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(arrow_rows))
        answers = map_in_arrow(rows, partial(read, self._task), _RESULT_DDL)
        return answers.where(F.col("model_version") != NO_MODEL)  # what no decoder reads has its row already

    def _answered(self) -> DataFrame:
        return self._table("predictions").where(F.col("model_version") == self._task.version)

    def _new(self, images: DataFrame) -> DataFrame:
        """The chosen ones that the version had not answered. Ids are sent to each task: no bytes are shuffled."""
        chosen = self._chosen(images)
        if not self._any_before:
            return chosen
        return chosen.join(F.broadcast(self._before), "image_id", "left_anti")

    def _chosen(self, images: DataFrame) -> DataFrame:
        """The chosen ones, forgotten ones left out."""
        rows = without_forgotten(images, self._settings)
        if self._choice.day is not None:
            rows = rows.where(F.to_date("uploaded_at") == F.lit(self._choice.day))
        if self._choice.source is not None:
            rows = rows.where(F.col("source") == self._choice.source)
        if self._choice.outcome is not None:
            answers = self._table("predictions").select("image_id", "model_version", "outcome")
            like = answers.where(
                (F.col("outcome") == self._choice.outcome) & (F.col("model_version") != self._task.version)
            )
            rows = rows.join(F.broadcast(like.select("image_id")), "image_id", "left_semi")
        return rows

    def _images(self, *more: str) -> DataFrame:
        """Rows of `images` that are whole; their bytes only if they are asked for."""
        rows = self._table("images", ROWS if more else PAGE_ROWS)
        rows = rows.select("image_id", "size_bytes", *_UPLOAD, *more)
        return rows.where(F.col("size_bytes").isNotNull() & F.col("uploaded_at").isNotNull())

    def _table(self, name: str, page_rows: int = PAGE_ROWS) -> DataFrame:
        reader = table_reader(self._spark, self._settings.cassandra.keyspace, name)
        for option, value in {"fetch.sizeInRows": page_rows, "split.sizeInMB": PIECE_MB}.items():
            reader = reader.option(f"spark.cassandra.input.{option}", str(value))
        return reader.load()


def rescore_pictures(task: PredictTask, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of `images` in, what `_RESULT` names of them and of their answers out."""
    reader = reader_for(task)
    for batch in _gathered(batches, task.batch_rows):
        yield _rows(reader, batch, [data or b"" for data in batch.column("bytes").to_pylist()])


def rescore_parts(task: PredictTask, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of `image_parts` with those of `images`, in the order of ids and parts, in; as above out.

    Raises:
        SchemaError: parts of a picture are missing, or do not come in their order.
    """
    reader = reader_for(task)
    for row, data in _whole_pictures(batches):
        yield _rows(reader, row, [data])


def _gathered(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows, so many or GATHERED_BYTES together: pictures are answered sooner by hundreds than by dozens."""
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(batch)
        if sum(one.num_rows for one in held) >= rows or sum(one.nbytes for one in held) >= GATHERED_BYTES:
            yield pa.concat_batches(held)
            held = []
    if held:
        yield pa.concat_batches(held)


def _whole_pictures(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, bytes]]:
    """A row of each picture, and all its bytes."""
    held: list[bytes] = []
    for batch in batches:
        parts, sizes = batch.column("part").to_pylist(), batch.column("size_bytes").to_pylist()
        for place, (part, size) in enumerate(zip(parts, sizes, strict=True)):
            row = batch.slice(place, 1)
            if part != len(held):
                raise SchemaError(f"Part {part} of {row.column('image_id')[0]} comes where part {len(held)} should")
            held.append(row.column("bytes")[0].as_py())
            if sum(map(len, held)) >= size:
                yield row, b"".join(held)
                held = []


def _rows(reader: Reader, uploads: pa.RecordBatch, pictures: Sequence[bytes]) -> pa.RecordBatch:
    now = datetime.now(timezone.utc)
    answers = [_row(reading) | {"predicted_at": now} for reading in reader.read(pictures)]
    columns = [
        uploads.column(field.name)
        if field.name in uploads.schema.names
        else pa.array([answer[field.name] for answer in answers], field.type)
        for field in _RESULT_SCHEMA
    ]
    return pa.RecordBatch.from_arrays(columns, schema=_RESULT_SCHEMA)


def _row(reading: Reading) -> dict[str, Any]:
    return {
        "model_version": reading.model_version,
        "outcome": reading.outcome,
        "label": reading.label,
        "confidence": None if reading.label is None else reading.confidence,
        "probabilities": None if reading.probabilities is None else encode_json(reading.probabilities).decode(),
        "reason_code": reading.reason_code,
        "reason": reading.reason,
        "why": None if reading.why is None else encode_json(reading.why).decode(),
        "prepared": None if reading.prepared is None else reading.prepared.tobytes(),
        "stage_times": encode_json(reading.times or {}).decode(),
        "ink_share": reading.ink_share,
    }


def _ink(prepared: bytes | None) -> float | None:
    return None if prepared is None else ink_shares(np.frombuffer(prepared, np.uint8)[np.newaxis])[0]
