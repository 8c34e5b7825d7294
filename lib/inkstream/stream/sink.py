"""A micro-batch of uploads in; rows in Cassandra, then answers and rejected copies in Kafka, out.

Tables are exactly once in effect: keys and write timestamps come from the message alone, so a replay changes nothing.
Topics are at least once: after a crash an answer may come twice, with the same key and origin.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property, lru_cache, partial
from time import perf_counter

from kafka.errors import KafkaError
from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming import StreamingQuery

from inkstream.arrow import ArrowMap
from inkstream.errors import ServiceError
from inkstream.records import DEFERRED, NO_MODEL, REJECTED, RESULT_DDL
from inkstream.settings import Settings
from inkstream.store.session import CASSANDRA_ERRORS
from inkstream.stream.arrivals import Arrival, Ledger, Origin, Row, arrivals_of, collect_arrivals, decide
from inkstream.stream.few import FEW_ROWS, Publisher, add_bytes, are_few, collect_rows, origin_of
from inkstream.stream.many import SparkWriter, with_bytes, without
from inkstream.stream.predict import PredictTask, predict_batches
from inkstream.stream.source import (
    LARGE_ROWS,
    SMALL_ROWS,
    UPLOAD_COLUMNS,
    UPLOADS_DDL,
    large_pictures,
    rows_under_way,
    uploads_of,
)

log = logging.getLogger(__name__)

WORKER_DIED = "Python worker exited unexpectedly"  # Spark's words
# Uploads that are worth a task. One that brings two costs as much as a few dozen pictures: ten or a hundred uploads a
# second, one task a micro-batch instead of one a partition, took 0.7 of the CPU and of the time to the row.
TASK_ROWS = 128


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
        rejected = [arrival for arrival in arrivals if arrival.outcome == REJECTED]
        self.rows += len(arrivals)
        self.outcomes.update(arrival.outcome for arrival in arrivals)
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


class StoppedError(Exception):
    """Ends the query before a micro-batch that it was told not to begin; nothing of that one is done."""


@dataclass(frozen=True)
class _Pass:
    """What one pass over a micro-batch answered.

    batch: the messages, with the pictures' bytes. results: computed and held; other messages' too. rows: the same on
    the driver, or none. answered: the messages whose rows are wanted, unwanted: others. losers: those that are answered
    and not stored, a newer upload of their id is. large: the results lack the pictures' bytes.
    """

    batch: DataFrame
    results: DataFrame
    rows: list[Row]
    answered: list[Arrival]
    unwanted: list[Origin]
    losers: list[Origin]
    large: bool

    @cached_property
    def frame(self) -> DataFrame:
        """The rows of what was answered, with the pictures' bytes, for Spark to write."""
        rows = without(self.results, self.unwanted)
        if self.large:
            return with_bytes(self.batch, rows)
        # A task that writes costs the connector 50 to 100 ms before its first row (it asks Scala's reflection for a
        # converter a column): one a core, however many partitions the topic has.
        cores = self.batch.sparkSession.sparkContext.defaultParallelism
        return rows.where(F.col("outcome") != DEFERRED).coalesce(cores)

    def collect(self) -> list[Row]:
        """The same on the driver, for it to write."""
        wanted = {arrival.origin for arrival in self.answered}
        rows = [row for row in self.rows or collect_rows(self.results) if origin_of(row) in wanted]
        if self.large:
            add_bytes(rows, large_pictures(self.batch))
        return rows


