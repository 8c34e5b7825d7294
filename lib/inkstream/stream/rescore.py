"""Stored pictures and a version in; that version's rows beside those that are there out. Nothing is written over.

Read and written by the connector, a token range a task. First `predictions`, row by row as they are computed: a job
that is ended goes on behind the last of them. Then `predictions_by_day`, from those rows: as often as it takes, to the
same effect. Rows carry the time at which the job began: an upload of the same id that comes later removes them as well.
"""

from __future__ import annotations

from collections.abc import Iterator
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
from inkstream.stream.predict import PredictTask, reader_for

ROWS = 64  # a page of Cassandra's and an Arrow batch: of pictures up to 1 MiB
PARTS = 8  # the same of parts of larger ones
_ORIGIN = ("topic", "partition", "offset")
_TYPES = {
    "text": "string",
    "int": "int",
    "bigint": "bigint",
    "float": "float",
    "blob": "binary",
    "timestamp": "timestamp",
}
_ARROW = {
    "text": pa.string(), "float": pa.float32(), "blob": pa.binary(), "timestamp": pa.timestamp("us", tz="UTC"),
}  # fmt: skip
_RESULT = pa.schema([*((name, _ARROW[type_]) for name, type_ in PREDICTIONS.items()), ("write_time", pa.int64())])
_RESULT_DDL = ", ".join([*(f"`{name}` {_TYPES[type_]}" for name, type_ in PREDICTIONS.items()), "write_time bigint"])


@dataclass(frozen=True)
class Choice:
    """Which stored pictures: of a UTC day, of a source, answered so before (an outcome); None: all."""

    day: date | None = None
    source: str | None = None
    outcome: str | None = None


class Rescore:
    """One version over the chosen pictures."""

    def __init__(self, spark: SparkSession, settings: Settings, task: PredictTask, choice: Choice) -> None:
        self._spark = spark
        self._settings = settings
        self._task = task
        self._choice = choice
        self._write_time = int(time() * 1_000_000)  # of the job's beginning: any upload that comes later is newer

    def chosen(self) -> DataFrame:
        """The chosen pictures without their bytes, forgotten ones left out."""
        rows = without_forgotten(self._images(), self._settings)
        if self._choice.day is not None:
            rows = rows.where(F.to_date("uploaded_at") == F.lit(self._choice.day))
        if self._choice.source is not None:
            rows = rows.where(F.col("source") == self._choice.source)
        if self._choice.outcome is not None:
            answers = self._table("predictions").select("image_id", "model_version", "outcome")
            like = answers.where(
                (F.col("outcome") == self._choice.outcome) & (F.col("model_version") != self._task.version)
            )
            rows = rows.join(like.select("image_id"), "image_id", "left_semi")
        return rows

    def to_do(self) -> DataFrame:
        """Those that the version has not answered yet."""
        done = self._table("predictions").select("image_id", "model_version")
        done = done.where(F.col("model_version") == self._task.version)
        return self.chosen().join(done.select("image_id"), "image_id", "left_anti")

    def predict(self, to_do: DataFrame) -> None:
        """Write the version's row in `predictions` for each of these."""
        ids = to_do.select("image_id", "size_bytes", "write_time")
        stored = self._table("images", ROWS).select("image_id", "bytes")
        small = stored.join(
            F.broadcast(ids.where(F.col("size_bytes") <= INLINE_BYTES)), "image_id"
        )  # no bytes shuffled
        self._save(self._answers(small, rescore_pictures, ROWS), "predictions", [*PREDICTIONS, "write_time"])
        large = F.broadcast(ids.where(F.col("size_bytes") > INLINE_BYTES))
        parts = self._table("image_parts", PARTS).join(large, "image_id")  # broadcast: a picture's parts stay in order
        self._save(self._answers(parts, rescore_parts, PARTS), "predictions", [*PREDICTIONS, "write_time"])

    def fill_days(self) -> list[date]:
        """Write the rows in `predictions_by_day` of what the version has answered; returns the days."""
        answered = self._table("predictions").where(F.col("model_version") == self._task.version)
        prepared = F.udf(_ink, "float")
        rows = answered.withColumn("ink_share", prepared("prepared")).join(self.chosen(), "image_id")
        place = F.hour("uploaded_at") * BUCKETS_AN_HOUR + F.crc32(F.col("image_id").cast("binary")) % BUCKETS_AN_HOUR
        rows = rows.withColumn("day", F.to_date("uploaded_at")).withColumn("bucket", place.cast("int"))
        self._save(rows, "predictions_by_day", [*PREDICTIONS_BY_DAY, "write_time"])
        return [row.day for row in rows.select("day").distinct().collect()]

    def _answers(self, rows: DataFrame, read: Any, arrow_rows: int) -> DataFrame:
        self._spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(arrow_rows))
        answers = map_in_arrow(rows, partial(read, self._task), _RESULT_DDL)
        return answers.where(F.col("model_version") != NO_MODEL)  # what no decoder reads has its row already

    def _images(self) -> DataFrame:
        """Rows of `images` that are whole, without their bytes."""
        names = ("image_id", "uploaded_at", "filename", "source", "claimed_label", "size_bytes", *_ORIGIN)
        rows = self._table("images").select(*names).withColumn("write_time", F.lit(self._write_time))
        return rows.where(F.col("size_bytes").isNotNull() & F.col("uploaded_at").isNotNull())

    def _table(self, name: str, page_rows: int = 1000) -> DataFrame:
        options = {"table": name, "keyspace": self._settings.cassandra.keyspace}
        reader = self._spark.read.format("org.apache.spark.sql.cassandra").options(**options)
        return reader.option("spark.cassandra.input.fetch.sizeInRows", str(page_rows)).load()

    def _save(self, rows: DataFrame, table: str, columns: list[str]) -> None:
        keyspace = self._settings.cassandra.keyspace
        writer = rows.select(*columns).write.format("org.apache.spark.sql.cassandra").mode("append")
        writer.options(table=table, keyspace=keyspace, writetime="write_time").save()


