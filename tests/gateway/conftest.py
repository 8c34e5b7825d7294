"""A gateway of its own in the test's process, on the session's real Kafka and Cassandra; and a stream that answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from pyspark.sql import SparkSession

from conftest import SettingsFactory
from inkstream.gateway.app import create_app
from inkstream.local.ports import free_port
from inkstream.settings import GatewaySettings, Settings
from inkstream.spark import cassandra_conf
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from inkstream.store.topics import create_topics
from inkstream.stream.answering import run
from inkstream.stream.arrivals import Ledger
from inkstream.stream.running import broadcast_task
from inkstream.stream.sink import Sink
from inkstream.stream.source import open_uploads
from stream.conftest import await_keyspace


@contextmanager
def gateway(settings: Settings, **changes: object) -> Iterator[str]:
    """Yield the address of a running gateway with changed gateway settings."""
    own = GatewaySettings(**{"port": free_port(), **changes})  # type: ignore[arg-type]
    app = create_app(settings.model_copy(update={"gateway": own}))
    server = uvicorn.Server(
        uvicorn.Config(app, port=own.port, log_level="critical", lifespan="on", timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run, name="gateway")
    thread.start()
    until = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive(), app.state.failed
        assert time.monotonic() < until
        time.sleep(0.05)
    address = f"http://127.0.0.1:{own.port}"
    while not httpx.get(f"{address}/readyz").json()["answers"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture(scope="module")
def prepared(services: SettingsFactory) -> Settings:
    """Settings of the module's own, with topics and tables."""
    settings = services()
    create_topics(settings)
    apply_schema(settings)
    return settings


@pytest.fixture(scope="module")
def answering(prepared: Settings, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The same, with a stream that answers until the module ends."""
    for key, value in cassandra_conf(prepared).items():
        spark.conf.set(key, value)
    place: Path = tmp_path_factory.mktemp("gateway") / "checkpoint"
    await_keyspace(spark, prepared.cassandra.keyspace)
    with open_session(prepared.cassandra) as session:
        sink = Sink(prepared, Ledger(session), broadcast_task(spark, prepared), lambda report: None)
        query = run(open_uploads(spark, prepared, "earliest"), sink, place.as_uri(), once=False)
        yield prepared
        query.stop()
        sink.close()
