"""Labelled pictures on Spark in, a bundle's answers to them out; the workers decode, normalise and predict."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from inkstream.arrow import map_in_arrow
from inkstream.dataset.preparing import READ_DDL, ReadTask, read_batches
from inkstream.dataset.sources import TEST
from inkstream.errors import BundleError, SettingError
from inkstream.model.augment import SIDE
from inkstream.model.bundle import Bundle, bundle_from_bytes, bundle_to_bytes
from inkstream.model.engine import Engine, open_engine
from inkstream.records import LABELLED_PICTURE
from inkstream.settings import ImageSettings

ANSWER_DDL = (
    "name string, source string, truth int, answer int, confidence float, probabilities array<float>, pixels binary"
)
_ANSWER_SCHEMA = pa.schema(
    [
        ("name", pa.string()),
        ("source", pa.string()),
        ("truth", pa.int32()),
        ("answer", pa.int32()),
        ("confidence", pa.float32()),
        ("probabilities", pa.list_(pa.float32())),
        ("pixels", pa.binary()),
    ]
)
WORST = 60  # mistakes that are shown


class BroadcastBytes(Protocol):
    @property
    def value(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class AnswerTask:
    bundle: BroadcastBytes
    version: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Mistake:
    """pixels: 784 bytes, what the model saw. given: what it gave the truth, 0..1."""

    name: str
    source: str
    truth: str
    answer: str
    confidence: float
    given: float
    pixels: bytes


@dataclass(frozen=True, slots=True)
class Answers:
    """probabilities: float32 (N, classes); truths: int64 (N,). rejected: source, reason code and how many."""

    probabilities: np.ndarray[Any, Any]
    truths: np.ndarray[Any, Any]
    worst: list[Mistake]
    rejected: list[tuple[str, str, int]]


def answer_pictures(spark: SparkSession, pictures: DataFrame, bundle: Bundle, limits: ImageSettings) -> Answers:
    """records.LABELLED_PICTURE in. Of sources with test pictures of their own only those are asked.

    Raises:
        BundleError: the bundle does not take prepared 28x28 pictures.
        SettingError: not one picture could be answered.
    """
    if bundle.input_shape != (SIDE, SIDE):
        raise BundleError(f"bundle {bundle.version[:12]} takes {bundle.input_shape}; evaluate reads {SIDE}x{SIDE}")
    with_tests = [row[0] for row in pictures.where(F.col("split_hint") == TEST).select("source").distinct().collect()]
    asked = pictures.where(~F.col("source").isin(with_tests) | (F.col("split_hint") == TEST))
    cores = spark.sparkContext.defaultParallelism
    spread = asked.select(*LABELLED_PICTURE).repartition(4 * cores)
    read = map_in_arrow(spread, partial(read_batches, ReadTask(limits, bundle.labels)), READ_DDL)
    read = read.persist()
    left = read.where("reason_code is not null").groupBy("source", "reason_code").count().collect()
    task = AnswerTask(spark.sparkContext.broadcast(bundle_to_bytes(bundle)), bundle.version, bundle.labels)
    prepared = read.where("reason_code is null").select("name", "source", "label", "pixels")
    answers = map_in_arrow(prepared, partial(answer_batches, task), ANSWER_DDL).persist()
    rows = answers.select("truth", "probabilities").toPandas()
    if rows.empty:
        told = ", ".join(f"{row.reason_code}: {row['count']}" for row in left) or "the sources are empty"
        raise SettingError(f"Not one picture could be answered ({told})")
    wrong = answers.where("answer <> truth").orderBy(F.desc("confidence"), "source", "name").limit(WORST)
    worst = [_mistake(row, bundle.labels) for row in wrong.collect()]
    answers.unpersist()
    read.unpersist()
    rejected = sorted((row.source, row.reason_code, row["count"]) for row in left)
    probabilities = np.stack(rows["probabilities"].to_list()).astype(np.float32)
    return Answers(probabilities, rows["truth"].to_numpy(np.int64), worst, rejected)


# One engine a worker process, as in the stream: what a job defines is pickled by value and new for every task.
_engines: dict[str, Engine] = {}


def answer_batches(task: AnswerTask, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """name, source, label and pixels in; a row of ANSWER_DDL for each out, in order."""
    if task.version not in _engines:
        _engines.clear()
        _engines[task.version] = open_engine(bundle_from_bytes(task.bundle.value))
    places = {label: place for place, label in enumerate(task.labels)}
    for batch in batches:
        if not batch.num_rows:
            continue
        raw = b"".join(batch.column("pixels").to_pylist())
        found = _engines[task.version].predict(np.frombuffer(raw, np.uint8).reshape(-1, SIDE, SIDE))
        columns = [
            batch.column("name"),
            batch.column("source"),
            pa.array([places[label] for label in batch.column("label").to_pylist()], pa.int32()),
            pa.array(found.argmax(axis=1), pa.int32()),
            pa.array(found.max(axis=1), pa.float32()),
            pa.array(list(found), pa.list_(pa.float32())),
            batch.column("pixels"),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=_ANSWER_SCHEMA)


def _mistake(row: Any, labels: tuple[str, ...]) -> Mistake:
    truth, answer = labels[row.truth], labels[row.answer]
    confidence, given = float(row.confidence), float(row.probabilities[row.truth])
    return Mistake(row.name, row.source, truth, answer, confidence, given, bytes(row.pixels))
