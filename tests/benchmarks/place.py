"""Services of the benchmark's own: topics filled, tables emptied, answers awaited, everything counted by id."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import psutil
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from benchmarks.cpu_profile import spent_so_far
from benchmarks.figures import Incomplete, check_complete
from inkstream.local.class_archives import ensure_archives
from inkstream.local.own_services import own_folder, own_services
from inkstream.local.services import RunningServices
from inkstream.producer.paths import read_paths
from inkstream.producer.pictures import Item
from inkstream.producer.send import Pace, send_pictures
from inkstream.settings import Settings
from inkstream.store.kafka_client import build_client
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from inkstream.store.topics import open_admin, topic_configs

TABLES = ("images", "predictions", "predictions_by_day")
WAIT_S = 900
POLL_S = 0.1
PAGE_ROWS = 5_000
QUIET_S = 300  # so long without one more answer: it hangs


@dataclass
class Place:
    """Where a run takes place. pictures: the files that uploads are made of."""

    services: RunningServices
    settings: Settings
    folder: Path
    pictures: list[Path]
    _number: int = field(default=0)

    def named(self, name: str, *, batch: int = 20_000) -> Place:
        """The same services with topics and tables of that name, which are made. batch: uploads of a micro-batch."""
        settings = self.settings.model_copy(
            update={
                "stream": self.settings.stream.model_copy(update={"max_offsets_per_trigger": batch}),
                "kafka": self.settings.kafka.model_copy(update={"topic_prefix": f"{name}."}),
                "cassandra": self.settings.cassandra.model_copy(update={"keyspace": name}),
            }
        )
        # As `up` makes them, but with the broker's clock for everybody's answers, not that of whoever sends them.
        with open_admin(settings.kafka) as admin:
            for topic, config in topic_configs(settings).items():
                stamped = {**config, "message.timestamp.type": "LogAppendTime"}
                kafka = settings.kafka
                admin.create_topics(
                    [NewTopic(topic, kafka.partitions, kafka.replication_factor, topic_configs=stamped)]
                )
        apply_schema(settings)
        return Place(self.services, settings, self.folder, self.pictures)

    def kafka(self) -> list[psutil.Process]:
        """The brokers' processes."""
        return [psutil.Process(broker.pid) for broker in self.services.brokers if broker.pid]

    def cassandra(self) -> list[psutil.Process]:
        """The nodes' processes."""
        return [psutil.Process(node.pid) for node in self.services.nodes if node.pid]

    def servers(self) -> list[psutil.Process]:
        """The processes of Kafka and Cassandra."""
        return [*self.kafka(), *self.cassandra()]

    def spent(self, family: Sequence[psutil.Process]) -> Counter[str]:
        """CPU seconds so far of a contender's processes and of the services, by what they went into."""
        return spent_so_far(family, self.cassandra(), self.kafka())

    def fill(self, count: int, source: str = "bench") -> set[str]:
        """Send so many uploads; returns the ids of all that the topic holds."""
        pieces = list(islice(read_paths(self.pictures, self.settings.image.max_image_bytes), count))
        return self.send(pieces, Pace(limit=count, repeat=-(-count // len(pieces))), source)

    def send(self, pictures: Sequence[Item], pace: Pace, source: str = "bench") -> set[str]:
        """Send these; returns the ids of all that the topic holds. Raises Incomplete where Kafka did not take one."""
        sent = send_pictures(pictures, self.settings.kafka, self.settings.image, source=source, pace=pace)
        if sent.acknowledged != pace.limit:
            raise Incomplete(f"{sent.acknowledged:,} of {pace.limit:,} uploads were acknowledged")
        return set(self.ids_in(self.settings.kafka.uploaded, {}))

    def empty_tables(self) -> None:
        """Take every row out, so that a run's rows are its own."""
        with open_session(self.settings.cassandra) as session:
            for table in (*TABLES, "image_parts", "stream_progress", "changed_days"):
                session.execute(f"TRUNCATE {table}", timeout=60)

    def checkpoint(self) -> Path:
        """A path that nobody has used."""
        self._number += 1
        folder = self.folder / "checkpoints" / f"{self.settings.cassandra.keyspace}-{self._number}"
        shutil.rmtree(folder, ignore_errors=True)
        return folder

    def environment(self) -> dict[str, str]:
        """What leads a program of its own to these topics and tables by `load_settings`."""
        kafka, cassandra = self.settings.kafka, self.settings.cassandra
        return {
            **os.environ,
            "INKSTREAM_LOCAL__FOLDER": str(self.folder),
            "INKSTREAM_KAFKA__BOOTSTRAP_SERVERS": kafka.servers,
            "INKSTREAM_KAFKA__TOPIC_PREFIX": kafka.topic_prefix,
            "INKSTREAM_CASSANDRA__CONTACT_POINTS": ",".join(cassandra.hosts),
            "INKSTREAM_CASSANDRA__PORT": str(cassandra.port),
            "INKSTREAM_CASSANDRA__KEYSPACE": cassandra.keyspace,
            "INKSTREAM_STREAM__MAX_OFFSETS_PER_TRIGGER": str(self.settings.stream.max_offsets_per_trigger),
        }

    @contextmanager
    def reader(self, topic: str) -> Iterator[tuple[KafkaConsumer, list[TopicPartition]]]:
        """A consumer that is assigned all of the topic."""
        consumer = build_client(KafkaConsumer, self.settings.kafka, group_id=None, enable_auto_commit=False)
        try:
            partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
            consumer.assign(partitions)
            yield consumer, partitions
        finally:
            consumer.close()

    def ends(self, topic: str) -> dict[TopicPartition, int]:
        """Where the topic ends, by partition."""
        with self.reader(topic) as (consumer, partitions):
            return dict(consumer.end_offsets(partitions))

    def await_answers(self, before: dict[TopicPartition, int], count: int, check: object = None) -> None:
        """Wait until so many answers came after `before`; `check` is called meanwhile and may raise.

        Raises:
            Incomplete: nothing more came for a long time.
        """
        topic = self.settings.kafka.predicted
        start, most, grew = sum(before.values()), 0, time.monotonic()
        with self.reader(topic) as (consumer, partitions):
            while True:
                there = sum(consumer.end_offsets(partitions).values()) - start
                if there >= count:
                    return
                if there > most:
                    most, grew = there, time.monotonic()
                if time.monotonic() - grew > QUIET_S:
                    raise Incomplete(f"{there:,} of {count:,} answers came, and no more for {QUIET_S} s")
                if callable(check):
                    check()
                time.sleep(POLL_S)

    def answers(self, before: dict[TopicPartition, int]) -> dict[str, int]:
        """Each id's first answer after `before`: when it was published, in milliseconds since the epoch."""
        first: dict[str, int] = {}
        for key, at_ms in self._messages(self.settings.kafka.predicted, before):
            first.setdefault(key, at_ms)
        return first

    def ids_in(self, topic: str, before: dict[TopicPartition, int]) -> list[str]:
        """The keys of a topic's messages after `before`."""
        return [key for key, _ in self._messages(topic, before)]

    def _messages(self, topic: str, before: dict[TopicPartition, int]) -> Iterator[tuple[str, int]]:
        with self.reader(topic) as (consumer, partitions):
            ends = consumer.end_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, before.get(partition, 0))
            while any(consumer.position(partition) < ends[partition] for partition in partitions):
                for messages in consumer.poll(timeout_ms=1000, max_records=20_000).values():
                    yield from ((message.key.decode(), message.timestamp) for message in messages)

    def check(self, expected: set[str], answered: Sequence[str], tables: Sequence[str] = TABLES) -> None:
        """See that every upload is in every table and answered. Raises Incomplete."""
        check_complete(expected, {"images.predicted": answered})
        with open_session(self.settings.cassandra) as session:
            for table in tables:
                statement = session.prepare(f"SELECT image_id FROM {table}")
                statement.fetch_size = PAGE_ROWS
                check_complete(expected, {table: [row.image_id for row in session.execute(statement)]})


@contextmanager
def own_place(pictures: list[Path], name: str = "bench") -> Iterator[Place]:
    """Kafka and Cassandra of the benchmark's own, emptied, in a folder of its own; they end with the block.

    Spark's classes are archived before, as any earlier start of a job has done it; every contender on Spark has them.
    """
    with own_folder(name) as folder, own_services(folder) as services:
        ensure_archives(services.settings, "spark")
        yield Place(services, services.settings, folder, pictures)
