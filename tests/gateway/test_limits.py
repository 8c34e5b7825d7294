"""Replicas that share a real Redis, and what they do without it."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from inkstream.errors import SettingError
from inkstream.gateway.limits import Limits
from inkstream.local.ports import free_port
from inkstream.settings import GatewaySettings

REDIS_SERVER = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(REDIS_SERVER is None, reason="redis-server is not installed (Debian: redis-server)")


class Redis:
    """A Redis of the test's own, that can be stopped and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        assert REDIS_SERVER
        line = [
            REDIS_SERVER,
            "--port",
            str(self._port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(self._folder),
        ]
        self._process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
        with closing(redis.Redis.from_url(self.url)) as client:
            until = time.monotonic() + 30
            while True:
                try:
                    client.ping()
                    return
                except redis.ConnectionError:
                    assert time.monotonic() < until
                    time.sleep(0.02)

    def hang(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    own = Redis(tmp_path)
    own.start()
    yield own
    own.stop()


@pytest.fixture
def replica(server: Redis) -> Iterator[Callable[[], Limits]]:
    """Builds gateways' limits on that Redis: five uploads a minute."""
    built: list[Limits] = []

    def build() -> Limits:
        built.append(Limits(GatewaySettings(redis_url=SecretStr(server.url), uploads_per_minute=5)))
        return built[-1]

    yield build
    for each in built:
        each.close()


def test_a_gateway_alone_counts_each_sender_for_itself() -> None:
    alone = Limits(GatewaySettings(uploads_per_minute=2))
    assert [alone.wait_s("a"), alone.wait_s("a"), alone.wait_s("b", 2)] == [0.0, 0.0, 0.0]
    assert 0 < alone.wait_s("a") <= 61
    assert alone.state == "memory"


def test_more_pictures_than_the_limit_at_once_are_too_many() -> None:
    assert Limits(GatewaySettings(uploads_per_minute=2)).wait_s("a", 3) > 0


def test_a_key_keeps_the_value_it_was_first_used_with() -> None:
    alone = Limits(GatewaySettings())
    assert [alone.remember("k", "one"), alone.remember("k", "two"), alone.remember("l", "two")] == [None, "one", None]


def test_an_address_that_is_none_of_a_redis_is_said() -> None:
    with pytest.raises(SettingError, match=r"gateway\.redis_url"):
        Limits(GatewaySettings(redis_url=SecretStr("http://localhost")))


@needs_redis
def test_three_replicas_count_as_one(replica: Callable[[], Limits]) -> None:
    first, second, third = replica(), replica(), replica()
    assert [each.wait_s("phone") for each in (first, second, third, first, second)] == [0.0] * 5
    assert third.wait_s("phone") > 0
    assert third.wait_s("another phone") == 0
    assert first.remember("k", "one") is None
    assert third.remember("k", "two") == "one"
    assert {each.state for each in (first, second, third)} == {"redis"}


@needs_redis
def test_without_its_redis_each_counts_for_itself_and_none_refuses(
    replica: Callable[[], Limits], server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = replica(), replica()
    assert [first.wait_s("phone") for _ in range(5)] == [0.0] * 5
    server.stop()
    assert [each.wait_s("phone") for each in (first, second)] == [0.0, 0.0]
    assert first.remember("k", "one") is None
    assert first.remember("k", "two") == "one"
    assert (first.state, second.state) == ("degraded", "degraded")
    server.start()
    monkeypatch.setattr(first, "_down_until", 0.0)  # as if AGAIN_S had passed
    assert first.wait_s("phone") == 0
    assert first.state == "redis"


@needs_redis
def test_a_redis_that_hangs_is_asked_once_in_a_while_only(
    replica: Callable[[], Limits], server: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = replica()
    server.hang()
    assert [waiting.wait_s("phone") for _ in range(5)] == [0.0] * 5
    assert [record.message for record in caplog.records] == [
        "Redis does not answer, this gateway counts for itself: TimeoutError"
    ]
