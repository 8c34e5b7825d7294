"""Uploads through outages, to Kafka and to a gateway: small ones, again, broken ones; what was acknowledged, by id."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from kafka import KafkaProducer
from kafka.errors import KafkaError

from inkstream.image.samples import FOLDER
from inkstream.settings import Settings
from inkstream.store.kafka_client import build_producer

WITHOUT_KEY = 0.05
AGAIN = 0.1  # an id that was uploaded before
OUTAGE_MS = 120_000
LARGEST = 64 * 1024
AGAIN_S = 0.05


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
        producer = build_producer(
            self._settings.kafka,
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


class LoadOnDoor:
    """Threads that upload a sample to a gateway, over and over, whatever happens to it.

    sent: requests. acknowledged: the ids that it gave. refused: how often it answered something else, by HTTP status.
    """

    def __init__(self, address: str, *, senders: int = 1, rate: float = 0.0) -> None:
        """rate: uploads a second of each sender; 0: as fast as it is answered."""
        self._address = address.rstrip("/")
        self._pause_s = 1 / rate if rate else 0.0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, name="door", daemon=True) for _ in range(senders)]
        [self._picture] = small_samples("clean_08_7.png")
        self.sent = 0
        self.acknowledged: list[str] = []
        self.refused: Counter[int] = Counter()

    @contextmanager
    def running(self) -> Iterator[LoadOnDoor]:
        """Upload while inside."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _run(self) -> None:
        with httpx.Client(timeout=30) as client:
            while not self._stop.wait(self._pause_s):
                self.sent += 1
                try:
                    files = {"file": ("7.png", self._picture)}
                    answer = client.post(f"{self._address}/api/images?wait=0", files=files)
                except httpx.TransportError:  # it was killed, or is not back yet
                    time.sleep(AGAIN_S)
                    continue
                if answer.status_code == httpx.codes.ACCEPTED:
                    self.acknowledged.append(answer.json()["id"])
                else:
                    self.refused[answer.status_code] += 1
                    time.sleep(AGAIN_S)
