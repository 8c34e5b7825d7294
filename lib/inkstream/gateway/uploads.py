"""Pictures and corrections in, acknowledged messages in Kafka out; refused at once where no broker listens.

At least once: an upload is given an id only after all in-sync replicas have it, and one that was refused may still have
arrived (its client sends it again, under another id or the same idempotency key).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import perf_counter
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError

from inkstream.errors import ServiceError
from inkstream.settings import Settings
from inkstream.store.kafka_client import build_client
from inkstream.store.reach import Presence

log = logging.getLogger(__name__)

LINGER_MS = 2
REQUEST_MS = 4_000
DELIVERY_MS = 8_000
METADATA_MS = 2_000
PROBE_S = 1.0

Headers = Sequence[tuple[str, bytes]]


class Uploads:
    """One producer for all requests. `send` waits for the acknowledgement without holding a thread."""

    def __init__(self, settings: Settings) -> None:
        self._kafka = settings.kafka
        self._producer = build_client(
            KafkaProducer,
            settings.kafka,
            acks="all",
            linger_ms=LINGER_MS,
            request_timeout_ms=REQUEST_MS,
            delivery_timeout_ms=DELIVERY_MS,
            max_block_ms=METADATA_MS,
            enable_idempotence=False,  # a message that was given up leaves a gap, and nothing after it would be taken
            max_request_size=settings.image.max_message_bytes,
        )
        with suppress(KafkaError):  # of a topic that is not made yet; the uploads tell
            self._producer.partitions_for(settings.kafka.uploaded)  # known from here on, and no first upload waits
        # One thread: KafkaProducer.send takes a lock anyway, and may wait for metadata, which the loop must not.
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="uploads")
        self._closing = threading.Event()
        self._reachable = True
        self._probe = threading.Thread(target=self._watch, name="kafka-watch", daemon=True)
        self._probe.start()

    @property
    def reachable(self) -> bool:
        """Whether a broker took a connection within the last seconds."""
        return self._reachable

    async def send(self, topic: str, key: str, value: bytes, headers: Headers = ()) -> float:
        """Seconds until Kafka had acknowledged the message.

        Raises:
            ServiceError: no broker is there, or it did not acknowledge in time.
        """
        if not self._reachable:
            raise self._gone("no broker takes a connection")
        started = perf_counter()
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[None] = loop.create_future()

        def hand_over() -> None:
            sent = self._producer.send(topic, value, key.encode(), list(headers))
            sent.add_callback(lambda _: loop.call_soon_threadsafe(_settle, acknowledged, None))
            sent.add_errback(lambda error: loop.call_soon_threadsafe(_settle, acknowledged, error))

        try:
            await loop.run_in_executor(self._threads, hand_over)
            await asyncio.wait_for(acknowledged, DELIVERY_MS / 1000 + 2)
        except (KafkaError, asyncio.TimeoutError) as error:
            raise self._gone(type(error).__name__) from error
        return perf_counter() - started

    def close(self) -> None:
        """Wait for what is under way, then end."""
        self._closing.set()
        self._threads.shutdown()
        self._producer.close(timeout=5)
        self._probe.join(5)

    def _gone(self, why: str) -> ServiceError:
        return ServiceError(f"Kafka does not take pictures right now ({why}); nothing was stored, try again soon")

    def _watch(self) -> None:
        presence = Presence(self._kafka.addresses)
        while not self._closing.wait(PROBE_S):
            reachable = presence.look()
            if reachable != self._reachable:
                log.warning("Kafka %s", "is back" if reachable else f"is gone from {self._kafka.servers}")
            self._reachable = reachable


def _settle(future: asyncio.Future[None], error: Any) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)
