"""The gateway as a process of its own: what it was killed with, and what Kafka was killed with, is not lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import httpx
import pytest
from pyspark.sql import SparkSession
from tests.conftest import stalled

from inkstream.chaos.load import LoadOnDoor
from inkstream.local.kafka import Kafka
from inkstream.local.ports import free_port
from inkstream.settings import Settings
from inkstream.spark import cassandra_conf
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from inkstream.store.topics import create_topics
from stream.conftest import Pipeline, await_keyspace

pytestmark = pytest.mark.services

SENDERS = 4
ENOUGH = 100


@pytest.fixture
def broker(own: Settings, folder: Path) -> Iterator[Kafka]:
    """A Kafka of the test's own, that it may kill."""
    kafka = Kafka(own, folder, bound=True)
    kafka.start()
    yield kafka
    kafka.stop()


@pytest.fixture
def alone(settings: Settings, broker: Kafka) -> Settings:
    """That Kafka, and the session's Cassandra."""
    servers = {"bootstrap_servers": broker.endpoint}
    settings = settings.model_copy(update={"kafka": settings.kafka.model_copy(update=servers)})
    create_topics(settings)
    apply_schema(settings)
    return settings


def start_gateway(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    own = {
        "KAFKA__BOOTSTRAP_SERVERS": settings.kafka.servers,
        "KAFKA__TOPIC_PREFIX": settings.kafka.topic_prefix,
        "CASSANDRA__CONTACT_POINTS": ",".join(settings.cassandra.hosts),
        "CASSANDRA__PORT": str(settings.cassandra.port),
        "CASSANDRA__KEYSPACE": settings.cassandra.keyspace,
        "GATEWAY__UPLOADS_PER_MINUTE": "0",
    }
    line = [str(Path(sys.executable).parent / "inkstream"), "serve", "--port", str(port)]
    environment = {**os.environ, **{f"INKSTREAM_{name}": value for name, value in own.items()}}
    gateway = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == HTTPStatus.OK:
                return gateway
        except httpx.TransportError:
            assert gateway.poll() is None
        assert time.monotonic() < until
        time.sleep(0.1)


def until(is_so: Callable[[], object]) -> None:
    give_up = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def until_more(load: LoadOnDoor, count: int) -> None:
    """Wait until so many more have an id."""
    have = len(load.acknowledged)
    until(lambda: len(load.acknowledged) >= have + count)


def test_every_upload_that_got_an_id_outlives_the_gateway_and_kafka(
    alone: Settings, broker: Kafka, spark: SparkSession, tmp_path: Path
) -> None:
    port = free_port()
    load = LoadOnDoor(f"http://127.0.0.1:{port}", senders=SENDERS)
    gateway = start_gateway(alone, port)
    try:
        with load.running():
            until_more(load, ENOUGH)
            gateway.kill()
            gateway.wait()
            gateway = start_gateway(alone, port)
            until_more(load, ENOUGH)
            broker.kill()
            until(lambda: load.refused[HTTPStatus.SERVICE_UNAVAILABLE])
            broker.start()
            until_more(load, ENOUGH)
            with stalled(broker):
                before = load.refused.total()
                until(lambda: load.refused.total() > before)
            until_more(load, ENOUGH)
        gateway.send_signal(signal.SIGTERM)
        assert gateway.wait(30) == 0
    finally:
        gateway.kill()
        gateway.wait()
    assert set(load.refused) == {HTTPStatus.SERVICE_UNAVAILABLE}
    for key, value in cassandra_conf(alone).items():
        spark.conf.set(key, value)
    await_keyspace(spark, alone.cassandra.keyspace)
    with open_session(alone.cassandra) as session:
        pipeline = Pipeline(spark, alone, session, tmp_path)
        pipeline.drain()
        stored = {row.image_id for row in pipeline.rows("predictions", "image_id")}
    assert len(set(load.acknowledged)) == len(load.acknowledged) >= 4 * ENOUGH
    assert set(load.acknowledged) - stored == set()
