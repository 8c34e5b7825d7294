"""The gateway of tests/gateway/conftest.py with a teacher's token, and a browser in front of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from cassandra.cluster import Session
from kafka import KafkaConsumer, TopicPartition
from pydantic import SecretStr

from gateway.conftest import gateway
from inkstream.settings import Settings
from inkstream.store.kafka_client import kafka_client_options
from inkstream.store.session import open_session

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 180_000  # for the first answer, which waits for Spark's first micro-batch
TEACHER = "a-token-for-teachers"


@dataclass
class House:
    """The running gateway, and Cassandra behind it."""

    address: str
    session: Session
    settings: Settings

    @property
    def teacher(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {TEACHER}"}

    def corrections(self) -> dict[str, str]:
        """What images.corrected holds: id -> the label sent last."""
        options = kafka_client_options(self.settings.kafka)
        consumer = KafkaConsumer(**options, consumer_timeout_ms=3_000, auto_offset_reset="earliest")
        consumer.assign([TopicPartition(self.settings.kafka.corrected, number) for number in range(4)])
        consumer.seek_to_beginning()
        found = {message.key.decode(): orjson.loads(message.value)["label"] for message in consumer}
        consumer.close()
        return found


@pytest.fixture(scope="module")
def house(answering: Settings) -> Iterator[House]:
    tokens = SecretStr(f"admin:teacher:{TEACHER}")
    with open_session(answering.cassandra) as session, gateway(answering, tokens=tokens) as address:
        yield House(address, session, answering)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def browse(chromium: Any, house: House) -> Iterator[Callable[..., Any]]:
    """A factory of browser pages that hold the teacher's token; errors on them and requests elsewhere fail the test."""
    contexts, wrong = [], list[str]()

    def build(*, token: bool = True, **options: Any) -> Any:
        credentials = {"http_credentials": {"username": "any", "password": TEACHER}} if token else {}
        context = chromium.new_context(base_url=house.address, **credentials, **options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: _is_wrong(message) and wrong.append(message.text))
        own = (house.address, "blob:", "data:")
        page.on("request", lambda asked: asked.url.startswith(own) or wrong.append(asked.url))
        return page

    yield build
    for context in contexts:
        context.close()
    assert wrong == []


def _is_wrong(message: Any) -> bool:
    """A refused upload is written to the console by the browser itself, and is what some tests are about."""
    return message.type == "error" and "status of 415" not in message.text
