from __future__ import annotations

import hashlib
import re
import struct
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from kafka import KafkaConsumer

from inkstream.errors import ServiceError, SettingError
from inkstream.producer import send as send_module
from inkstream.producer.pictures import Failure, Item, Picture
from inkstream.producer.send import Pace, max_picture_bytes, picture_id, send_pictures, upload_headers
from inkstream.settings import ImageSettings, KafkaSettings, Settings
from inkstream.store.kafka_client import kafka_client_options
from inkstream.store.topics import create_topics

PNG = b"\x89PNG\r\n\x1a\n"
NOW = datetime(2026, 3, 1, 12, 0, 0, 123_987, tzinfo=timezone(timedelta(hours=2)))


@pytest.fixture
def topics(settings: Settings) -> Settings:
    create_topics(settings)
    return settings


def _messages(kafka: KafkaSettings, count: int) -> list[Any]:
    """The first `count` messages of images.uploaded, and no more."""
    consumer = KafkaConsumer(
        kafka.uploaded,
        **kafka_client_options(kafka),
        auto_offset_reset="earliest",
        group_id=None,
        consumer_timeout_ms=10_000,
        max_partition_fetch_bytes=16 << 20,
    )
    try:
        messages = [next(consumer) for _ in range(count)]
        more = consumer.poll(timeout_ms=300)
        assert not more, "there are more messages than were sent"
        return messages
    finally:
        consumer.close()


def _send(settings: Settings, items: list[Item], **more: Any) -> Any:
    return send_pictures(iter(items), settings.kafka, more.pop("image", settings.image), source="tests", **more)


def _pictures(count: int) -> list[Item]:
    return [Picture(f"{n}.png", f"/x/{n}.png", PNG + bytes([n])) for n in range(count)]


# --- identity and headers


def test_an_id_is_made_of_source_path_and_bytes_each_with_its_length_before_it() -> None:
    parts = [b"phone", "/ä.png".encode(), b"bytes"]
    joined = b"".join(struct.pack(">Q", len(part)) + part for part in parts)
    assert picture_id("phone", "/ä.png", b"bytes") == hashlib.sha256(joined).hexdigest()[:32]


def test_another_source_path_or_content_or_copy_is_another_id() -> None:
    told_apart = [("a", "b", b"c"), ("ab", "", b"c"), ("a", "bc", b""), ("x", "b", b"c"), ("a", "b", b"c", 2)]
    ids = {picture_id(*parts) for parts in told_apart}
    assert len(ids) == len(told_apart)
    assert picture_id("a", "b", b"c", 1) == picture_id("a", "b", b"c")
    assert all(re.fullmatch("[0-9a-f]{32}", id_) for id_ in ids)


def test_the_headers_tell_what_is_known_of_the_picture() -> None:
    assert upload_headers(Picture("ä.txt", "/ä.txt", PNG, "7"), "phone", NOW) == [
        ("filename", "ä.txt".encode()),
        ("content-type", b"image/png"),
        ("source", b"phone"),
        ("uploaded-at", b"2026-03-01T10:00:00.123Z"),
        ("label", b"7"),
    ]


def test_what_is_not_known_has_no_header() -> None:
    names = [name for name, _ in upload_headers(Picture("a.png", "/a.png", b"no picture"), "phone", NOW)]
    assert names == ["filename", "source", "uploaded-at"]


def test_a_name_that_is_no_utf_8_or_endless_still_makes_a_header() -> None:
    [(_, name), *_] = upload_headers(Picture("x" * 9999 + "\udcff.png", "/", b""), "phone", NOW)
    assert name.decode().endswith("?.png")
    assert len(name) < send_module.HEADERS_BYTES // 2


# --- to a real Kafka


@pytest.mark.services
def test_every_picture_arrives_unchanged_with_its_id_and_headers(topics: Settings) -> None:
    pictures = [Picture("a.png", "/a.png", PNG, "7"), Picture("b", "/b", b""), Picture("c", "/c", bytes(300_000))]
    sent = _send(topics, [*pictures])
    assert (sent.sent, sent.acknowledged, sent.failed, sent.bytes) == (3, 3, 0, 300_008)
    by_key = {message.key.decode(): message for message in _messages(topics.kafka, 3)}
    for picture in pictures:
        message = by_key[picture_id("tests", picture.path, picture.content)]
        headers = {name: value.decode() for name, value in message.headers}
        age = datetime.now(timezone.utc) - datetime.fromisoformat(headers.pop("uploaded-at").replace("Z", "+00:00"))
        assert timedelta(0) <= age < timedelta(minutes=1)
        assert message.value == picture.content
        expected = {"filename": picture.filename, "content-type": "image/png", "source": "tests", "label": "7"}
        assert headers == (expected if picture.label else {"filename": picture.filename, "source": "tests"})


@pytest.mark.services
def test_the_largest_picture_is_taken_and_a_larger_one_is_refused_by_name(topics: Settings) -> None:
    limit = max_picture_bytes(topics.image)
    long = "n" * 900
    sent = _send(topics, [Picture(long, f"/{long}", bytes(limit)), Picture("b", "/b", bytes(limit + 1))])
    assert (sent.sent, sent.acknowledged, sent.failed) == (1, 1, 1)
    assert sent.failures == [Failure("b", f"it has {limit + 1:,} bytes; {limit:,} are taken at most")]
    assert len(_messages(topics.kafka, 1)[0].value) == limit


