"""The consumer that an engineer would write: kafka-python, LiteRT, cassandra-driver; ended by SIGTERM.

The stream's own rows, tables, answers and rejected copies; at least once: stored, then answered, then committed.
With --no-tables nothing is stored.
"""

from __future__ import annotations

import argparse
import signal
import sys

from kafka import KafkaConsumer, KafkaProducer

from benchmarks.storing import CONCURRENCY, ROWS_A_BATCH, Answerer, Message, Tables
from inkstream.records import ANSWER_SCHEMA_VERSION, REJECTED
from inkstream.settings import load_settings
from inkstream.store.kafka_client import build_client
from inkstream.store.session import open_session

MESSAGES = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--group", required=True)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    parser.add_argument("--together", type=int, default=ROWS_A_BATCH)
    parser.add_argument("--concurrency", type=int, default=CONCURRENCY)
    parser.add_argument("--no-tables", action="store_true")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = load_settings()
    kafka = settings.kafka
    consumer = build_client(
        KafkaConsumer,
        kafka,
        group_id=arguments.group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_poll_records=arguments.messages,
        max_partition_fetch_bytes=4 << 20,
        fetch_max_wait_ms=5,
        session_timeout_ms=10_000,
    )
    producer = build_client(
        KafkaProducer, kafka, acks="all", linger_ms=5, batch_size=256 * 1024, max_request_size=16 << 20
    )
    consumer.subscribe([kafka.uploaded])
    answerer = Answerer(settings)
    version = [("schema-version", ANSWER_SCHEMA_VERSION.encode())]
    with open_session(settings.cassandra) as session:
        tables = Tables(session, settings.cassandra.consistency, arguments.together, arguments.concurrency)
        while True:
            polled = consumer.poll(timeout_ms=1000, max_records=arguments.messages)
            messages = [
                Message(m.key, m.value or b"", m.headers, m.topic, m.partition, m.offset, m.timestamp)
                for part in polled.values()
                for m in part
            ]
            if not messages:
                continue
            rows = answerer.rows(messages)
            if not arguments.no_tables:
                tables.store(rows)
            for message, row in zip(messages, rows, strict=True):
                producer.send(kafka.predicted, row["answer"], row["image_id"].encode(), version)
                if row["outcome"] == REJECTED:
                    headers = [("reason-code", row["reason_code"].encode()), ("reason", row["reason"].encode())]
                    producer.send(kafka.rejected, message.value, row["image_id"].encode(), [*headers, *message.headers])
            producer.flush()
            consumer.commit()


if __name__ == "__main__":
    sys.exit(main())
