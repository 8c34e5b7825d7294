"""Pictures in, Kafka messages out: at least once, acknowledged by all replicas, each counted or named as failed."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, RecordListTooLargeError

from inkstream.errors import ServiceError
from inkstream.producer.pictures import Failure, Items, Picture, content_type_of, too_large
from inkstream.settings import ImageSettings, KafkaSettings
from inkstream.store.kafka_client import build_producer
from inkstream.store.topics import max_message_bytes
from inkstream.times import rfc3339

log = logging.getLogger(__name__)

METADATA_MS = 5_000
REQUEST_MS = 10_000
DELIVERY_MS = 30_000
LINGER_MS = 20
BATCH_BYTES = 128 * 1024
# What waits for its acknowledgement lies in memory, two or three times over while it is written to the socket.
IN_FLIGHT_BYTES = 32 << 20
IN_FLIGHT_MESSAGES = 8_192
HEADERS_BYTES = 16 * 1024  # kept free for key and headers in the topic's limit
FILENAME_CHARACTERS = 1_000
NAMED_FAILURES = 20
STOP_CHECK_S = 0.1
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


@dataclass
class Sent:
    """What became of the pictures: handed to Kafka, acknowledged by it, failed (the first few by name)."""

    sent: int = 0
    acknowledged: int = 0
    bytes: int = 0
    failed: int = 0
    stopped: bool = False
    failures: list[Failure] = field(default_factory=list)

    def add_failure(self, failure: Failure) -> None:
        """Count a failure; keep it by name where it is one of the first."""
        self.failed += 1
        if len(self.failures) < NAMED_FAILURES:
            self.failures.append(failure)


@dataclass(frozen=True)
class Pace:
    """How many: messages a second, messages in all, and copies of each picture."""

    rate: float | None = None
    limit: int | None = None
    repeat: int = 1


def max_picture_bytes(image: ImageSettings) -> int:
    """The largest picture that Kafka takes together with its key and headers."""
    return image.max_message_bytes - HEADERS_BYTES


def picture_id(source: str, path: str, content: bytes, copy: int = 1) -> str:
    """The id of a picture that is sent: 32 hex digits, the same for the same source, place and bytes.

    The first half of sha256 over the source, the path and the content, each preceded by its length in bytes as eight
    bytes, big-endian, so that no two triples run together. Path: the file's absolute path; within an archive or an
    IDX set followed by `/member` or `#number`; for a web page's picture its address. Copies (`--repeat`) from the
    second on have their number, as decimal text, for a fourth part.
    """
    parts = [source.encode(errors="surrogateescape"), path.encode(errors="surrogateescape"), content]
    if copy > 1:
        parts.append(str(copy).encode())
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:32]


def upload_headers(picture: Picture, source: str, now: datetime) -> list[tuple[str, bytes]]:
    """The message's headers; filename, content-type and label only where they are known. `now`: aware."""
    headers = {
        "filename": picture.filename[-FILENAME_CHARACTERS:] or None,
        "content-type": content_type_of(picture.content),
        "source": source,
        "uploaded-at": rfc3339(now),
        "label": picture.label,
    }
    return [(name, value.encode(errors="replace")) for name, value in headers.items() if value is not None]


def send_pictures(
    items: Items,
    kafka: KafkaSettings,
    image: ImageSettings,
    *,
    source: str,
    pace: Pace = Pace(),
    on_progress: Callable[[Sent], None] = lambda _: None,
    is_stopped: Callable[[], bool] = lambda: False,
) -> Sent:
    """Send every picture and wait until Kafka has acknowledged or refused each; failures are counted and named.

    Guarantee: what is counted as acknowledged is in Kafka, once per call; memory stays bounded whatever the sizes.
    `is_stopped` is asked before each message: when it is true nothing more is read, and what is in flight is finished.

    Raises:
        ServiceError: Kafka cannot be reached, lacks the topic, or stopped answering on the way. What it had
            acknowledged until then has been told to `on_progress`.
    """
    result = Sent()
    with open_producer(kafka, image) as producer:
        flight = Flight(producer, kafka, result)
        clock = _Clock(pace.rate, is_stopped)
        # Refused here: the broker refuses a whole batch for one message in it, its small neighbours too.
        topic_bytes = max_message_bytes(kafka, kafka.uploaded)
        max_bytes = min(max_picture_bytes(image), (topic_bytes or image.max_message_bytes) - HEADERS_BYTES)
        for picture, copy in _copies(items, pace, max_bytes, result):
            if clock.wait():
                result.stopped = True
                break
            key = picture_id(source, picture.path, picture.content, copy)
            flight.send(picture, key, upload_headers(picture, source, datetime.now(timezone.utc)))
            on_progress(result)
        flight.finish()
        on_progress(result)
    return result


