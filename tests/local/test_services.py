"""The embedded services are real, survive what they promise to survive, and never touch what is not theirs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from cassandra.cluster import Session
from cassandra.query import PreparedStatement
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic

from inkstream.errors import ServiceError, SetupError
from inkstream.local.cassandra import GROUP, PERIODIC, Cassandra
from inkstream.local.java import java_home
from inkstream.local.kafka import Kafka
from inkstream.local.ports import is_free
from inkstream.local.services import (
    RunningServices,
    down,
    external_cassandra,
    external_kafka,
    known_services,
    running_services,
    up,
)
from inkstream.settings import Settings
from inkstream.store.schema import apply_schema
from inkstream.store.session import await_on_disk, open_session
from inkstream.submit import submit_environment

pytestmark = pytest.mark.services


def test_up_starts_both_writes_the_addresses_and_down_keeps_the_data(own: Settings) -> None:
    running = up(own)
    endpoints = json.loads(own.local.endpoints_file.read_text())
    assert endpoints["kafka"]["bootstrap_servers"] == f"127.0.0.1:{own.local.kafka_port}"
    assert endpoints["cassandra"] == {"contact_points": "127.0.0.1", "port": own.local.cassandra_port}
    pids = [service.pid for service in running.all]

    again = up(own)
    assert [service.pid for service in again.all] == pids

    _produce(running.settings, "kept", [b"one"])
    with open_session(running.settings.cassandra, keyspace=False) as session:
        session.execute("CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
    assert [service.name for service in down(own)] == ["kafka", "cassandra"]
    assert not own.local.endpoints_file.exists()
    assert not any(psutil.pid_exists(pid) for pid in pids if pid)
    assert [service.state for service in known_services(own)] == ["stopped", "stopped"]

    running = up(own)
    assert _consume(running.settings, "kept") == [b"one"]
    with open_session(running.settings.cassandra, keyspace=False) as session:
        assert session.execute("SELECT * FROM system_schema.keyspaces WHERE keyspace_name = 'kept'").one()


def test_up_starts_nothing_for_services_that_the_settings_place_elsewhere(own: Settings) -> None:
    elsewhere = own.model_copy(
        update={
            "kafka": own.kafka.model_copy(update={"bootstrap_servers": "broker.example:9092"}),
            "cassandra": own.cassandra.model_copy(update={"contact_points": "node.example"}),
        }
    )
    assert external_kafka(elsewhere) == "broker.example:9092"
    assert external_cassandra(elsewhere) == "node.example"
    assert up(elsewhere).all == []
    assert known_services(elsewhere) == []
    assert json.loads(own.local.endpoints_file.read_text()) == {}


SELDOM = PERIODIC.replace("10ms", "300ms").replace("15ms", "450ms")  # else a sync comes before a kill could


@pytest.mark.parametrize("commit_log", [SELDOM, GROUP], ids=["one alone", "as one of several"])
def test_kill_9_of_cassandra_in_the_middle_of_writing_loses_no_row_that_was_waited_for(
    own: Settings, monkeypatch: pytest.MonkeyPatch, commit_log: str
) -> None:
    monkeypatch.setattr("inkstream.local.cassandra.PERIODIC", commit_log)
    with running_services(own, own.local.path, kafka=False) as running:
        assert running.cassandra
        apply_schema(running.settings)
        with open_session(running.settings.cassandra) as session:
            session.execute("CREATE TABLE t (n int PRIMARY KEY, bytes blob)")
            insert = session.prepare("INSERT INTO t (n, bytes) VALUES (?, ?)")
            pid = running.cassandra.pid
            assert pid  # asked before: in the time it takes, the last writes would have been synchronised anyhow
            with _writing(session, insert) as acknowledged:
                while len(acknowledged) < 6000:
                    time.sleep(0.001)
                promised = list(acknowledged)
                await_on_disk(session)
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.5)
        running.cassandra.kill()
        running.cassandra.start()
        with open_session(running.settings.cassandra) as session:
            stored = {row.n for row in session.execute("SELECT n FROM t")}
    assert len(acknowledged) > len(promised) >= 6000  # the writing went on, up to the end
    assert set(promised) - stored == set()


def test_kill_9_of_kafka_loses_no_acknowledged_message(own: Settings) -> None:
    with running_services(own, own.local.path, cassandra=False) as running:
        assert running.kafka
        sent = [str(n).encode() for n in range(500)]
        _produce(running.settings, "t", sent)
        running.kafka.kill()
        running.kafka.start()
        assert _consume(running.settings, "t") == sent


def test_services_bound_to_a_caller_end_when_it_is_killed(own: Settings) -> None:
    script = (
        "import sys, time; from pathlib import Path\n"
        "from inkstream.local.services import running_services\n"
        "from inkstream.settings import load_settings\n"
        "with running_services(load_settings(), Path(sys.argv[1]), cassandra=False) as running:\n"
        "    print(running.kafka.pid, flush=True); time.sleep(600)\n"
    )
    folder = own.local.path
    caller = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE, text=True)
    assert caller.stdout
    with caller.stdout:
        pid = int(caller.stdout.readline())
    assert psutil.pid_exists(pid)
    os.kill(caller.pid, signal.SIGKILL)
    caller.wait()
    assert _gone_within(pid, 15)


def test_a_pid_that_another_process_has_now_is_stale_and_left_alone(own: Settings) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as stranger:
        try:
            kafka = Kafka(own, own.local.path)
            kafka.record_file.parent.mkdir(parents=True)
            record = {"pid": stranger.pid, "started": time.time() - 3600, "ports": {}}
            kafka.record_file.write_text(json.dumps(record))
            assert kafka.state == "dead"
            kafka.stop()
            assert stranger.poll() is None
            assert kafka.state == "stopped"
        finally:
            stranger.kill()


def test_a_taken_port_that_was_not_asked_for_is_replaced_by_a_free_one(own: Settings) -> None:
    kafka = Kafka(own, own.local.path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        kafka.ports = {"port": port}
        chosen = kafka._free_ports()
    assert chosen["port"] != port
    assert is_free(chosen["port"])


def test_a_taken_port_that_was_asked_for_is_named(own: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", own.local.cassandra_port))
        taken.listen()
        with pytest.raises(SetupError, match=rf"port {own.local.cassandra_port} \(local.cassandra_port\) is taken"):
            Cassandra(own, own.local.path).start()


def test_a_service_that_dies_while_starting_shows_the_end_of_its_log(own: Settings) -> None:
    kafka = Kafka(own, own.local.path)
    kafka.data_folder.mkdir(parents=True)
    (kafka.data_folder / "meta.properties").write_text("version=1\ncluster.id=x\nnode.id=99\n")
    with pytest.raises(ServiceError, match=r"kafka ended while starting; its log .*kafka\.log ends with:(.|\n)*99"):
        kafka.start()


def test_a_folder_that_cannot_be_made_is_named(own: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    local = own.local.model_copy(update={"folder": str(tmp_path / "file" / "var")})
    with pytest.raises(SetupError, match=r"file/var cannot be written \(Not a directory\)"):
        up(own.model_copy(update={"local": local}))


def test_two_workers_join_the_master_and_compute(own: Settings) -> None:
    with running_services(own, own.local.path, kafka=False, cassandra=False, workers=2) as running:
        assert running.master
        assert running.settings.spark.master == f"spark://{running.master.endpoint}"
        assert running.master.alive_workers() == 2
        assert _sum_on_cluster(running) == "45"


@contextmanager
def _writing(session: Session, insert: PreparedStatement) -> Iterator[list[int]]:
    """While inside, rows are written, 64 at a time on their way; yields those that were acknowledged so far."""
    acknowledged: list[int] = []
    failed: list[object] = []
    done = threading.Event()

    def write() -> None:
        number = 0
        while not done.is_set():
            if number - len(acknowledged) - len(failed) < 64:
                answer = session.execute_async(insert, (number, b"x" * 1000))
                answer.add_callbacks(lambda _, n=number: acknowledged.append(n), failed.append)
                number += 1
            else:
                time.sleep(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield acknowledged
    finally:
        done.set()
        writer.join()


def _sum_on_cluster(running: RunningServices) -> str:
    script = (
        "import sys; from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.master(sys.argv[1]).config('spark.ui.enabled', 'false')"
        ".config('spark.driver.host', '127.0.0.1').config('spark.executor.memory', '512m').getOrCreate()\n"
        "print(spark.sparkContext.parallelize(range(10), 2).map(lambda n: n).sum())\n"
    )
    environment = submit_environment(java_home())
    done = subprocess.run(
        [sys.executable, "-c", script, running.settings.spark.master],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _produce(settings: Settings, topic: str, values: list[bytes]) -> None:
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka.servers)
    admin.create_topics([NewTopic(topic, 1, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=settings.kafka.servers, acks="all")
    for answer in [producer.send(topic, value) for value in values]:
        answer.get(30)
    producer.close()


def _consume(settings: Settings, topic: str) -> list[bytes]:
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=settings.kafka.servers,
        group_id=None,
        auto_offset_reset="earliest",
        consumer_timeout_ms=3000,
    )
    values = [message.value for message in consumer]
    consumer.close()
    return values


def _gone_within(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False
