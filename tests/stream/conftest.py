"""A pipeline of one test: topics, tables, a stream that can be drained, and what came out of it."""

from __future__ import annotations

import os
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cassandra.cluster import Session
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from PIL import Image
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession
from tests.conftest import SettingsFactory, in_section

from inkstream.records import decode_answer
from inkstream.settings import Settings
from inkstream.spark import cassandra_conf
from inkstream.store.kafka_client import kafka_client_options
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from inkstream.store.tables import table_reader
from inkstream.store.topics import create_topics
from inkstream.stream.answering import run
from inkstream.stream.arrivals import Ledger
from inkstream.stream.few import FEW_ROWS
from inkstream.stream.running import broadcast_task
from inkstream.stream.sink import BatchReport, Sink
from inkstream.stream.source import open_uploads

Message = tuple[bytes | None, bytes | None, dict[str, str]]  # key, value, headers


def huge() -> bytes:
    """A small file that takes a second or two to read: 49 megapixels of white."""
    file = BytesIO()
    Image.new("RGB", (7_000, 7_000), "white").save(file, "WEBP", lossless=True)
    return file.getvalue()


def padded(picture: bytes, size_bytes: int) -> bytes:
    """The same picture in a PNG of that size: a private chunk before IEND, of noise: nothing packs it."""
    length = size_bytes - len(picture) - 12
    chunk = b"ppAd" + os.urandom(length)
    whole = length.to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    return picture[:-12] + whole + picture[-12:]


def send_messages(settings: Settings, messages: Sequence[Message]) -> None:
    """Send and wait for the acknowledgements, in order."""
    options = kafka_client_options(settings.kafka)
    producer = KafkaProducer(**options, acks="all", max_request_size=settings.image.max_copy_bytes)
    for key, value, headers in messages:
        pairs = [(name, text.encode()) for name, text in headers.items()]
        producer.send(settings.kafka.uploaded, value=value, key=key, headers=pairs)
    producer.flush(30)
    producer.close()


@dataclass
class Pipeline:
    """Real Kafka, Spark and Cassandra behind a few verbs."""

    spark: SparkSession
    settings: Settings
    session: Session
    folder: Path
    reports: list[BatchReport] = field(default_factory=list)
    few_rows: int = FEW_ROWS  # up to so many are written by the driver

    def send(self, messages: Sequence[Message]) -> None:
        """Send and wait for the acknowledgements, in order."""
        send_messages(self.settings, messages)

    def sink(self) -> Sink:
        task = broadcast_task(self.spark, self.settings)
        return Sink(self.settings, Ledger(self.session), task, self.reports.append, self.few_rows)

    def drain(self, checkpoint: str = "checkpoint") -> None:
        """Answer all that the topic holds now."""
        sink = self.sink()
        place = (self.folder / checkpoint).as_uri()
        run(open_uploads(self.spark, self.settings, "earliest"), sink, place, once=True).awaitTermination()
        sink.close()

    def rows(self, table: str, columns: str = "*") -> list[Any]:
        return list(self.session.execute(f"SELECT {columns} FROM {table}"))

    def messages(self, topic: str) -> list[Any]:
        """Everything in a topic."""
        consumer = KafkaConsumer(
            **kafka_client_options(self.settings.kafka), max_partition_fetch_bytes=self.settings.image.max_copy_bytes
        )
        places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        expected = sum(consumer.end_offsets(places).values())
        found: list[Any] = []
        give_up = time.monotonic() + 30
        while len(found) < expected and time.monotonic() < give_up:
            for batch in consumer.poll(timeout_ms=500).values():
                found += batch
        consumer.close()
        return found

    def answers(self) -> list[dict[str, Any]]:
        return [decode_answer(message.value) for message in self.messages(self.settings.kafka.predicted)]

    def count(self) -> Counter[str]:
        """Rows by table, and answers."""
        counted = Counter({table: len(self.rows(table, "image_id")) for table in TABLES})
        counted["answers"] = len(self.messages(self.settings.kafka.predicted))
        return counted


TABLES = ("images", "predictions", "predictions_by_day")


def await_keyspace(spark: SparkSession, keyspace: str) -> None:
    """The connector's session is open from an earlier test, and hears of new tables a second later, the last one last.

    It asks the thread's active Spark session for the address, which may still be another test's.
    """
    assert spark._jvm is not None
    spark._jvm.SparkSession.setActiveSession(spark._jsparkSession)
    for _ in range(100):
        try:
            table_reader(spark, keyspace, "models").load()
            return
        except AnalysisException:
            time.sleep(0.1)
    raise TimeoutError(keyspace)


@pytest.fixture(scope="session")
def tables(services: SettingsFactory) -> str:
    """A keyspace whose tables one test after another has, empty: to make them takes seconds."""
    settings = services()
    apply_schema(settings)
    return settings.cassandra.keyspace


@pytest.fixture
def pipeline(spark: SparkSession, settings: Settings, tables: str, tmp_path: Path) -> Iterator[Pipeline]:
    """With topics of the test's own, and empty tables."""
    own = in_section(settings, "cassandra", keyspace=tables)
    create_topics(own)
    for key, value in cassandra_conf(own).items():
        spark.conf.set(key, value)
    await_keyspace(spark, tables)
    with open_session(own.cassandra) as session:
        for table in session.cluster.metadata.keyspaces[tables].tables.keys() - {"schema_migrations"}:
            session.execute(f"TRUNCATE {table}")
        yield Pipeline(spark, own, session, tmp_path)