def _copies(items: Items, pace: Pace, max_bytes: int, result: Sent) -> Iterator[tuple[Picture, int]]:
    """Yield (picture, number of the copy) as often as asked for; what cannot be sent goes to the result."""
    left = pace.limit
    for item in items:
        if isinstance(item, Failure):
            result.add_failure(item)
            continue
        if len(item.content) > max_bytes:
            result.add_failure(Failure(item.filename, too_large(len(item.content), max_bytes)))
            continue
        for copy in range(1, pace.repeat + 1):
            if left is not None and left <= 0:
                return
            yield item, copy
            left = None if left is None else left - 1
        if left == 0:
            return


class _Clock:
    """Lets messages through at a rate, counted from the first, so that a slow moment is made up for."""

    def __init__(self, rate: float | None, is_stopped: Callable[[], bool]) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._is_stopped = is_stopped
        self._next = time.monotonic()

    def wait(self) -> bool:
        """Wait for the next message's turn; true where it is not to be sent any more."""
        while not self._is_stopped():
            pause = self._next - time.monotonic()
            if pause <= 0:
                self._next += self._interval
                return False
            time.sleep(min(pause, STOP_CHECK_S))
        return True


class Flight:
    """The messages that Kafka has not acknowledged yet, oldest first; bounded in number and bytes. Tells `result`."""

    def __init__(self, producer: KafkaProducer, kafka: KafkaSettings, result: Sent) -> None:
        self._producer = producer
        self._kafka = kafka
        self._result = result
        self._waiting: deque[tuple[Any, int, str]] = deque()
        self._bytes = 0

    def send(self, picture: Picture, key: str, headers: list[tuple[str, bytes]]) -> None:
        """Hand one message to the producer, first waiting for older ones where there are too many."""
        size = len(picture.content)
        while self._waiting and (
            len(self._waiting) >= IN_FLIGHT_MESSAGES
            or self._bytes + size > IN_FLIGHT_BYTES
            or self._waiting[0][0].is_done
        ):
            self._land()
        try:
            future = self._producer.send(self._kafka.uploaded, picture.content, key.encode(), headers)
        except _TOO_LARGE as error:
            self._result.add_failure(Failure(picture.filename, f"Kafka does not take it: {error}"))
            return
        except KafkaError as error:
            raise self._gone(error) from error
        self._result.sent += 1
        self._result.bytes += size
        self._bytes += size
        self._waiting.append((future, size, picture.filename))

    def finish(self) -> None:
        """Wait for all that is in flight."""
        while self._waiting:
            self._land()

    def _land(self) -> None:
        future, size, filename = self._waiting.popleft()
        self._bytes -= size
        try:
            future.get(timeout=2 * DELIVERY_MS / 1000)
        except _TOO_LARGE:
            reason = "Kafka does not take it: it is larger than the topic's max.message.bytes"
            self._result.add_failure(Failure(filename, reason))
        except KafkaError as error:
            self._result.add_failure(Failure(filename, f"Kafka did not acknowledge it: {type(error).__name__}"))
            raise self._gone(error) from error
        else:
            self._result.acknowledged += 1

    def _gone(self, error: KafkaError) -> ServiceError:
        return ServiceError(
            f"Kafka at {self._kafka.bootstrap_servers} stopped taking pictures ({type(error).__name__}): "
            f"{self._result.acknowledged:,} are acknowledged, send the same again for the rest; none will be doubled"
        )


@contextmanager
def open_producer(kafka: KafkaSettings, image: ImageSettings) -> Iterator[KafkaProducer]:
    """Yield a producer whose messages all replicas acknowledge, to a topic that exists. Raises ServiceError."""
    producer = build_producer(
        kafka,
        max_request_size=image.max_message_bytes,
        batch_size=BATCH_BYTES,
        linger_ms=LINGER_MS,
        request_timeout_ms=REQUEST_MS,
        delivery_timeout_ms=DELIVERY_MS,
        max_block_ms=METADATA_MS,
    )
    try:
        _check_topic(producer, kafka)
        yield producer
    finally:
        producer.close(timeout=1)


def _check_topic(producer: KafkaProducer, kafka: KafkaSettings) -> None:
    try:
        producer.partitions_for(kafka.uploaded)
    except KafkaTimeoutError as error:
        raise ServiceError(
            f"Kafka at {kafka.bootstrap_servers} has no topic {kafka.uploaded!r}; `./submit.sh up` creates it"
        ) from error
    except KafkaError as error:
        raise ServiceError(
            f"Kafka at {kafka.bootstrap_servers} does not give topic {kafka.uploaded!r}: {error}"
        ) from error
