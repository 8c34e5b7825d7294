"""Real Kafka, Cassandra and Spark, started once a session; every test has topics and a keyspace of its own."""

from __future__ import annotations

import importlib.util
import os
import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyspark.java_gateway import ensure_callback_server_started
from pyspark.sql import SparkSession

from inkstream.local.class_archives import ensure_archives
from inkstream.local.jars import class_path
from inkstream.local.java import java_home
from inkstream.local.ports import free_port
from inkstream.local.process import EmbeddedService
from inkstream.local.services import RunningServices, down, running_services
from inkstream.report.warehouse import EXTENSIONS, JARS
from inkstream.settings import Settings, load_settings
from inkstream.submit import BRIEF_JAVA, default_conf, java_options, submit_environment

SettingsFactory = Callable[[], Settings]

# Of a Cassandra that is never started again: each table that is made or dropped waits for no disk.
FLEETING = "-Dcassandra.test.flush_local_schema_changes=false -Dcassandra.unsafesystem=true"

# Taken out of the environment: it is no setting, and what tests start has nothing to skip.
NO_SKIPS = os.environ.pop("INKSTREAM_NO_SKIPS", "") == "1"

needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed (the train extra)"
)


def in_section(settings: Settings, section: str, **changes: Any) -> Settings:
    """The settings with some values of one section changed."""
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=changes)})


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """With INKSTREAM_NO_SKIPS=1 a skipped test is a failed one: a tool that it needs is missing."""
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"INKSTREAM_NO_SKIPS is set: {reason}"


@pytest.fixture(scope="session", autouse=True)
def quick_java(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A JVM of a test lives for seconds or a few minutes: to optimise its code costs more than it gains."""
    home, quick = java_home(), tmp_path_factory.mktemp("java")
    for part in home.iterdir():
        if part.name != "bin":
            (quick / part.name).symlink_to(part)
    (quick / "bin").mkdir()
    for tool in (home / "bin").iterdir():
        if tool.name != "java":
            (quick / "bin" / tool.name).symlink_to(tool)
    java = quick / "bin" / "java"
    java.write_text(f'#!/bin/sh\nexec "{home}/bin/java" {BRIEF_JAVA} $FLEETING "$@"\n')
    java.chmod(0o755)
    os.environ["JAVA_HOME"] = str(quick)


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServices]:
    """Kafka and Cassandra in a folder of their own, on free ports, whatever the developer has running."""
    blank = load_settings().model_copy(update={"kafka": Settings().kafka, "cassandra": Settings().cassandra})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FLEETING", FLEETING)
        with running_services(blank, tmp_path_factory.mktemp("services")) as running:
            patch.undo()  # what a test starts may be killed and started again
            yield running


@contextmanager
def stalled(service: EmbeddedService) -> Iterator[None]:
    """The service takes connections and answers nothing, as on a machine that hangs."""
    assert service.pid
    os.kill(service.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(service.pid, signal.SIGCONT)


@pytest.fixture(scope="session")
def services(embedded: RunningServices) -> SettingsFactory:
    """A factory of settings that lead to the services, each with a topic prefix and a keyspace that nobody else has."""

    def build() -> Settings:
        own = f"t{uuid.uuid4().hex[:12]}"
        settings = embedded.settings
        return settings.model_copy(
            update={
                "kafka": settings.kafka.model_copy(update={"topic_prefix": f"{own}."}),
                "cassandra": settings.cassandra.model_copy(update={"keyspace": own}),
            }
        )

    return build


@pytest.fixture
def settings(services: SettingsFactory) -> Settings:
    """Settings with topics and keyspace of this test alone; neither exists yet."""
    return services()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A local folder of the test's own, with the project's jars."""
    folder = tmp_path / "var"
    folder.mkdir()
    jars = load_settings().local.path / "jars"
    jars.mkdir(parents=True, exist_ok=True)
    (folder / "jars").symlink_to(jars)
    return folder


@pytest.fixture
def own(folder: Path) -> Iterator[Settings]:
    """Settings whose local folder is the test's own, with the jars of the project, and demanded free ports."""
    plain = load_settings()
    local = plain.local.model_copy(
        update={"folder": str(folder), "kafka_port": free_port(), "cassandra_port": free_port()}
    )
    blank = {"kafka": Settings().kafka, "cassandra": Settings().cassandra}
    settings = plain.model_copy(update={"local": local, **blank})
    yield settings
    down(settings)


@pytest.fixture(scope="session")
def spark(embedded: RunningServices) -> Iterator[SparkSession]:
    """A local Spark with two threads and the jobs' own configuration; it ends before the services do."""
    os.environ.update(submit_environment(java_home()))
    builder = SparkSession.builder.master("local[2]").appName("tests")
    for key, value in {**default_conf(), **_for_tests()}.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    # Spark calls a stream's Python through a server that waits by select(), which knows no file number over 1,023: it
    # gets its own now, before a test opens thousands of connections and its stream waits for ever.
    ensure_callback_server_started(session.sparkContext._gateway)
    yield session
    session.stop()


def _for_tests() -> dict[str, str]:
    plain = load_settings()
    ensure_archives(plain, *JARS)
    return {
        "spark.driver.extraClassPath": class_path(load_settings(), *JARS),
        "spark.sql.extensions": ",".join(EXTENSIONS),  # one session for all: the warehouse's as well
        # One JVM for hundreds of streams, jobs and pictures of 20 MiB: in one process, files shuffled, 1 GiB was full.
        "spark.driver.memory": "2g",
        "spark.ui.retainedJobs": "20",
        "spark.ui.retainedStages": "20",
        "spark.ui.retainedTasks": "200",
        "spark.sql.ui.retainedExecutions": "20",
        "spark.driver.extraJavaOptions": java_options(plain),
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": "1",
        "spark.ui.enabled": "false",
    }
