"""What there is to compare: Kafka's messages and answers, Cassandra's rows and what the stream recorded, as DataFrames.

Everything is read in an order that lets a stream go on meanwhile: what it recorded first, then the answers, the tables,
and the uploads last. So each message that is judged was stored and answered before its row is looked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from cassandra.cluster import Session
from kafka import KafkaConsumer, TopicPartition
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from inkstream.arrow import map_in_arrow
from inkstream.errors import ServiceError
from inkstream.records import image_id, write_time_us
from inkstream.settings import KafkaSettings, Settings
from inkstream.store.kafka_client import build_client
from inkstream.store.tables import read_table
from inkstream.stream.source import kafka_options

Ranges = dict[int, list[tuple[int, int]]]  # partition -> [from (inclusive), until (exclusive)], merged, ascending

MESSAGE_DDL = "image_id string, partition int, offset bigint, write_time bigint"
_MESSAGE = pa.schema(
    [("image_id", pa.string()), ("partition", pa.int32()), ("offset", pa.int64()), ("write_time", pa.int64())]
)
_IMAGES = ("image_id", "topic", "partition", "offset", "size_bytes")
_BY_DAY = ("image_id", "model_version", "topic", "partition", "offset", "outcome", "label", "confidence")
_PREDICTIONS = ("image_id", "model_version", "outcome", "label", "confidence")
_ANSWER_DDL = (
    "id string, outcome string, label string, model_version string, "
    "origin struct<topic: string, partition: int, offset: bigint>"
)


@dataclass(frozen=True)
class Evidence:
    """DataFrames, computed and held. Rows and answers are of the topic `topic` alone, forgotten ids still in them.

    messages: image_id, partition, offset, write_time, recorded. answers: image_id, partition, offset, outcome, label,
    model_version. images, by_day, predictions: those columns of the tables. parts: image_id, parts.
    """

    topic: str
    ranges: Ranges
    begins: dict[int, int]
    ends: dict[int, int]
    answers_complete: bool  # retention has taken none of the answers yet
    messages: DataFrame
    answers: DataFrame
    images: DataFrame
    by_day: DataFrame
    predictions: DataFrame
    parts: DataFrame
    forgotten: DataFrame

    def release(self) -> None:
        """Let go of the memory and disk that hold the DataFrames."""
        for held in (self.messages, self.answers, self.images, self.by_day, self.predictions, self.forgotten):
            held.unpersist()


def read_ranges(session: Session, topic: str) -> Ranges:
    """The offsets that the stream recorded as stored and answered. Raises ServiceError where there are none."""
    ranges: Ranges = {}
    rows = session.execute("SELECT topic, partition, from_offset, until_offset FROM stream_progress")
    for row in sorted((row for row in rows if row.topic == topic), key=lambda row: (row.partition, row.from_offset)):
        merged = ranges.setdefault(row.partition, [])
        if merged and row.from_offset <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], row.until_offset))
        else:
            merged.append((row.from_offset, row.until_offset))
    if not ranges:
        raise ServiceError(
            f"The stream has recorded nothing of topic {topic} yet, so there is nothing to verify; run `./submit.sh "
            "stream --once` first, or is kafka.topic_prefix or cassandra.keyspace wrong?"
        )
    return ranges


def gather(spark: SparkSession, session: Session, settings: Settings) -> Evidence:
    """Read everything, in the order that a running stream allows. Raises ServiceError."""
    kafka = settings.kafka
    ranges = read_ranges(session, kafka.uploaded)
    answered_from, answered_until = offsets_of(kafka, kafka.predicted)
    answers = _held(_answers(spark, settings, answered_until))
    forgotten = _held(read_table(spark, settings, "forgotten").select("image_id"))
    of_topic = F.col("topic") == kafka.uploaded
    images = _held(read_table(spark, settings, "images").select(*_IMAGES).where(of_topic))
    by_day = _held(read_table(spark, settings, "predictions_by_day").select(*_BY_DAY).where(of_topic))
    predictions = _held(read_table(spark, settings, "predictions").select(*_PREDICTIONS))
    parts = read_table(spark, settings, "image_parts").select("image_id", "part").groupBy("image_id")
    begins, ends = offsets_of(kafka, kafka.uploaded)
    messages = _held(_messages(spark, settings, ends).withColumn("recorded", _within(ranges)))
    return Evidence(
        kafka.uploaded,
        ranges,
        begins,
        ends,
        not any(answered_from.values()),
        messages,
        answers,
        images,
        by_day,
        predictions,
        parts.agg(F.count("part").alias("parts")),
        forgotten,
    )


def offsets_of(kafka: KafkaSettings, topic: str) -> tuple[dict[int, int], dict[int, int]]:
    """The first offset that each partition still holds, and the one after its last. Raises ServiceError."""
    consumer = build_client(KafkaConsumer, kafka, enable_auto_commit=False)
    try:
        places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        if not places:
            raise ServiceError(f"Kafka has no topic {topic!r}; `./submit.sh up` creates it")
        first, last = consumer.beginning_offsets(places), consumer.end_offsets(places)
    finally:
        consumer.close()
    return {place.partition: first[place] for place in places}, {place.partition: last[place] for place in places}


def _held(rows: DataFrame) -> DataFrame:
    """The same, read now."""
    held = rows.persist()
    held.count()
    return held


def _topic(spark: SparkSession, settings: Settings, topic: str, ends: dict[int, int]) -> DataFrame:
    options = {
        "subscribe": topic,
        "startingOffsets": "earliest",
        "endingOffsets": json.dumps({topic: ends}),
        "includeHeaders": "true",
        "failOnDataLoss": "false",  # retention may take the oldest while they are read
    }
    return spark.read.format("kafka").options(**kafka_options(settings.kafka), **options).load()


def _messages(spark: SparkSession, settings: Settings, ends: dict[int, int]) -> DataFrame:
    """image_id and write_time of every upload, by the functions that the stream uses."""
    replay_of = F.expr("element_at(filter(headers, header -> header.key = 'replay-of'), -1).value")
    places = _topic(spark, settings, settings.kafka.uploaded, ends).select(
        "key",
        replay_of.alias("replay_of"),
        "topic",
        "partition",
        "offset",
        F.unix_millis("timestamp").alias("timestamp_ms"),
    )
    return map_in_arrow(places, _name_messages, MESSAGE_DDL)


def _name_messages(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        rows = [_message(**row) for row in batch.to_pylist()]
        yield pa.RecordBatch.from_pylist(rows, schema=_MESSAGE)


def _message(
    key: bytes | None, replay_of: bytes | None, topic: str, partition: int, offset: int, timestamp_ms: int
) -> dict[str, Any]:
    again = None if replay_of is None else replay_of.decode("utf-8", "replace")
    return {
        "image_id": image_id(key, topic, partition, offset, timestamp_ms, again),
        "partition": partition,
        "offset": offset,
        "write_time": write_time_us(timestamp_ms, offset),
    }


def _answers(spark: SparkSession, settings: Settings, ends: dict[int, int]) -> DataFrame:
    answer = F.from_json(F.col("value").cast("string"), _ANSWER_DDL)
    parsed = _topic(spark, settings, settings.kafka.predicted, ends).select(answer.alias("a"))
    return parsed.where(F.col("a.origin.topic") == settings.kafka.uploaded).select(
        F.col("a.id").alias("image_id"),
        "a.origin.partition",
        "a.origin.offset",
        "a.outcome",
        "a.label",
        "a.model_version",
    )


def _within(ranges: Ranges) -> Column:
    """Whether the stream recorded the message."""
    inside = F.lit(False)
    for partition, spans in ranges.items():
        for start, until in spans:
            inside |= (F.col("partition") == partition) & (F.col("offset") >= start) & (F.col("offset") < until)
    return inside