def rescore_pictures(task: PredictTask, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of image_id, bytes, size_bytes, write_time in; rows of `predictions` with write_time out."""
    reader = reader_for(task)
    for batch in batches:
        columns = {name: batch.column(name).to_pylist() for name in ("image_id", "bytes", "write_time")}
        yield _rows(reader, columns["image_id"], [data or b"" for data in columns["bytes"]], columns["write_time"])


def rescore_parts(task: PredictTask, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of image_id, part, bytes, size_bytes, write_time in the order of ids and parts in; as above out.

    Raises:
        SchemaError: parts of a picture are missing, or do not come in their order.
    """
    reader = reader_for(task)
    for image_id, data, write_time in _whole_pictures(batches):
        yield _rows(reader, [image_id], [data], [write_time])


def _whole_pictures(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[str, bytes, int]]:
    held: list[bytes] = []
    for batch in batches:
        for row in batch.to_pylist():
            if row["part"] != len(held):
                raise SchemaError(f"Part {row['part']} of {row['image_id']} comes where part {len(held)} should")
            held.append(row["bytes"])
            if sum(map(len, held)) >= row["size_bytes"]:
                yield row["image_id"], b"".join(held), row["write_time"]
                held = []


def _rows(reader: Reader, ids: list[str], pictures: list[bytes], write_times: list[int]) -> pa.RecordBatch:
    now = datetime.now(timezone.utc)
    rows = [
        {**_row(reading), "image_id": image_id, "predicted_at": now, "write_time": write_time}
        for image_id, reading, write_time in zip(ids, reader.read(pictures), write_times, strict=True)
    ]
    return pa.RecordBatch.from_pylist(rows, _RESULT)


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
    }


def _ink(prepared: bytes | None) -> float | None:
    return None if prepared is None else ink_shares(np.frombuffer(prepared, np.uint8)[np.newaxis])[0]
