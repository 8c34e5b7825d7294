"""images.predicted in, each answer to the requests that wait for it and to all who listen: one consumer a process.

It belongs to no consumer group and reads from the end: every gateway hears every answer, and an older one is in
Cassandra. An answer that comes twice wakes whoever still waits, and changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from time import time
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from inkstream.errors import InkstreamError
from inkstream.records import decode_answer
from inkstream.settings import Settings
from inkstream.store.kafka_client import build_client

log = logging.getLogger(__name__)

POLL_MS = 500
AGAIN_S = 1.0
HELD_EVENTS = 1_000  # of a listener that reads slowly; older ones are dropped

Answer = dict[str, Any]


class Answers:
    """Hands answers from the consumer's thread to the event loop. Made and used on that loop."""

    def __init__(self, settings: Settings, heard: Callable[[Answer], None]) -> None:
        self._settings = settings
        self._heard = heard
        self._loop = asyncio.get_running_loop()
        self._waiting: defaultdict[str, set[asyncio.Future[Answer]]] = defaultdict(set)
        self._listeners: set[asyncio.Queue[Answer | None]] = set()
        self._closing = threading.Event()
        self._listens = threading.Event()
        self.last_heard: float | None = None  # seconds since the epoch
        self._thread = threading.Thread(target=self._run, name="answers", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many requests wait for an answer."""
        return sum(map(len, self._waiting.values()))

    @property
    def listens(self) -> bool:
        """Whether the consumer has its place in the topic: from then on no answer is missed."""
        return self._listens.is_set()

    @contextmanager
    def expect(self, image_id: str) -> Iterator[asyncio.Future[Answer]]:
        """A future of the picture's answer, from before it is sent: so none is missed."""
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiting[image_id].add(future)
        try:
            yield future
        finally:
            self._waiting[image_id].discard(future)
            if not self._waiting[image_id]:
                del self._waiting[image_id]

    async def listen(self) -> AsyncIterator[Answer | None]:
        """Yield answers as they come, None where a while passed without one; ends when the gateway does."""
        queue: asyncio.Queue[Answer | None] = asyncio.Queue(HELD_EVENTS)
        self._listeners.add(queue)
        try:
            while not self._closing.is_set():
                try:
                    yield await asyncio.wait_for(queue.get(), 10)
                except asyncio.TimeoutError:
                    yield None
        finally:
            self._listeners.discard(queue)

    async def close(self) -> None:
        """End the listeners and the thread."""
        self._closing.set()
        for queue in self._listeners:
            self._offer(queue, None)
        await asyncio.to_thread(self._thread.join, 5)

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._follow()
            except (KafkaError, InkstreamError, OSError) as error:
                log.warning("answers cannot be followed, trying again: %s", error)
                self._closing.wait(AGAIN_S)

    def _follow(self) -> None:
        topic = self._settings.kafka.predicted
        consumer = build_client(
            KafkaConsumer,
            self._settings.kafka,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_min_bytes=1,  # the broker answers with the first message; a short fetch_max_wait_ms gains nothing
        )
        try:
            places = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
            consumer.assign(places)
            consumer.seek_to_end(*places)
            for place in places:
                consumer.position(place)
            self._listens.set()
            while not self._closing.is_set():
                for messages in consumer.poll(timeout_ms=POLL_MS).values():
                    answers = [answer for message in messages if (answer := _decoded(message.value)) is not None]
                    self._loop.call_soon_threadsafe(self._deliver, answers)
        finally:
            self._listens.clear()
            consumer.close()

    def _deliver(self, answers: list[Answer]) -> None:
        self.last_heard = time()
        for answer in answers:
            self._heard(answer)
            for future in self._waiting.get(answer["id"], ()):
                if not future.done():
                    future.set_result(answer)
            for queue in self._listeners:
                self._offer(queue, answer)

    @staticmethod
    def _offer(queue: asyncio.Queue[Answer | None], answer: Answer | None) -> None:
        if queue.full():
            queue.get_nowait()
        queue.put_nowait(answer)


def _decoded(value: bytes | None) -> Answer | None:
    """The answer; None for what somebody else put into the topic."""
    try:
        answer = decode_answer(value or b"")
        return answer if isinstance(answer, dict) and isinstance(answer.get("id"), str) else None
    except ValueError:
        log.warning("a message of the answers' topic is no answer")
        return None