class Sink:
    """Stores and answers micro-batches; `store_batch` is what foreachBatch calls.

    few_rows: up to so many uploads are written by the driver itself, more by Spark.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        task: PredictTask,
        report: Callable[[BatchReport], None],
        few_rows: int = FEW_ROWS,
    ) -> None:
        self.task = task  # another model is another task, taken over between micro-batches
        self.shadow: PredictTask | None = None  # answers beside it: its rows are stored, its answers not published
        self._answering = task  # the task of the running micro-batch: its two passes ask the same model
        self._settings = settings
        self._ledger = ledger
        self._report = report
        self._few_rows = few_rows
        self._answers = lru_cache(maxsize=8)(_answers)  # two passes, two ways to read, two models
        self.query: StreamingQuery | None = None  # what calls store_batch, once it is known
        self._publisher = Publisher(settings)
        self._spark_writer = SparkWriter(settings)
        self.begun = threading.Event()  # set with the first micro-batch that brings something
        self.stopping = threading.Event()  # once set, no further micro-batch is begun
        self.failure: Exception | None = None  # what ended a micro-batch; Spark hands on little more than that it did

    def close(self) -> None:
        """Let go of the connection to Kafka and of the writing threads."""
        self._publisher.close()
        self._spark_writer.close()

    def store_batch(self, batch: DataFrame, batch_id: int) -> None:
        """Predict once, store every row, then publish every answer. Raises what Spark or Cassandra raises."""
        self.begun.set()
        if self.stopping.is_set():
            raise StoppedError
        self._answering = self.task
        report = BatchReport(batch_id)
        with _holding() as held:
            try:
                self._answer_and_record(batch, report, held)
            except Exception as error:
                self.failure = error
                raise

    def _answer_and_record(self, batch: DataFrame, report: BatchReport, held: list[DataFrame]) -> None:
        with report.timed("batch"):
            arrivals = self._answer_batch(batch, report, held)
            if arrivals:
                self._ledger.record_progress(arrivals, datetime.now(timezone.utc))
                self._ledger.await_on_disk()  # before Spark's commit says that the micro-batch is done
        if arrivals:
            self._report(report)
        else:  # Spark's first, where the stream starts at the topic's end
            self.begun.clear()

    def rehearse(self, spark: SparkSession, picture: bytes) -> None:
        """Answer a picture that nobody sent, and keep nothing of it: what runs for the first time runs slowly.

        Raises what Spark raises, and ServiceError where Kafka is away.
        """
        batch = spark.createDataFrame([(b"", picture, [], "", 0, 0, datetime.now())], UPLOADS_DDL)
        with _holding() as held:
            self._predict(batch, BatchReport(-1), held, large=False)
        self._publisher.connect()

    def _answer_batch(self, batch: DataFrame, report: BatchReport, held: list[DataFrame]) -> list[Arrival]:
        small, arrivals, rows = self._predict(batch, report, held, large=False)
        if not arrivals:
            return []
        with report.timed("find"):
            forgotten = self._ledger.find_forgotten(arrivals)
            kept = [arrival for arrival in arrivals if arrival.image_id not in forgotten]
            gone = [arrival.origin for arrival in arrivals if arrival.image_id in forgotten]
            decision = decide(kept, self._ledger.find_stored(kept))
            self._ledger.remove_superseded(decision.superseded)
        answered = [arrival for arrival in kept if arrival.outcome != DEFERRED]
        self._write(_Pass(batch, small, rows, answered, gone, decision.losers, large=False), report)
        if len(answered) < len(kept):
            large, arrived, rows = self._predict(batch, report, held, large=True)
            answered = [arrival for arrival in arrived if arrival.image_id not in forgotten]
            self._write(_Pass(batch, large, rows, answered, gone, decision.losers, large=True), report)
        if self.shadow is not None:
            self._write_shadow(self.shadow, batch, [*gone, *decision.losers], report, held)
        return arrivals

    def _write(self, part: _Pass, report: BatchReport) -> None:
        """Tables first, then topics: a row is stored, and on disk, before its answer is published."""
        if not part.answered:  # the small pass over large pictures alone
            return
        rejected = report.add(part.answered)
        with report.timed("tables"):
            few = part.collect() if are_few(part.answered, self._few_rows) else []
            losers = set(part.losers)
            if not (few and self._short_cut(self._ledger.store, [row for row in few if origin_of(row) not in losers])):
                self._spark_writer.store(without(part.frame, part.losers), large=part.large)
            self._ledger.await_on_disk()
        with report.timed("topics"):
            if not (few and self._short_cut(self._publisher.publish, few)):
                self._spark_writer.publish(part.frame, rejected=rejected > 0)

    def _short_cut(self, write: Callable[[list[Row]], None], rows: list[Row]) -> bool:
        """Whether the driver could write the rows; if not, Spark's turn comes, which tries again and waits longer.

        Written twice they are written once: the tables by key and time, the topics at least once as ever.
        """
        try:
            write(rows)
        except (*CASSANDRA_ERRORS, KafkaError, ServiceError) as error:
            log.warning("the driver could not write %d rows (%s); Spark does", len(rows), type(error).__name__)
            return False
        return True

    def _write_shadow(
        self, task: PredictTask, batch: DataFrame, unwanted: list[Origin], report: BatchReport, held: list[DataFrame]
    ) -> None:
        """Rows of the shadow version, in the tables alone. What goes wrong with it is told, and stops no answer."""
        try:
            deferred = False
            for large in (False, True):
                if large and not deferred:
                    break
                results, arrivals, _ = self._predict(batch, report, held, large=large, task=task)
                deferred = any(arrival.outcome == DEFERRED for arrival in arrivals)
                kept = (F.col("outcome") != DEFERRED) & (F.col("model_version") != NO_MODEL)
                with report.timed("shadow"):
                    self._spark_writer.store_shadow(without(results, unwanted).where(kept).coalesce(1))
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
    ) -> tuple[DataFrame, list[Arrival], list[Row]]:
        """The micro-batch's results, held unless they are few, what they are of, and themselves where they are few.

        Where a picture kills the worker that reads it, all are read once more, each in a limited process.
        """
        batch.sparkSession.conf.set(
            "spark.sql.execution.arrow.maxRecordsPerBatch", str(LARGE_ROWS if large else SMALL_ROWS)
        )
        asked = replace(task or self._answering, defer=not large, apart=apart)
        count = None if large else rows_under_way(self.query)
        uploads, tasks = self._uploads(batch, count, large=large)
        few = task is None and count is not None and count <= min(TASK_ROWS, self._few_rows)
        results = self._answers(asked)(uploads)
        with report.timed("shadow" if task else "predict"):
            try:
                if few:
                    rows = collect_rows(results)  # all there is, and Spark need not hold it
                    return results, arrivals_of(rows), rows
                # Not as bytes: those are copied at each of five readings (a fifth slower on two cores), and once more
                # where they do not fit, which was too much for the heap.
                held.append(results.persist())
                return results, *collect_arrivals(results, 0 if task else -(-self._few_rows // tasks))
            except (Py4JJavaError, PySparkException) as error:
                if apart or WORKER_DIED not in str(error):
                    raise
        log.warning("a Python worker died of micro-batch %d; its pictures are read again, apart", report.batch_id)
        return self._predict(batch, report, held, large=large, task=task, apart=True)

    def _uploads(self, batch: DataFrame, count: int | None, *, large: bool) -> tuple[DataFrame, int]:
        """What a pass over the micro-batch reads, in as many tasks as `count` uploads are worth; how many those are."""
        uploads = uploads_of(batch, self._settings, large=large)
        if count is not None:
            tasks = max(1, -(-count // TASK_ROWS))
            if tasks <= batch.sparkSession.sparkContext.defaultParallelism:
                return uploads.coalesce(tasks), tasks
        return uploads, self._settings.kafka.partitions


@contextmanager
def _holding() -> Iterator[list[DataFrame]]:
    """A list of results that Spark holds; it lets go of them on leaving."""
    held: list[DataFrame] = []
    try:
        yield held
    finally:
        for results in held:
            results.unpersist()


def _answers(task: PredictTask) -> ArrowMap:
    return ArrowMap(partial(predict_batches, task), RESULT_DDL, UPLOAD_COLUMNS)
