"""The rows of few uploads, brought to the driver; their answers and rejected copies from there into Kafka.

A Spark job for each table and topic takes longer than ten uploads' rows: the driver writes those itself, the same rows
and messages (stream/many.py has Spark's way; a test compares the two).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence

from kafka import KafkaProducer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from inkstream.arrow import collect_batches
from inkstream.records import ANSWER_SCHEMA_VERSION, REJECTED
from inkstream.settings import Settings
from inkstream.store.kafka_client import build_producer
from inkstream.stream.arrivals import ORIGIN, Arrival, Origin, Row

FEW_ROWS = 1_000
FEW_BYTES = 16 * 1024 * 1024  # they lie in the driver's memory a few times over while they are handed on

METADATA_MS = 5_000
REQUEST_MS = 5_000
DELIVERY_MS = 10_000


def are_few(arrivals: Sequence[Arrival], most: int = FEW_ROWS) -> bool:
    """Whether the driver should write the rows of these."""
    return len(arrivals) <= most and sum(arrival.size_bytes for arrival in arrivals) <= FEW_BYTES


def collect_rows(results: DataFrame) -> list[Row]:
    """The results on the driver; times are aware."""
    return [row for batch in collect_batches(results) for row in batch.to_pylist()]


def add_bytes(rows: Sequence[Row], large_pictures: DataFrame) -> None:
    """Give rows the bytes that were left in Kafka, and the rejected ones their headers."""
    messages = large_pictures.select(*ORIGIN, F.col("value").alias("bytes"), "headers")
    by_origin = {origin_of(message): message for message in collect_rows(messages)}
    for row in rows:
        message = by_origin[origin_of(row)]
        row["bytes"], row["headers"] = message["bytes"], message["headers"]
        row["sha256"] = row["sha256"] or hashlib.sha256(row["bytes"]).hexdigest()


def origin_of(row: Row) -> Origin:
    """The row's message."""
    return row["topic"], row["partition"], row["offset"]


class Publisher:
    """Answers and rejected copies into Kafka, acknowledged by all replicas; connects with the first of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: KafkaProducer | None = None
        self._lock = threading.Lock()

    def connect(self) -> KafkaProducer:
        """The producer, connected. Raises ServiceError."""
        with self._lock:
            if self._producer is None:
                self._producer = build_producer(
                    self._settings.kafka,
                    max_request_size=self._settings.image.max_copy_bytes,
                    request_timeout_ms=REQUEST_MS,
                    delivery_timeout_ms=DELIVERY_MS,
                    max_block_ms=METADATA_MS,
                )
            return self._producer

    def publish(self, rows: Sequence[Row]) -> None:
        """Return when Kafka has every message. Raises KafkaError or ServiceError, sooner than Spark's sink would."""
        kafka = self._settings.kafka
        try:
            producer = self.connect()
            version = [("schema-version", ANSWER_SCHEMA_VERSION.encode())]
            sent = [producer.send(kafka.predicted, row["answer"], row["image_id"].encode(), version) for row in rows]
            for row in rows:
                if row["outcome"] == REJECTED:
                    sent.append(
                        producer.send(kafka.rejected, row["bytes"], row["image_id"].encode(), _copy_headers(row))
                    )
            for message in sent:
                message.get(timeout=2 * DELIVERY_MS / 1000)
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        if self._producer is not None:
            self._producer.close(timeout=1)
            self._producer = None


def _copy_headers(row: Row) -> list[tuple[str, bytes | None]]:
    ours = {"reason-code": row["reason_code"], "reason": row["reason"]} | {
        f"origin-{name}": row[name] for name in ORIGIN
    }
    theirs = [(header["key"], header["value"]) for header in row["headers"] or ()]
    return [*((name, None if value is None else str(value).encode()) for name, value in ours.items()), *theirs]
