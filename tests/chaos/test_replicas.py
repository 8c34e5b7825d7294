"""Three brokers and three nodes, started once: one of each may be killed under load, and the stream goes on."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Timer

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from pyspark.sql import SparkSession
from tests.stream.conftest import await_keyspace

from inkstream.chaos.load import Load
from inkstream.chaos.rounds import Round, drain, missing_ids, verify_round
from inkstream.chaos.victim import Victim
from inkstream.errors import SettingError
from inkstream.local.doctor import FINE
from inkstream.local.service_checks import check_cassandra, check_kafka
from inkstream.local.services import RunningServices, known_services, running_services, up
from inkstream.settings import KafkaSettings, Settings, load_settings, read_endpoints
from inkstream.spark import cassandra_conf
from inkstream.store.kafka_client import build_client
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from inkstream.store.topics import create_topics, open_admin, topic_configs
from inkstream.stream.verify import verify

pytestmark = pytest.mark.services

RATE = 8.0
ENOUGH = 25  # answers that are waited for: some of each partition, whichever broker led it
GIVE_UP_S = 240.0
HANGING_S = 18.0  # longer than a request is waited for


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServices]:
    """Services of the module's own, with topics and tables."""
    blank = load_settings().model_copy(update={"kafka": Settings().kafka, "cassandra": Settings().cassandra})
    with running_services(blank, tmp_path_factory.mktemp("cluster"), brokers=3, nodes=3) as running:
        create_topics(running.settings)
        apply_schema(running.settings)
        yield running


@pytest.fixture
def plain(cluster: RunningServices) -> Settings:
    """What another command would read: the cluster's folder, and no addresses."""
    blank = {"kafka": Settings().kafka, "cassandra": Settings().cassandra}
    return cluster.settings.model_copy(update=blank)


def test_a_broker_and_a_node_killed_under_load_do_not_stop_the_stream(
    cluster: RunningServices, spark: SparkSession
) -> None:
    settings = cluster.settings
    stream, load = Victim(settings, settings.local.path), Load(settings, RATE, seed=1)
    struck = (cluster.brokers[0], cluster.nodes[0])  # those that clients are told of first
    try:
        with load.running():
            stream.launch()
            assert stream.await_progress(-1, GIVE_UP_S), stream._tail()
            pid = stream.pid

            with single_tries(settings) as read:
                for service in struck:
                    service.kill()
                read()  # while the others still count on the one that is gone
            await_answers(stream, settings, load.sent)

            for service in struck:
                service.launch()
            for service in struck:
                service.await_ready()
            await_answers(stream, settings, load.sent)
        drain(stream, settings)
        assert stream.pid == pid
    finally:
        stream.kill_all()
        stream.stop()
    assert load.failed == 0
    assert missing_ids(settings, load.acknowledged) == []
    for key, value in cassandra_conf(settings).items():
        spark.conf.set(key, value)
    await_keyspace(spark, settings.cassandra.keyspace)
    verified = Round(1, "one of three")
    with open_session(settings.cassandra) as session:
        verify_round(partial(verify, spark, session, settings, 10), verified)
    assert verified.found == {"lost": 0, "doubled": 0, "orphan": 0, "wrong": 0}
    await_that(lambda: faults(settings) == [])  # the copies are in step again


def test_topics_and_tables_are_on_all_three(cluster: RunningServices) -> None:
    settings = cluster.settings
    assert [host.rpartition(":")[0] for host in settings.kafka.servers.split(",")] == ["127.0.0.1"] * 3
    assert settings.cassandra.hosts == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    assert (settings.kafka.replication_factor, settings.cassandra.replication_factor) == (3, 3)
    assert {config["min.insync.replicas"] for config in topic_configs(settings).values()} == {"2"}
    assert faults(settings) == []


