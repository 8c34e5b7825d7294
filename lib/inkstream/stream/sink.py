"""A micro-batch of uploads in; rows in Cassandra, then answers and rejected copies in Kafka, out.

Tables are exactly once in effect: keys and write timestamps come from the message alone, so a replay changes nothing.
Topics are at least once: after a crash an answer may come twice, with the same key and origin.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from time import perf_counter

from py4j.protocol import Py4JJavaError
from pyspark import StorageLevel
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.util import inheritable_thread_target

from inkstream.errors import ServiceError
from inkstream.records import (
    ANSWER_SCHEMA_VERSION,
    DEFERRED,
    IMAGES,
    INLINE_BYTES,
    NO_MODEL,
    PREDICTIONS,
    PREDICTIONS_BY_DAY,
    REJECTED,
    RESULT_DDL,
)
from inkstream.settings import Settings
from inkstream.stream.arrivals import Arrival, Ledger, Origin, collect_arrivals, decide
from inkstream.stream.predict import PredictTask, predict_batches
from inkstream.stream.source import LARGE_ROWS, SMALL_ROWS, kafka_options, uploads_of

log = logging.getLogger(__name__)

# A task that writes costs the connector 50 to 100 ms before its first row (it asks Scala's reflection for a converter a
# column): few rows are written by one task a table, many by one a core, however many partitions the topic has.
FEW_ROWS = 500

WORKER_DIED = "Python worker exited unexpectedly"  # Spark's words

# How rows travel to Cassandra, as the connector's options. Rows of one partition are one mutation, and only
# predictions_by_day has many of them: with the connector's own 1 KiB it took two to three times as long. Rows of
# partitions of their own share a request where there are many: Cassandra writes one after the other. That would cost a
# few rows milliseconds of waiting, and spares it half of the work for many (20,000 rows of each of images and
# predictions: 2.8 -> 1.7 s). Counted in bytes, so that larger pictures go alone.
EACH_ALONE: Mapping[str, str] = {}
TOGETHER: Mapping[str, str] = {"batch.grouping.key": "none", "batch.size.bytes": str(16 * 1024)}
BY_PARTITION: Mapping[str, str] = {"batch.size.bytes": str(64 * 1024)}

_ORIGIN = ["topic", "partition", "offset"]


@dataclass
class BatchReport:
    """What a micro-batch did: rows, outcomes, reasons, seconds by stage (predict, find, tables, topics; batch: all)."""

    batch_id: int
    rows: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, arrivals: list[Arrival]) -> int:
        """Count what was answered; returns how many of it was rejected."""
        answered = [arrival for arrival in arrivals if arrival.outcome != DEFERRED]
        rejected = [arrival for arrival in answered if arrival.outcome == REJECTED]
        self.rows += len(answered)
        self.outcomes.update(arrival.outcome for arrival in answered)
        self.reasons.update(arrival.reason_code or "" for arrival in rejected)
        return len(rejected)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the seconds inside to the stage's."""
        started = perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + perf_counter() - started


class StuckError(ServiceError):
    """A write that neither ends nor fails: its thread cannot be stopped, so the process must end, and at once."""


class StoppedError(Exception):
    """Ends the query before a micro-batch that it was told not to begin; nothing of that one is done."""


