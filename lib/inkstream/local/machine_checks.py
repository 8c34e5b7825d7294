"""doctor: Python, Java, packages, memory, disk, ports."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from inkstream.errors import SetupError
from inkstream.local.cassandra import Cassandra
from inkstream.local.cluster import SparkMaster
from inkstream.local.doctor import FINE, WARNING, WRONG, Check, Finding
from inkstream.local.java import java_home
from inkstream.local.kafka import Kafka
from inkstream.local.ports import is_free
from inkstream.settings import MIB, Settings, home

PYTHONS = ((3, 10), (3, 11), (3, 12))
GIB = 1024 * MIB
LEAST_DISK = 1 * GIB
SCARCE_DISK = 5 * GIB
SERVICES_MEMORY = 1536 * MIB  # the embedded Kafka's and Cassandra's heaps, and what is beside them
WORKER_MEMORY = 256 * MIB  # a Python worker with model and decoders, per core
_UNITS = {"k": 1024, "m": MIB, "g": GIB, "t": 1024 * GIB}
_LOCKED = re.compile(r"^([a-z0-9-]+)==([^ \\;]+)(?: ; ([^\\]+))?", re.MULTILINE)


def check_python(_: Settings) -> Iterator[Finding]:
    """InkStream runs on 3.10, 3.11 and 3.12; PySpark 3.5 on no later one."""
    found = sys.version_info[:2]
    said = f"Python {'.'.join(map(str, sys.version_info[:3]))}"
    if found in PYTHONS:
        yield Finding("python", FINE, said)
    else:
        yield Finding(
            "python", WRONG, f"{said}; 3.10, 3.11 or 3.12 is needed", "install one, remove .venv, start again"
        )


def check_java(_: Settings) -> Iterator[Finding]:
    """A Java 17: JAVA_HOME's, or the wheel's."""
    try:
        yield Finding("java", FINE, f"Java 17 in {java_home()}")
    except SetupError as error:
        yield Finding("java", WRONG, str(error), "unset JAVA_HOME, or point it to a Java 17")


def check_packages(_: Settings) -> Iterator[Finding]:
    """What is installed against requirements/runtime.txt."""
    from packaging.markers import Marker

    wrong = []
    locked = _LOCKED.findall((home() / "requirements" / "runtime.txt").read_text())
    for name, wanted, marker in locked:
        if marker and not Marker(marker.strip()).evaluate():
            continue
        try:
            installed = version(name)
        except PackageNotFoundError:
            installed = "missing"
        if installed != wanted:
            wrong.append(f"{name} is {installed}, locked is {wanted}")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        yield Finding("packages", WRONG, "; ".join(wrong[:5]) + more, "remove .venv and start any command again")
    else:
        yield Finding("packages", FINE, f"{len(locked)} packages as locked")


def check_memory(settings: Settings) -> Iterator[Finding]:
    """What is free against what Spark, its Python workers and the embedded services take."""
    cores = psutil.cpu_count() or 1
    wanted = _bytes(settings.spark.driver_memory) + cores * WORKER_MEMORY
    if not settings.kafka.bootstrap_servers or not settings.cassandra.contact_points:
        wanted += SERVICES_MEMORY
    free = psutil.virtual_memory().available
    said = f"{free / GIB:.1f} GiB free, about {wanted / GIB:.1f} needed"
    if free >= wanted:
        yield Finding("memory", FINE, said)
    else:
        yield Finding(
            "memory", WARNING, said, "end other programs, or lower spark.driver_memory or spark.master's cores"
        )


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Room where the embedded services, the jars and the checkpoints lie."""
    folder = settings.local.path
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    said = f"{free / GIB:.1f} GiB free in {folder}"
    if free >= SCARCE_DISK:
        yield Finding("disk", FINE, said)
    else:
        state = WRONG if free < LEAST_DISK else WARNING
        yield Finding("disk", state, said, "make room, or set local.folder to another disk")


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Ports that the settings demand for embedded services, taken by another program."""
    folder: Path = settings.local.path
    demanded = {
        "local.kafka_port": (settings.local.kafka_port, Kafka(settings, folder)),
        "local.cassandra_port": (settings.local.cassandra_port, Cassandra(settings, folder)),
        "local.spark_port": (settings.local.spark_port, SparkMaster(settings, folder)),
    }
    taken = [
        f"port {port} ({name})"
        for name, (port, service) in demanded.items()
        if port and not service.is_running() and not is_free(port)
    ]
    if taken:
        advice = "end the program that listens there, or set 0 and a free port is chosen"
        yield Finding("ports", WRONG, f"{', '.join(taken)} taken by another program", advice)
    else:
        yield Finding("ports", FINE, "no demanded port is taken by another program")


def _bytes(text: str) -> int:
    return int(text[:-1]) * _UNITS[text[-1].lower()]


CHECKS: dict[str, Check] = {
    "python": check_python,
    "java": check_java,
    "packages": check_packages,
    "memory": check_memory,
    "disk": check_disk,
    "ports": check_ports,
}
