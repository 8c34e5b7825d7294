"""What the log says of an end that is away, told by real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from inkstream.settings import load_settings
from inkstream.stream import outages
from inkstream.stream.outages import Outages, ends_of


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "QUIET_S", 0.0)
    monkeypatch.setattr(outages, "AGAIN_S", 0.0)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def test_an_end_that_goes_and_comes_is_told_once_each(
    listening: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    port = listening.getsockname()[1]
    watch = Outages({"Kafka": [("127.0.0.1", port)]})
    watch.look(None)
    assert caplog.messages == []
    listening.close()
    watch.look(None)
    watch.look(None)
    sentence = f"Kafka takes no connection at 127.0.0.1:{port} (Connection refused)"
    assert caplog.messages == [f"{sentence}; the stream waits, nothing is lost"]
    with socket.create_server(("127.0.0.1", port)):
        watch.look(None)
        watch.look(None)
    assert caplog.messages[1:] == [f"Kafka takes connections again at 127.0.0.1:{port}"]


def test_one_address_of_several_is_enough(listening: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    Outages({"Kafka": [("127.0.0.1", 1), listening.getsockname()]}).look(None)
    assert caplog.messages == []


def test_a_stream_that_makes_progress_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outages, "QUIET_S", 60.0)
    watch = Outages({"Kafka": [("127.0.0.1", 1)]})
    for second in range(3):
        watch.look({"timestamp": f"2026-01-01T00:00:0{second}.000Z"})
    assert caplog.messages == []


def test_the_ends_are_those_of_the_settings() -> None:
    plain = load_settings()
    kafka = plain.kafka.model_copy(update={"bootstrap_servers": "a:1, [::1]:2"})
    cassandra = plain.cassandra.model_copy(update={"contact_points": "c, d", "port": 9})
    settings = plain.model_copy(update={"kafka": kafka, "cassandra": cassandra})
    assert ends_of(settings) == {"Kafka": [("a", 1), ("::1", 2)], "Cassandra": [("c", 9), ("d", 9)]}
