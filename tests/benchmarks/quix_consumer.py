"""Quix Streams: its application and its batching sink, with the plain consumer's rows and tables; ended by SIGTERM.

Runs in an environment of its own (requirements/quix.txt). A commit flushes the sink: a partition's messages since the
last one are answered, stored, published and acknowledged, then their offsets are committed (at least once).
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from quixstreams import Application
from quixstreams.sinks import BatchingSink, SinkBatch

from benchmarks.storing import CONCURRENCY, ROWS_A_BATCH, Answerer, Message, Tables
from inkstream.records import ANSWER_SCHEMA_VERSION, REJECTED
from inkstream.settings import load_settings
from inkstream.store.session import open_session

MESSAGES = 4_000  # between two commits; of four partitions, so the sink gets about 1,000 at once


class AnswerSink(BatchingSink):
    """Answers a partition's batch of uploads."""

    def __init__(self, answerer: Answerer, tables: Tables, producer: Any, predicted: str, rejected: str) -> None:
        super().__init__()
        self._answerer = answerer
        self._tables = tables
        self._producer = producer
        self._predicted = predicted
        self._rejected = rejected

    def write(self, batch: SinkBatch) -> None:
        messages = [
            Message(item.key, item.value, item.headers, batch.topic, batch.partition, item.offset, item.timestamp)
            for item in batch
        ]
        for start in range(0, len(messages), 1_000):
            part = messages[start : start + 1_000]
            rows = self._answerer.rows(part)
            self._tables.store(rows)
            for message, row in zip(part, rows, strict=True):
                key = row["image_id"].encode()
                version = [("schema-version", ANSWER_SCHEMA_VERSION.encode())]
                self._producer.produce(self._predicted, row["answer"], key, headers=version)
                if row["outcome"] == REJECTED:
                    self._producer.produce(self._rejected, message.value, key, headers=list(message.headers))
        self._producer.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--group", required=True)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    arguments = parser.parse_args()
    settings = load_settings()
    kafka = settings.kafka
    application = Application(
        broker_address=kafka.servers,
        consumer_group=arguments.group,
        auto_offset_reset="earliest",
        commit_every=arguments.messages,
        commit_interval=0.2,
        auto_create_topics=False,
        consumer_extra_config={"fetch.wait.max.ms": 5},
        producer_extra_config={"acks": "all", "linger.ms": 5, "message.max.bytes": 16 << 20},
        loglevel="WARNING",
    )
    topic = application.topic(kafka.uploaded, value_deserializer="bytes", key_deserializer="bytes")
    with open_session(settings.cassandra) as session, application.get_producer() as producer:
        tables = Tables(session, settings.cassandra.consistency, ROWS_A_BATCH, CONCURRENCY)
        sink = AnswerSink(Answerer(settings), tables, producer, kafka.predicted, kafka.rejected)
        application.dataframe(topic).sink(sink)
        application.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