class Sink:
    """Stores and answers micro-batches; `store_batch` is what foreachBatch calls."""

    def __init__(
        self, settings: Settings, ledger: Ledger, task: PredictTask, report: Callable[[BatchReport], None]
    ) -> None:
        self.task = task  # another model is another task, taken over between micro-batches
        self.shadow: PredictTask | None = None  # answers beside it: its rows are stored, its answers not published
        self._answering = task  # the task of the running micro-batch: its two passes ask the same model
        self._settings = settings
        self._ledger = ledger
        self._report = report
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="sink")
        self.stopping = threading.Event()  # once set, no further micro-batch is begun
        self.failure: Exception | None = None  # what ended a micro-batch; Spark hands on little more than that it did

    def close(self) -> None:
        """Let go of the writing threads."""
        self._threads.shutdown()

    def store_batch(self, batch: DataFrame, batch_id: int) -> None:
        """Predict once, store every row, then publish every answer. Raises what Spark or Cassandra raises."""
        if self.stopping.is_set():
            raise StoppedError
        self._answering = self.task
        report = BatchReport(batch_id)
        held: list[DataFrame] = []
        try:
            with report.timed("batch"):
                arrivals = self._answer_batch(batch, report, held)
                now = datetime.now(timezone.utc)
                self._ledger.record_progress(arrivals, now)
                self._ledger.mark_days(arrivals, now)
                if arrivals:
                    self._ledger.await_on_disk()  # before Spark's commit says that the micro-batch is done
            if arrivals:
                self._report(report)
        except Exception as error:
            self.failure = error
            raise
        finally:
            for results in held:
                results.unpersist()

    def _answer_batch(self, batch: DataFrame, report: BatchReport, held: list[DataFrame]) -> list[Arrival]:
        small, arrivals = self._predict(batch, report, held, large=False)
        if not arrivals:
            return []
        with report.timed("find"):
            forgotten = self._ledger.find_forgotten(arrivals)
            kept = [arrival for arrival in arrivals if arrival.image_id not in forgotten]
            gone = [arrival.origin for arrival in arrivals if arrival.image_id in forgotten]
            decision = decide(kept, self._ledger.find_stored(kept))
            self._ledger.remove_superseded(decision.superseded)
        small = _without(small, gone)
        deferred = any(arrival.outcome == DEFERRED for arrival in kept)
        rejected = report.add(kept)
        rows = small.where(F.col("outcome") != DEFERRED) if deferred else small
        cores = batch.sparkSession.sparkContext.defaultParallelism
        many = len(arrivals) > FEW_ROWS
        rows = rows.coalesce(cores if many else 1)
        self._write(rows, decision.losers, report, rejected=rejected, many=many)
        if deferred:
            large, answered = self._predict(batch, report, held, large=True)
            rejected = report.add([arrival for arrival in answered if arrival.image_id not in forgotten])
            self._write(
                _with_bytes(batch, _without(large, gone)), decision.losers, report, rejected=rejected, large=True
            )
        if self.shadow is not None:
            self._write_shadow(self.shadow, batch, [*gone, *decision.losers], report, held)
        return arrivals

    def _write_shadow(
        self, task: PredictTask, batch: DataFrame, unwanted: list[Origin], report: BatchReport, held: list[DataFrame]
    ) -> None:
        """Rows of the shadow version, in the tables alone. What goes wrong with it is told, and stops no answer."""
        try:
            deferred = False
            for large in (False, True):
                if large and not deferred:
                    break
                results, arrivals = self._predict(batch, report, held, large=large, task=task)
                deferred = any(arrival.outcome == DEFERRED for arrival in arrivals)
                kept = (F.col("outcome") != DEFERRED) & (F.col("model_version") != NO_MODEL)
                rows = _without(results, unwanted).where(kept).coalesce(1)
                with report.timed("shadow"):
                    self._together(
                        "Cassandra",
                        partial(self._save, rows, "predictions", PREDICTIONS),
                        partial(self._save, rows, "predictions_by_day", PREDICTIONS_BY_DAY, BY_PARTITION),
                    )
        except Exception as error:
            self.shadow = None
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            log.error("the shadow version %s stopped answering: %s", task.version[:12], reason)

    def _predict(
        self,
        batch: DataFrame,
        report: BatchReport,
        held: list[DataFrame],
        *,
        large: bool,
        task: PredictTask | None = None,
        apart: bool = False,
    ) -> tuple[DataFrame, list[Arrival]]:
        """The micro-batch's results, computed and held, and what they are of.

        Where a picture kills the worker that reads it, all are read once more, each in a limited process.
        """
        batch.sparkSession.conf.set(
            "spark.sql.execution.arrow.maxRecordsPerBatch", str(LARGE_ROWS if large else SMALL_ROWS)
        )
        asked = replace(task or self._answering, defer=not large, apart=apart)
        uploads = uploads_of(batch, self._settings, large=large)
        results = uploads.mapInArrow(partial(predict_batches, asked), RESULT_DDL)
        with report.timed("shadow" if task else "predict"):
            held.append(results.persist(StorageLevel.MEMORY_AND_DISK))
            try:
                return results, collect_arrivals(results)
            except (Py4JJavaError, PySparkException) as error:
                if apart or WORKER_DIED not in str(error):
                    raise
        log.warning("a Python worker died of micro-batch %d; its pictures are read again, apart", report.batch_id)
        return self._predict(batch, report, held, large=large, task=task, apart=True)

    def _write(
        self,
        rows: DataFrame,
        losers: list[Origin],
        report: BatchReport,
        *,
        rejected: int,
        many: bool = False,
        large: bool = False,
    ) -> None:
        """Tables first, then topics: a row is stored, and on disk, before its answer is published."""
        storable = _without(rows, losers)
        travel = TOGETHER if many else EACH_ALONE
        with report.timed("tables"):
            if large:  # a picture's parts before the row that names it
                self._save(_parts(storable), "image_parts", ["image_id", "part", "bytes"])
            self._together(
                "Cassandra",
                partial(self._save, storable.withColumn("bytes", _inline_bytes()), "images", IMAGES, travel),
                partial(self._save, storable, "predictions", PREDICTIONS, travel),
                partial(self._save, storable, "predictions_by_day", PREDICTIONS_BY_DAY, BY_PARTITION),
            )
            self._ledger.await_on_disk()
        topics = [partial(self._publish, _answers(rows), self._settings.kafka.predicted)]
        if rejected:
            topics.append(partial(self._publish, _rejected_copies(rows), self._settings.kafka.rejected))
        with report.timed("topics"):
            self._together("Kafka", *topics)

    def _together(self, end: str, *writes: Callable[[], None]) -> None:
        """Run the writes to the end side by side; all end before the first error is raised.

        The connector was seen to wait for ever on a node that had been restarted under it: hence the limit.
        """
        limit = self._settings.stream.write_limit_s
        futures = [self._threads.submit(inheritable_thread_target(write)) for write in writes]
        if wait(futures, timeout=limit).not_done:
            raise StuckError(
                f"{end} has not taken a micro-batch's rows within stream.write_limit_s, {limit:g} s; "
                "nothing is lost, start the stream again when `./submit.sh status` shows it up"
            )
        errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error

    def _save(
        self, rows: DataFrame, table: str, columns: Iterable[str], travel: Mapping[str, str] = EACH_ALONE
    ) -> None:
        (
            rows.select(*columns, "write_time")
            .write.format("org.apache.spark.sql.cassandra")
            # A long in microseconds; a timestamp column would be taken in milliseconds, without a word.
            .options(table=table, keyspace=self._settings.cassandra.keyspace, writetime="write_time")
            .options(**{f"spark.cassandra.output.{name}": value for name, value in travel.items()})
            .mode("append")
            .save()
        )

    def _publish(self, rows: DataFrame, topic: str) -> None:
        (
            rows.write.format("kafka")
            .options(**kafka_options(self._settings.kafka), topic=topic, includeHeaders="true")
            .option("kafka.max.request.size", str(self._settings.image.max_copy_bytes))
            .option("kafka.acks", "all")
            .save()
        )