def test_another_up_keeps_what_runs_and_writes_down_where(cluster: RunningServices, plain: Settings) -> None:
    names = ["kafka", "kafka-2", "kafka-3", "cassandra", "cassandra-2", "cassandra-3"]
    assert [(service.name, service.state) for service in known_services(plain)] == [(name, "running") for name in names]
    assert [service.pid for service in up(plain).all] == [service.pid for service in cluster.all]
    settings = cluster.settings
    assert read_endpoints(plain) == {
        "kafka": {"bootstrap_servers": settings.kafka.servers, "replication_factor": 3},
        "cassandra": {
            "contact_points": "127.0.0.1,127.0.0.2,127.0.0.3",
            "port": settings.cassandra.port,
            "replication_factor": 3,
        },
    }


@pytest.mark.parametrize(("asked", "number", "name"), [("brokers", 1, "kafka"), ("nodes", 2, "cassandra")])
def test_data_of_three_is_not_opened_by_another_number(plain: Settings, asked: str, number: int, name: str) -> None:
    sentence = (
        rf"--{asked} has the value {number}, and the data in .*/data/{name} was made with 3: give --{asked} 3, or"
    )
    with pytest.raises(SettingError, match=sentence), running_services(plain, plain.local.path, **{asked: number}):
        pass  # pragma: no cover


def test_topics_wait_for_brokers_that_hang(cluster: RunningServices, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name: f"later.{name}" for name in ("uploaded", "predicted", "rejected", "corrected")}
    settings = cluster.settings
    later = settings.model_copy(update={"kafka": settings.kafka.model_copy(update=names)})
    hanging = [broker.pid for broker in cluster.brokers[1:]]  # two of three: none becomes a topic without them

    @contextmanager
    def open_and_hang(kafka: KafkaSettings) -> Iterator[KafkaAdminClient]:
        with open_admin(kafka) as admin:
            for pid in hanging:
                os.kill(pid, signal.SIGSTOP)
            yield admin

    def go_on() -> None:
        for pid in hanging:
            os.kill(pid, signal.SIGCONT)

    monkeypatch.setattr("inkstream.store.topics.open_admin", open_and_hang)
    timer = Timer(HANGING_S, go_on)
    timer.start()
    try:
        assert set(create_topics(later)) <= set(names.values())  # one that was made unheard is not named
    finally:
        timer.cancel()
        go_on()
    monkeypatch.undo()
    assert create_topics(later) == []
    await_that(lambda: faults(later) == [])


def faults(settings: Settings) -> list[str]:
    """What doctor finds: copies that are missing or not in step above all."""
    found = [*check_kafka(settings), *check_cassandra(settings)]
    return [finding.about for finding in found if finding.state != FINE]


@contextmanager
def single_tries(settings: Settings) -> Iterator[Callable[[], None]]:
    """Yield what reads from a table of which Cassandra itself asks no other node where one is silent."""
    with open_session(settings.cassandra) as session:
        session.execute("CREATE TABLE single_tries (number int PRIMARY KEY) WITH speculative_retry = 'NEVER'")
        read = session.prepare("SELECT number FROM single_tries WHERE number = ?")
        for number in range(ENOUGH):
            session.execute("INSERT INTO single_tries (number) VALUES (%s)", [number])

        def read_all() -> None:
            found = [
                answer.result().one().number for answer in [session.execute_async(read, [n]) for n in range(ENOUGH)]
            ]
            assert found == list(range(ENOUGH))

        read_all()
        yield read_all


def await_answers(stream: Victim, settings: Settings, sent: int) -> None:
    """Wait until ENOUGH of what is uploaded after the first `sent` are answered; fails where the stream ends."""
    answered: set[str] = set()
    consumer = build_client(KafkaConsumer, settings.kafka, group_id=None, auto_offset_reset="earliest")
    consumer.subscribe([settings.kafka.predicted])

    def are_there() -> bool:
        assert stream.is_running(), stream._tail()
        for messages in consumer.poll(timeout_ms=200).values():
            keys = (message.key.decode() for message in messages)
            answered.update(key for key in keys if key.startswith("chaos-") and int(key.split("-")[1]) >= sent)
        return len(answered) >= ENOUGH

    try:
        await_that(are_there)
    finally:
        consumer.close()


def await_that(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + GIVE_UP_S
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.1)
