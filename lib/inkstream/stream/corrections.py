"""Kafka's images.corrected in; rows of `corrections` and the days that they touch out, beside the running stream.

At least once: the place in the topic is a consumer group's, committed after the rows are stored, and a row that is
stored again is the same. People correct a few pictures a minute: a thread of the driver takes them, where a second
Spark query would start tasks for each and take them from the uploads. A message that is no correction is told of, with
its place and reason, and passed over.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import orjson
from cassandra.cluster import Session
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from inkstream.errors import InkstreamError
from inkstream.records import day_of, image_id, write_time_us
from inkstream.settings import KafkaSettings, Settings
from inkstream.store.forgotten import find_forgotten
from inkstream.store.kafka_client import build_client
from inkstream.store.session import CASSANDRA_ERRORS, await_on_disk
from inkstream.times import parse_rfc3339

log = logging.getLogger(__name__)

GROUP = "inkstream-corrections"
POLL_MS = 500
AGAIN_S = 5.0
LONGEST = 64  # letters of a label, and of a name


@dataclass(frozen=True, slots=True)
class Correction:
    """What a person says a picture shows. at: aware, UTC, whole milliseconds. write_time: microseconds."""

    image_id: str
    label: str
    by: str | None
    at: datetime
    write_time: int


class Malformed(ValueError):
    """A message that is no correction; its text says why."""


def parse_correction(message: Any) -> Correction:
    """A message of images.corrected in, the correction out; the key names the picture where the JSON does not.

    Raises:
        Malformed: it is no JSON object, names no picture, or its label, name or time makes no sense.
    """
    try:
        content = orjson.loads(message.value or b"")
    except orjson.JSONDecodeError as error:
        raise Malformed(f"it is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise Malformed("it is no JSON object")
    place = (message.topic, message.partition, message.offset, message.timestamp)
    named = content.get("id", (message.key or b"").decode("utf-8", "replace"))
    if not isinstance(named, str) or image_id(named.encode("utf-8", "replace"), *place, replay_of=named) != named:
        raise Malformed(f"its id is {named!r}, which is none of a picture")
    label = content.get("label")
    if isinstance(label, int) and not isinstance(label, bool):
        label = str(label)
    if not isinstance(label, str) or not 0 < len(label.strip()) <= LONGEST:
        raise Malformed(f"its label is {label!r}; it takes a text of 1 to {LONGEST} letters, or a whole number")
    by = content.get("by")
    if by is not None and not isinstance(by, str):
        raise Malformed(f"its by is {by!r}; it takes a text")
    return Correction(
        named, label.strip(), (by or "")[:LONGEST] or None, _moment(content.get("at"), message.timestamp),
        write_time_us(message.timestamp, message.offset),
    )  # fmt: skip


def _moment(at: Any, timestamp_ms: int) -> datetime:
    """When it was said, else when Kafka took it; whole milliseconds, as Cassandra stores them."""
    received = datetime.fromtimestamp(timestamp_ms / 1000, timezone.utc)
    if at is None:
        return received
    moment = parse_rfc3339(at) if isinstance(at, str) else None
    if moment is None:
        raise Malformed(f"its at is {at!r}; it takes a time like 2026-01-31T08:00:00Z")
    moment = min(moment, received).astimezone(timezone.utc)  # a clock that is fast would win over every later one
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Corrections:
    """Stores what the topic brings; opened with `take_corrections`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._insert = session.prepare(
            'INSERT INTO corrections (image_id, corrected_at, label, "by") VALUES (?, ?, ?, ?) USING TIMESTAMP ?'
        )
        self._find = session.prepare("SELECT uploaded_at FROM images WHERE image_id = ?")
        self._day = session.prepare("INSERT INTO changed_days (day, changed_at) VALUES (?, ?)")

    def store(self, messages: list[Any]) -> int:
        """Store the messages' corrections, mark their days; returns how many there were. Raises the driver's errors."""
        read = [correction for message in messages if (correction := _read(message)) is not None]
        gone = find_forgotten(self._session, [correction.image_id for correction in read])
        kept = [correction for correction in read if correction.image_id not in gone]
        days = set()
        for one in kept:
            self._session.execute(self._insert, (one.image_id, one.at, one.label, one.by, one.write_time))
            row = self._session.execute(self._find, (one.image_id,)).one()
            if row is not None and row.uploaded_at is not None:  # else the stream marks the day when it comes to it
                days.add(day_of(row.uploaded_at.replace(tzinfo=timezone.utc)))
        for day in sorted(days):
            self._session.execute(self._day, (day, datetime.now(timezone.utc)))
        await_on_disk(self._session)
        return len(kept)


@contextmanager
def take_corrections(settings: Settings, session: Session, *, once: bool = False) -> Iterator[None]:
    """While inside, store corrections as they come. With `once`, leaving waits until those that were there are stored.

    A broker or a table that fails is told of, and tried again: the stream beside it says what is wrong, and ends.
    """
    done = threading.Event()
    corrections = Corrections(session)

    def take() -> None:
        while True:
            try:
                _follow(settings.kafka, corrections.store, done.is_set, once=once)
                return
            except (KafkaError, OSError, InkstreamError, *CASSANDRA_ERRORS) as error:
                log.warning("corrections wait: %s", error)
            except Exception:
                log.exception("corrections wait")
            if done.wait(AGAIN_S):
                return

    thread = threading.Thread(target=take, name="corrections", daemon=True)
    thread.start()
    try:
        yield
        if once:
            thread.join(60)
    finally:
        done.set()
        thread.join(10)


def _follow(
    kafka: KafkaSettings, store: Callable[[list[Any]], int], is_done: Callable[[], bool], *, once: bool
) -> None:
    consumer = build_client(
        KafkaConsumer, kafka, group_id=f"{kafka.topic_prefix}{GROUP}", auto_offset_reset="earliest",
        enable_auto_commit=False,
    )  # fmt: skip
    try:
        # Assigned by hand: two streams on one cluster store the same rows, and none waits for a group to settle.
        numbers = consumer.partitions_for_topic(kafka.corrected) or set()
        places = [TopicPartition(kafka.corrected, number) for number in sorted(numbers)]
        consumer.assign(places)
        ends = consumer.end_offsets(places)
        while not is_done():
            batches = consumer.poll(timeout_ms=POLL_MS)
            messages = [message for batch in batches.values() for message in batch]
            if messages:
                log.info("%d corrections stored", store(messages))
                consumer.commit()
            if once and all(consumer.position(place) >= ends[place] for place in places):
                return
    finally:
        consumer.close()


def _read(message: Any) -> Correction | None:
    try:
        return parse_correction(message)
    except Malformed as error:
        where = f"{message.topic}, partition {message.partition}, offset {message.offset}"
        log.warning("a correction was passed over (%s): %s", where, error)
        return None
