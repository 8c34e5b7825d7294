"""The whole way for the page's tests: Kafka, Cassandra, a stream, the gateway on a port, a browser."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn
from cassandra.cluster import Session
from inkstream.gateway.app import create_app
from jobs.predict_stream import run
from pydantic import SecretStr
from pyspark.sql import SparkSession
from tests.stream.conftest import await_keyspace

from inkstream.local.ports import free_port
from inkstream.settings import Settings
from inkstream.spark import cassandra_conf
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from inkstream.store.topics import create_topics
from inkstream.stream.arrivals import Ledger
from inkstream.stream.running import broadcast_task, stop_after_batch
from inkstream.stream.sink import Sink
from inkstream.stream.source import open_uploads

CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 40_000  # for the first answer, which waits for Spark's first micro-batch
TEACHER = "a-token-for-teachers"


@dataclass
class House:
    """The running gateway, and Cassandra behind it."""

    address: str
    session: Session

    @property
    def teacher(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {TEACHER}"}


@pytest.fixture(scope="module")
def house(
    services: Callable[[], Settings], spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    settings = services()
    gateway = settings.gateway.model_copy(update={"tokens": SecretStr(f"admin:teacher:{TEACHER}")})
    settings = settings.model_copy(update={"gateway": gateway})
    create_topics(settings)
    apply_schema(settings)
    with (
        open_session(settings.cassandra) as session,
        streaming(spark, settings, session, tmp_path_factory.mktemp("stream").as_uri()),
        served(settings) as address,
    ):
        yield House(address, session)


@contextmanager
def streaming(spark: SparkSession, settings: Settings, session: Session, checkpoint: str) -> Iterator[None]:
    for key, value in cassandra_conf(settings).items():
        spark.conf.set(key, value)
    await_keyspace(spark, settings.cassandra.keyspace)
    sink = Sink(settings, Ledger(session), broadcast_task(spark, settings), lambda report: None)
    query = run(open_uploads(spark, settings, "earliest"), sink, checkpoint, once=False)
    try:
        yield
    finally:
        stop_after_batch(query, sink)
        sink.close()


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{port}"
    try:
        _await_answers(address)
        yield address
    finally:
        server.should_exit = True
        thread.join(20)


def _await_answers(address: str) -> None:
    for _ in range(200):
        try:
            if httpx.get(f"{address}/readyz").json().get("answers"):
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(address)


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
        page.on(
            "request", lambda asked: asked.url.startswith((house.address, "blob:", "data:")) or wrong.append(asked.url)
        )
        return page

    yield build
    for context in contexts:
        context.close()
    assert wrong == []


def _is_wrong(message: Any) -> bool:
    """A refused upload is written to the console by the browser itself, and is what some tests are about."""
    return message.type == "error" and "status of 415" not in message.text