@pytest.mark.services
def test_what_the_topic_does_not_take_is_named_and_the_rest_arrives(topics: Settings) -> None:
    larger = ImageSettings(max_image_bytes=topics.image.max_image_bytes + (2 << 20))
    items = [*_pictures(2), Picture("big", "/big", bytes(12 << 20)), Picture("z", "/z", b"z")]
    sent = _send(topics, items, image=larger)
    assert (sent.sent, sent.acknowledged, sent.failed) == (3, 3, 1), sent.failures
    assert [failure.filename for failure in sent.failures] == ["big"]
    assert len(_messages(topics.kafka, 3)) == 3


@pytest.mark.services
def test_what_could_not_be_read_is_counted_and_the_first_twenty_are_named(topics: Settings) -> None:
    failures: list[Item] = [Failure(str(n), "unreadable") for n in range(25)]
    sent = _send(topics, [*failures[:5], *_pictures(1), *failures[5:]])
    assert (sent.acknowledged, sent.failed) == (1, 25)
    assert sent.failures == failures[:20]


@pytest.mark.services
def test_copies_have_ids_of_their_own_and_the_first_is_the_picture_itself(topics: Settings) -> None:
    [picture] = _pictures(1)
    assert _send(topics, [picture], pace=Pace(repeat=3)).acknowledged == 3
    messages = _messages(topics.kafka, 3)
    assert {message.value for message in messages} == {PNG + b"\0"}
    expected = {picture_id("tests", "/x/0.png", PNG + b"\0", copy) for copy in (1, 2, 3)}
    assert {message.key.decode() for message in messages} == expected


@pytest.mark.services
def test_a_limit_counts_messages_and_reads_no_further(topics: Settings) -> None:
    read = []

    def items() -> Iterator[Item]:
        for picture in _pictures(9):
            read.append(picture)
            yield picture

    sent = send_pictures(items(), topics.kafka, topics.image, source="tests", pace=Pace(limit=5, repeat=2))
    assert (sent.sent, sent.acknowledged, len(read)) == (5, 5, 3)


@pytest.mark.services
def test_a_rate_is_kept(topics: Settings) -> None:
    started = time.monotonic()
    _send(topics, _pictures(31), pace=Pace(rate=20))
    assert 1.5 <= time.monotonic() - started < 45  # 30 waits of a twentieth of a second; not of a minute's


@pytest.mark.services
def test_little_is_in_flight_whatever_the_sizes(topics: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_module, "IN_FLIGHT_BYTES", 50_000)
    monkeypatch.setattr(send_module, "IN_FLIGHT_MESSAGES", 7)
    most = 0

    def look(sent: Any) -> None:
        nonlocal most
        most = max(most, sent.sent - sent.acknowledged)

    small = [Picture(str(n), f"/{n}", b"x") for n in range(60)]
    large = [Picture(str(n), f"/{n}", bytes(20_000)) for n in range(60)]
    assert _send(topics, small, on_progress=look).acknowledged == 60
    assert most == 7
    most = 0
    assert _send(topics, large, on_progress=look).acknowledged == 60
    assert most == 2


@pytest.mark.services
def test_stopping_reads_nothing_more_and_lets_what_is_in_flight_arrive(topics: Settings) -> None:
    asked = iter([False, False, False, True])
    sent = _send(topics, _pictures(9), is_stopped=lambda: next(asked))
    assert (sent.stopped, sent.sent, sent.acknowledged) == (True, 3, 3)
    assert len(_messages(topics.kafka, 3)) == 3


@pytest.mark.services
def test_a_missing_topic_is_named_with_what_creates_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send_module, "METADATA_MS", 1_000)
    with pytest.raises(ServiceError, match=rf"no topic '{settings.kafka.uploaded}'.*submit\.sh up"):
        _send(settings, _pictures(1))


# --- how a client is opened


def test_a_plain_broker_needs_addresses_only() -> None:
    kafka = KafkaSettings(bootstrap_servers="a:1, b:2,")
    assert kafka_client_options(kafka) == {"bootstrap_servers": ["a:1", "b:2"], "security_protocol": "PLAINTEXT"}


def test_sasl_and_tls_are_handed_through(tmp_path: Any) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("")
    secret: dict[str, Any] = {"username": "me", "password": "hush", "ca_file": str(ca_file)}
    options = kafka_client_options(KafkaSettings(bootstrap_servers="a:1", security_protocol="SASL_SSL", **secret))
    assert options == {
        "bootstrap_servers": ["a:1"],
        "security_protocol": "SASL_SSL",
        "ssl_cafile": str(ca_file),
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "me",
        "sasl_plain_password": "hush",
    }


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"security_protocol": "SSL", "ca_file": "/no/ca.pem"}, "kafka.ca_file has the value '/no/ca.pem'"),
        ({"security_protocol": "SASL_SSL"}, "kafka.username is empty"),
    ],
)
def test_a_missing_file_or_user_is_named_before_kafka_is_asked(wrong: dict[str, str], named: str) -> None:
    with pytest.raises(SettingError, match=named):
        kafka_client_options(KafkaSettings.model_validate({"bootstrap_servers": "a:1", **wrong}))
