"""Uploads at a steady rate, through outages: small ones, again, broken ones; what Kafka acknowledged, by id."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from kafka import KafkaProducer
from kafka.errors import KafkaError

from inkstream.image.samples import FOLDER
from inkstream.settings import Settings
from inkstream.store.kafka_client import build_client

WITHOUT_KEY = 0.05
AGAIN = 0.1  # an id that was uploaded before
OUTAGE_MS = 120_000
LARGEST = 64 * 1024


def small_samples(names: str) -> list[bytes]:
    """Those whose names match and that have 64 KiB at most, in the order of their names."""
    return [path.read_bytes() for path in sorted(FOLDER.glob(names)) if path.stat().st_size <= LARGEST]


class Load:
    """A thread that uploads samples whose names match. `acknowledged`: the ids (keys) that Kafka has confirmed."""

    def __init__(self, settings: Settings, rate: float, seed: int, names: str = "*.*") -> None:
        self._settings = settings
        self._rate = rate
        self._random = random.Random(seed)
        self._pictures = small_samples(names)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._lock = threading.Lock()
        self.sent = 0
        self.failed = 0
        self.acknowledged: set[str] = set()

    @contextmanager
    def running(self) -> Iterator[Load]:
        """Upload while inside; on leaving, wait for what is on its way."""
        self._thread.start()
        try:
            yield self
        finally:
            self.finish()

    def finish(self) -> None:
        """Upload nothing more, and wait for what is on its way."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        producer = build_client(
            KafkaProducer,
            self._settings.kafka,
            acks="all",
            enable_idempotence=True,
            max_request_size=self._settings.image.max_message_bytes,
            delivery_timeout_ms=OUTAGE_MS,
            max_block_ms=OUTAGE_MS,
        )
        due = time.monotonic()
        while not self._stop.is_set():
            due = max(due + 1 / self._rate, time.monotonic() - 1)
            time.sleep(max(0.0, due - time.monotonic()))
            self._send(producer)
        producer.flush(OUTAGE_MS / 1000)
        producer.close()

    def _send(self, producer: KafkaProducer) -> None:
        number = self._random.randrange(self.sent) if self.sent and self._random.random() < AGAIN else self.sent
        key = None if self._random.random() < WITHOUT_KEY else f"chaos-{number}"
        try:
            future = producer.send(
                self._settings.kafka.uploaded,
                self._random.choice(self._pictures),
                key.encode() if key else None,
                [("source", b"chaos")],
            )
        except KafkaError:
            self.failed += 1
            return
        self.sent += 1
        future.add_callback(lambda _: self._count(key))

    def _count(self, key: str | None) -> None:
        if key is not None:
            with self._lock:
                self.acknowledged.add(key)
