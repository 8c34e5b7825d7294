"""The stream as a process of its own: killed in the middle it goes on where it was, asked to stop it ends its batch."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from tests.stream.conftest import TABLES, Pipeline, send_messages

import inkstream
from inkstream.local.jars import class_path
from inkstream.local.java import java_home
from inkstream.local.services import running_services
from inkstream.settings import Settings, load_settings
from inkstream.store.schema import apply_schema
from inkstream.store.session import open_session
from inkstream.store.topics import create_topics
from inkstream.submit import submit_environment, submit_line

pytestmark = pytest.mark.services

SEVEN = (Path(inkstream.__file__).parent / "samples" / "clean_08_7.png").read_bytes()
COUNT = 1_200


def start_stream(settings: Settings, folder: Path, *arguments: str, batch: int = 200) -> subprocess.Popen[str]:
    """spark-submit with the job, in a process group of its own; `batch`: uploads of a micro-batch."""
    own = {
        "KAFKA__BOOTSTRAP_SERVERS": settings.kafka.servers,
        "KAFKA__TOPIC_PREFIX": settings.kafka.topic_prefix,
        "CASSANDRA__CONTACT_POINTS": ",".join(settings.cassandra.hosts),
        "CASSANDRA__PORT": str(settings.cassandra.port),
        "CASSANDRA__KEYSPACE": settings.cassandra.keyspace,
        "STREAM__MAX_OFFSETS_PER_TRIGGER": str(batch),
    }
    line = submit_line(
        settings,
        "predict_stream",
        ["--checkpoint", str(folder / "checkpoint"), *arguments],
        class_path(load_settings(), "spark"),
        "local[2,4]",
    )
    environment = submit_environment(java_home()) | {f"INKSTREAM_{name}": value for name, value in own.items()}
    # spark-submit hands on what the job says on standard error as standard output.
    return subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def wait_until(is_so: Callable[[], bool], stream: subprocess.Popen[str]) -> None:
    give_up = time.monotonic() + 300
    while not is_so():
        assert stream.poll() is None, stream.stdout and stream.stdout.read()
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_a_stream_that_is_killed_loses_nothing_and_doubles_nothing(pipeline: Pipeline) -> None:
    pipeline.send([(f"id{number}".encode(), SEVEN, {}) for number in range(COUNT)])

    def stored() -> int:
        return len(pipeline.rows("images", "image_id"))

    first = start_stream(pipeline.settings, pipeline.folder)
    try:
        wait_until(lambda: stored() > 0, first)
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
    assert 0 < stored() < COUNT

    second = start_stream(pipeline.settings, pipeline.folder, "--once")
    said, _ = second.communicate(timeout=180)
    assert second.returncode == 0, said
    counted = pipeline.count()
    assert {table: counted[table] for table in TABLES} == dict.fromkeys(TABLES, COUNT)
    answered = [answer["id"] for answer in pipeline.answers()]
    assert set(answered) == {f"id{number}" for number in range(COUNT)}


def loaded(stream: subprocess.Popen[str], program: str) -> set[Path]:
    """The libraries in the memory of the stream's Python processes that run a module or a file of that name."""
    files: set[str] = set()
    for process in psutil.Process(stream.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # a zombie, or one that lived for a moment
            if any(part.endswith(program) for part in process.cmdline()[1:3]):
                files |= {file.path for file in process.memory_maps()}
    return {Path(file) for file in files if file.endswith(".so")}


def test_a_stream_that_is_told_to_stop_ends_its_batch(pipeline: Pipeline) -> None:
    pipeline.send([(f"id{number}".encode(), SEVEN, {}) for number in range(COUNT)])
    stream = start_stream(pipeline.settings, pipeline.folder)
    try:
        wait_until(lambda: len(pipeline.rows("images", "image_id")) > 0, stream)
        driver, workers = loaded(stream, "predict_stream.py"), loaded(stream, "inkstream.stream.daemon")
        os.kill(stream.pid, signal.SIGTERM)
        said, _ = stream.communicate(timeout=60)
    finally:
        if stream.poll() is None:
            os.killpg(stream.pid, signal.SIGKILL)
    assert "error:" not in said
    # What is not needed is not imported, for a second at the start, nor looked through after each task.
    assert all(any(file.match("pyarrow/*.so") for file in files) for files in (driver, workers))
    assert not any(file.match("pandas/_libs/*.so") for file in driver | workers)
    assert not any(file.match("cassandra/*.so") for file in workers)  # they speak to Spark alone
    answered = len(pipeline.answers())
    assert 0 < answered < COUNT
    # Nothing half done: what is stored is answered and recorded.
    assert pipeline.count() == dict.fromkeys([*TABLES, "answers"], answered)
    with open_session(pipeline.settings.cassandra) as session:
        ranges = session.execute("SELECT from_offset, until_offset FROM stream_progress")
        assert sum(row.until_offset - row.from_offset for row in ranges) == answered


def test_a_stream_whose_cassandra_dies_says_so_and_ends(own: Settings, tmp_path: Path) -> None:
    with running_services(own, own.local.path) as running:
        assert running.cassandra
        assert running.cassandra.pid
        create_topics(running.settings)
        apply_schema(running.settings)
        send_messages(running.settings, [(f"id{number}".encode(), SEVEN, {}) for number in range(COUNT)])
        stream = start_stream(running.settings, tmp_path)
        try:
            with open_session(running.settings.cassandra) as session:
                wait_until(lambda: session.execute("SELECT image_id FROM images LIMIT 1").one() is not None, stream)
            os.kill(running.cassandra.pid, signal.SIGKILL)
            said, _ = stream.communicate(timeout=120)
        finally:
            if stream.poll() is None:
                os.killpg(stream.pid, signal.SIGKILL)
    assert stream.returncode == 3
    assert "error: Cassandra failed under the stream; nothing is lost" in said
    assert "Traceback" not in said
    assert "\tat " not in said