def _with_bytes(batch: DataFrame, results: DataFrame) -> DataFrame:
    """The results of large pictures with their bytes, which never travelled through Python: from Kafka again."""
    bytes_ = batch.select(*_ORIGIN, F.col("value").alias("bytes"), F.col("headers").alias("headers"))
    joined = bytes_.join(F.broadcast(results.drop("bytes", "headers")), _ORIGIN, "inner")
    return joined.withColumn("sha256", F.coalesce("sha256", F.sha2("bytes", 256)))


def _without(rows: DataFrame, losers: list[Origin]) -> DataFrame:
    if not losers:
        return rows
    unwanted = rows.sparkSession.createDataFrame(losers, "topic string, partition int, offset bigint")
    return rows.join(F.broadcast(unwanted), _ORIGIN, "left_anti")


def _inline_bytes() -> Column:
    return F.when(F.length("bytes") <= INLINE_BYTES, F.col("bytes"))


def _parts(rows: DataFrame) -> DataFrame:
    """The bytes of pictures over 1 MiB, cut into parts of 1 MiB."""
    parts = F.expr(
        f"transform(sequence(0, (length(bytes) - 1) div {INLINE_BYTES}), "
        f"i -> named_struct('part', int(i), 'bytes', substring(bytes, int(i * {INLINE_BYTES} + 1), {INLINE_BYTES})))"
    )
    exploded = rows.where(F.length("bytes") > INLINE_BYTES).select(
        "image_id", "write_time", F.explode(parts).alias("p")
    )
    return exploded.select("image_id", "p.part", "p.bytes", "write_time")


def _header(name: str, value: Column) -> Column:
    return F.struct(F.lit(name).alias("key"), value.cast("string").cast("binary").alias("value"))


def _answers(rows: DataFrame) -> DataFrame:
    version = F.array(_header("schema-version", F.lit(ANSWER_SCHEMA_VERSION)))
    return rows.select(F.col("image_id").alias("key"), F.col("answer").alias("value"), version.alias("headers"))


def _rejected_copies(rows: DataFrame) -> DataFrame:
    ours = F.array(
        _header("reason-code", F.col("reason_code")),
        _header("reason", F.col("reason")),
        *(_header(f"origin-{name}", F.col(name)) for name in _ORIGIN),
    )
    headers = F.concat(ours, F.coalesce("headers", F.array().cast("array<struct<key:string,value:binary>>")))
    return rows.where(F.col("outcome") == REJECTED).select(
        F.col("image_id").alias("key"), F.col("bytes").alias("value"), headers.alias("headers")
    )
