"""Kafka's three topics in, cards filled out: where each picture lies, its answer, and the copy of a rejected one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from inkstream.demo.cards import REFUSED, SOURCE, Card
from inkstream.errors import ServiceError
from inkstream.records import decode_answer, uploaded_at
from inkstream.settings import Settings
from inkstream.store.kafka_client import kafka_client_options, unreachable

POLL_MS = 100
TOPIC_WAIT_S = 10.0


class Follower:
    """Reads what comes after the moment it was opened; what belongs to no card is counted and left alone."""

    def __init__(self, consumer: KafkaConsumer, settings: Settings, cards: Sequence[Card]) -> None:
        self._consumer = consumer
        self._topics = settings.kafka
        self._cards = {card.image_id: card for card in cards}
        self._answered: list[Card] = []  # not told to the caller yet
        self.strangers = 0  # answers to other uploads
        places = [place for topic in self._names() for place in self._partitions(topic)]
        consumer.assign(places)
        self.ends: dict[TopicPartition, int] = consumer.end_offsets(places)
        for place, offset in self.ends.items():
            consumer.seek(place, offset)

    def poll(self) -> list[Card]:
        """Take in what has come; returns the cards whose first answer was among it, in its order."""
        try:
            batches = self._consumer.poll(timeout_ms=POLL_MS)
        except KafkaError as error:
            raise unreachable(self._topics, error) from error
        now = time.time()
        take = {
            self._topics.uploaded: self._take_upload,
            self._topics.predicted: self._take_answer,
            self._topics.rejected: self._take_copy,
        }
        for place, messages in batches.items():
            for message in messages:
                take[place.topic](message, now)
        # The topics are read side by side: an answer may be here before the upload that it answers.
        told = [card for card in self._answered if card.uploaded_at]
        self._answered = [card for card in self._answered if not card.uploaded_at]
        return told

    def await_copies(self) -> None:
        """Wait a while for the copies of the rejected, which are published beside the answers."""
        until = time.monotonic() + TOPIC_WAIT_S
        while any(card.verdict == REFUSED and card.copy is None for card in self._cards.values()):
            if time.monotonic() > until:
                return
            self.poll()

    def _names(self) -> tuple[str, str, str]:
        return self._topics.uploaded, self._topics.predicted, self._topics.rejected

    def _partitions(self, topic: str) -> list[TopicPartition]:
        """The topic's partitions; one that was just created may be unknown for a moment."""
        until = time.monotonic() + TOPIC_WAIT_S
        while time.monotonic() < until:
            numbers = self._consumer.partitions_for_topic(topic)
            if numbers:
                return [TopicPartition(topic, number) for number in sorted(numbers)]
            time.sleep(0.1)
        raise ServiceError(
            f"Kafka at {self._topics.bootstrap_servers} does not give topic {topic!r} within {TOPIC_WAIT_S:.0f} s"
        )

    def _take_upload(self, message: Any, _: float) -> None:
        headers = _headers(message)
        card = self._card(message)
        if card is None or headers.get("source") != SOURCE:
            return
        card.origin = (message.topic, message.partition, message.offset)
        received = datetime.fromtimestamp(message.timestamp / 1000, timezone.utc)
        card.uploaded_at = uploaded_at(headers.get("uploaded-at"), received)

    def _take_answer(self, message: Any, now: float) -> None:
        answer = decode_answer(message.value)
        origin = answer["origin"]
        card = self._card(message)
        if card is None or self._is_older(origin["topic"], origin["partition"], origin["offset"]):
            self.strangers += 1
            return
        card.answers += 1
        if card.answer is None:
            card.answer = answer
            card.answered_at = now
            self._answered.append(card)

    def _take_copy(self, message: Any, _: float) -> None:
        headers = _headers(message)
        card = self._card(message)
        place = (int(headers["origin-partition"]), int(headers["origin-offset"]))
        if card and not self._is_older(headers["origin-topic"], *place):
            card.copy = message.value or b""

    def _card(self, message: Any) -> Card | None:
        return self._cards.get((message.key or b"").decode(errors="replace"))

    def _is_older(self, topic: str, partition: int, offset: int) -> bool:
        """Whether it is of an upload from before: a demo that was broken off may have left some with the same ids."""
        return offset < self.ends.get(TopicPartition(topic, partition), 0)


def _headers(message: Any) -> dict[str, str]:
    return {name: value.decode(errors="replace") for name, value in message.headers if value is not None}


@contextmanager
def open_follower(settings: Settings, cards: Sequence[Card]) -> Iterator[Follower]:
    """Yield a Follower that stands at the topics' ends; closed on leaving. Raises ServiceError."""
    try:
        consumer = KafkaConsumer(
            **kafka_client_options(settings.kafka),
            enable_auto_commit=False,
            fetch_max_wait_ms=POLL_MS,
            max_partition_fetch_bytes=settings.image.max_copy_bytes,
        )
    except (KafkaError, OSError) as error:
        raise unreachable(settings.kafka, error) from error
    try:
        yield Follower(consumer, settings, cards)
    except KafkaError as error:
        raise unreachable(settings.kafka, error) from error
    finally:
        consumer.close()
