"""A micro-batch's results in; by Spark's own writers, a job a table and topic, rows and messages out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.util import inheritable_thread_target

from inkstream.errors import ServiceError
from inkstream.records import (
    ANSWER_SCHEMA_VERSION,
    IMAGES,
    INLINE_BYTES,
    PREDICTIONS,
    PREDICTIONS_BY_DAY,
    REJECTED,
)
from inkstream.settings import Settings
from inkstream.store.tables import CONNECTOR
from inkstream.stream.arrivals import ORIGIN, Origin
from inkstream.stream.source import kafka_options

# How rows travel to Cassandra, as the connector's options. Rows of one partition are one mutation, and only
# predictions_by_day has many of them: with the connector's own 1 KiB it took two to three times as long. Rows of
# partitions of their own share a request: Cassandra writes one after the other, and that spares it half of the work
# (20,000 rows of each of images and predictions: 2.8 -> 1.7 s). Counted in bytes, so that larger pictures go alone.
EACH_ALONE: Mapping[str, str] = {}
TOGETHER: Mapping[str, str] = {"batch.grouping.key": "none", "batch.size.bytes": str(16 * 1024)}
BY_PARTITION: Mapping[str, str] = {"batch.size.bytes": str(64 * 1024)}


class StuckError(ServiceError):
    """A write that neither ends nor fails: its thread cannot be stopped, so the process must end, and at once."""


class SparkWriter:
    """Writes DataFrames of records.RESULT; each write of a step by a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="sink")

    def close(self) -> None:
        """Let go of the writing threads."""
        self._threads.shutdown()

    def store(self, rows: DataFrame, *, large: bool) -> None:
        """Write each row into its tables. Raises what Spark, or Cassandra by it, raises."""
        travel = EACH_ALONE if large else TOGETHER
        if large:  # a picture's parts before the row that names it
            self._save(_parts(rows), "image_parts", ["image_id", "part", "bytes"])
        images = partial(self._save, rows.withColumn("bytes", _inline_bytes()), "images", IMAGES, travel)
        self._together("Cassandra", images, *self._predictions(rows, travel))

    def store_shadow(self, rows: DataFrame) -> None:
        """Write what a version says that answers beside the current one, which has written the pictures."""
        self._together("Cassandra", *self._predictions(rows, EACH_ALONE))

    def _predictions(self, rows: DataFrame, travel: Mapping[str, str]) -> list[Callable[[], None]]:
        return [
            partial(self._save, rows, "predictions", PREDICTIONS, travel),
            partial(self._save, rows, "predictions_by_day", PREDICTIONS_BY_DAY, BY_PARTITION),
        ]

    def publish(self, rows: DataFrame, *, rejected: bool) -> None:
        """Send each row's answer and, where some are rejected, a copy of each of those. Raises what Spark raises."""
        topics = [partial(self._publish, _answers(rows), self._settings.kafka.predicted)]
        if rejected:
            topics.append(partial(self._publish, _rejected_copies(rows), self._settings.kafka.rejected))
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
        save_rows(rows, self._settings.cassandra.keyspace, table, columns, travel)

    def _publish(self, rows: DataFrame, topic: str) -> None:
        (
            rows.write.format("kafka")
            .options(**kafka_options(self._settings.kafka), topic=topic, includeHeaders="true")
            .option("kafka.max.request.size", str(self._settings.image.max_copy_bytes))
            .option("kafka.acks", "all")
            .save()
        )


def save_rows(
    rows: DataFrame, keyspace: str, table: str, columns: Iterable[str], travel: Mapping[str, str] = EACH_ALONE
) -> None:
    """Write those columns of the rows into the table, as of their `write_time`. Raises what Spark raises."""
    (
        rows.select(*columns, "write_time")
        .write.format(CONNECTOR)
        # A long in microseconds; a timestamp column would be taken in milliseconds, without a word.
        .options(table=table, keyspace=keyspace, writetime="write_time")
        .options(**{f"spark.cassandra.output.{name}": value for name, value in travel.items()})
        .mode("append")
        .save()
    )


def with_bytes(batch: DataFrame, results: DataFrame) -> DataFrame:
    """The results of large pictures with their bytes, which never travelled through Python: from Kafka again."""
    bytes_ = batch.select(*ORIGIN, F.col("value").alias("bytes"), F.col("headers").alias("headers"))
    joined = bytes_.join(F.broadcast(results.drop("bytes", "headers")), ORIGIN, "inner")
    return joined.withColumn("sha256", F.coalesce("sha256", F.sha2("bytes", 256)))


def without(rows: DataFrame, losers: list[Origin]) -> DataFrame:
    """The rows whose messages are none of the losers."""
    if not losers:
        return rows
    unwanted = rows.sparkSession.createDataFrame(losers, "topic string, partition int, offset bigint")
    return rows.join(F.broadcast(unwanted), ORIGIN, "left_anti")


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
        *(_header(f"origin-{name}", F.col(name)) for name in ORIGIN),
    )
    headers = F.concat(ours, F.coalesce("headers", F.array().cast("array<struct<key:string,value:binary>>")))
    return rows.where(F.col("outcome") == REJECTED).select(
        F.col("image_id").alias("key"), F.col("bytes").alias("value"), headers.alias("headers")
    )
