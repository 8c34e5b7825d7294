"""A Spark standalone cluster on loopback: one master and any number of workers, from pyspark's own jars."""

from __future__ import annotations

import json
import logging
import os
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from inkstream.local.class_archives import archive_options
from inkstream.local.jars import class_path, pyspark_folder
from inkstream.local.java import java_command
from inkstream.local.ports import LOOPBACK
from inkstream.local.process import EmbeddedService, demanded
from inkstream.settings import Settings

log = logging.getLogger(__name__)

HEAP = "256m"
# What Spark reads its secret from before any file or property. A worker hands it to its executors in the same way, so
# it is on no command line.
SECRET_VARIABLE = "_SPARK_AUTH_SECRET"
# What Spark 3.5 reaches into on Java 17: its own JavaModuleOptions, which only its launcher would add.
OPENS = (
    "java.base/java.lang",
    "java.base/java.lang.invoke",
    "java.base/java.lang.reflect",
    "java.base/java.io",
    "java.base/java.net",
    "java.base/java.nio",
    "java.base/java.util",
    "java.base/java.util.concurrent",
    "java.base/java.util.concurrent.atomic",
    "java.base/sun.nio.ch",
    "java.base/sun.nio.cs",
    "java.base/sun.security.action",
    "java.base/sun.util.calendar",
)


class SparkMaster(EmbeddedService):
    name = "spark-master"
    usual_ports: ClassVar[Mapping[str, int]] = {"port": 7077, "web_port": 8080}

    @property
    def url(self) -> str:
        return f"spark://{self.endpoint}"

    def demanded_ports(self) -> dict[str, int]:
        return demanded(self.settings.local.spark_port, "local.spark_port")

    def command(self) -> list[str]:
        options = ["--host", LOOPBACK, "--port", str(self.ports["port"]), "--webui-port", str(self.ports["web_port"])]
        return [*_java(self.settings), "org.apache.spark.deploy.master.Master", *options]

    def environment(self) -> dict[str, str]:
        return _secret(self.settings)

    def answers(self) -> bool:
        return self.alive_workers() is not None

    def alive_workers(self) -> int | None:
        """How many workers have joined; None while the master does not answer."""
        state = _web_state(self.ports["web_port"])
        return int(state["aliveworkers"]) if state else None


class SparkWorker(EmbeddedService):
    usual_ports: ClassVar[Mapping[str, int]] = {"port": 0, "web_port": 0}

    def __init__(self, master: SparkMaster, number: int, cores: int) -> None:
        self.name = f"spark-worker-{number}"
        super().__init__(master.settings, master.folder, bound=master.bound, usual=master.usual)
        self.master = master
        self.cores = cores

    def command(self) -> list[str]:
        ports = ["--port", str(self.ports["port"]), "--webui-port", str(self.ports["web_port"])]
        share = ["--cores", str(self.cores), "--memory", self.settings.spark.executor_memory]
        options = ["--host", LOOPBACK, *ports, *share, "--work-dir", str(self.data_folder), self.master.url]
        return [*_java(self.settings), "org.apache.spark.deploy.worker.Worker", *options]

    def environment(self) -> dict[str, str]:
        """Where a worker finds what its executors run; without it, it takes pyspark for a source tree of Spark's."""
        return {"SPARK_HOME": str(pyspark_folder()), "SPARK_SCALA_VERSION": "2.12", **_secret(self.settings)}

    def answers(self) -> bool:
        state = _web_state(self.master.ports["web_port"])
        mine = f"{LOOPBACK}:{self.ports['port']}"
        workers = state["workers"] if state else []
        return any(worker["state"] == "ALIVE" and f"{worker['host']}:{worker['port']}" == mine for worker in workers)


def build_workers(master: SparkMaster, workers: int) -> list[SparkWorker]:
    """The workers of a master, the machine's cores shared out between them."""
    cores = max(1, (os.cpu_count() or 1) // max(1, workers))
    return [SparkWorker(master, number, cores) for number in range(1, workers + 1)]


def recorded_workers(settings: Settings, folder: Path) -> list[SparkWorker]:
    """The workers that an earlier command has started in the folder."""
    records = (folder / "run").glob("spark-worker-*.json")
    numbers = sorted(int(record.stem.rpartition("-")[2]) for record in records)
    master = SparkMaster(settings, folder)
    return [SparkWorker(master, number, cores=1) for number in numbers]


def _secret(settings: Settings) -> dict[str, str]:
    """The variable with `spark.secret`; none where that is not set."""
    secret = settings.spark.secret.get_secret_value()
    return {SECRET_VARIABLE: secret} if secret else {}


def _java(settings: Settings) -> list[str]:
    from inkstream.local.masters import PROTECTED

    protection = PROTECTED if settings.spark.secret.get_secret_value() else {}
    return [
        java_command(),
        *archive_options(settings, "spark"),
        f"-Xmx{HEAP}",
        "-XX:+IgnoreUnrecognizedVMOptions",
        *(f"--add-opens={name}=ALL-UNNAMED" for name in OPENS),
        "-Djava.net.preferIPv4Stack=true",
        *(f"-D{key}={value}" for key, value in protection.items()),
        "-cp",
        class_path(settings, "spark"),
    ]


def _web_state(port: int) -> dict[str, Any] | None:
    """What the master's web page knows, as JSON; None while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/json/", timeout=5) as answer:
            state: dict[str, Any] = json.load(answer)
    except (OSError, ValueError) as error:
        log.debug("the Spark master does not answer yet: %s", error)
        return None
    return state
