"""Processes in, what their CPU time goes into out: by the kernel's count of each thread, and the threads' names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.processes import JVM, WORKER, by_kind, cpu_seconds

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
JAVA = {
    "compiling": ("C1 CompilerThre", "C2 CompilerThre", "Sweeper thread"),
    "garbage collection": ("GC Thread", "G1 ", "VM Thread"),
}
CASSANDRA = JAVA | {
    "requests": ("SharedPool-Work",),  # reads and writes alike
    "network": ("epollEventLoop", "Messaging-Event"),
    "commit log": ("PERIODIC-COMMIT", "GROUP-COMMIT", "COMMIT-LOG"),
    "flushing": ("MemtableFlush", "MemtablePost", "PerDiskMemtable"),
    "compaction": ("CompactionExec",),
}
SPARK = JAVA | {
    "tasks": ("Executor task l",),
    "network to Cassandra": ("s0-", "s1-", "s2-", "s3-", "spark-cassandra"),
    "planning and submitting": ("Thread-", "stream executio", "dag-scheduler", "dispatcher-even", "task-result-get"),
}
THE_REST = "the rest"
# Of a JVM's threads that have ended the kernel keeps the sum alone. Spark's are those that hand pictures to Python.
ENDED = "threads that have ended"


def thread_seconds(process: psutil.Process, groups: Mapping[str, Sequence[str]]) -> Counter[str]:
    """CPU seconds of a process by group; a thread is the first group's that has the beginning of its name."""
    folder = Path("/proc", str(process.pid))
    if not (folder / "task").is_dir():  # not Linux: no names
        return Counter({THE_REST: cpu_seconds([process])})
    spent: Counter[str] = Counter()
    for stat in folder.glob("task/*/stat"):
        with suppress(OSError):  # it has ended
            name, seconds = name_and_seconds(stat.read_text())
            spent[group_of(name, groups)] += seconds
    _, whole = name_and_seconds((folder / "stat").read_text())
    spent[ENDED] = max(0.0, whole - spent.total())
    return spent


def spent_so_far(
    family: Sequence[psutil.Process], cassandra: Sequence[psutil.Process], kafka: Sequence[psutil.Process]
) -> Counter[str]:
    """CPU seconds of a contender's processes and its services', by "who: what for"."""
    kinds = by_kind(family)
    found: Counter[str] = Counter()
    for who, processes, groups in (("Cassandra", cassandra, CASSANDRA), ("Spark's JVM", kinds[JVM], SPARK)):
        for process in processes:
            for group, seconds in thread_seconds(process, groups).items():
                found[f"{who}: {group}"] += seconds
    drivers = [process for kind, processes in kinds.items() if kind not in (JVM, WORKER) for process in processes]
    for who, processes in (("Python workers", kinds[WORKER]), ("Python driver", drivers), ("Kafka", kafka)):
        found[who] = cpu_seconds(processes)
    return found


def between(first: Counter[str], second: Counter[str], images: int) -> dict[str, float]:
    """Microseconds an image from one count to the next; what stayed is left out.

    Less than nothing where a group's threads have ended meanwhile: their time has become ENDED's, so the sum is right.
    """
    spent = {group: (seconds - first[group]) * 1e6 / images for group, seconds in second.items()}
    return {group: value for group, value in spent.items() if value}


def group_of(name: str, groups: Mapping[str, Sequence[str]]) -> str:
    """The first group that has the beginning of a thread's name."""
    return next((group for group, beginnings in groups.items() if name.startswith(tuple(beginnings))), THE_REST)


def name_and_seconds(stat: str) -> tuple[str, float]:
    """By proc(5): the name is in brackets and may hold some; user and system time are the 14th and 15th fields."""
    name, _, rest = stat.partition("(")[2].rpartition(")")
    fields = rest.split()
    return name, (int(fields[11]) + int(fields[12])) * TICK_S
